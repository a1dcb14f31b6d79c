"""Views of the published file for other tools, such as Metabase and Superset: `views.sql`."""

from __future__ import annotations

_PERIODS = """SELECT row.period, CAST(row.start AS DATE) AS start, CAST(row."end" AS DATE) AS "end",
    row.split, row.value, row.is_partial, row.active_at_start, row.kept, row.lost, row.new,
    row.won_back, row.active_at_end, row.retention_rate_percent, row.retention_rate_percent_low,
    row.retention_rate_percent_high, row.orders, row.net_revenue
FROM (SELECT unnest(from_json(json -> '$.periods', '[{
    "period": "VARCHAR", "start": "VARCHAR", "end": "VARCHAR", "split": "VARCHAR",
    "value": "VARCHAR", "is_partial": "BOOLEAN", "active_at_start": "BIGINT", "kept": "BIGINT",
    "lost": "BIGINT", "new": "BIGINT", "won_back": "BIGINT", "active_at_end": "BIGINT",
    "retention_rate_percent": "DOUBLE", "retention_rate_percent_low": "DOUBLE",
    "retention_rate_percent_high": "DOUBLE", "orders": "BIGINT", "net_revenue": "DOUBLE"}]')) AS row
    FROM documents WHERE name = 'metrics')"""

VIEWS: dict[str, tuple[str, str]] = {
    "customers_at_risk": (
        "SELECT * FROM customers WHERE at_risk ORDER BY position",
        "Customers at risk, the highest value at risk first.",
    ),
    "base_by_segment": (
        "SELECT segment, status, risk_band, count(*) AS customers, "
        "sum(value_at_risk) AS value_at_risk, avg(churn_probability) AS churn_probability, "
        "sum(monetary) AS net_spend FROM customers GROUP BY ALL ORDER BY ALL",
        "Customers, value at risk and net spend by segment, status and risk.",
    ),
    "offers_by_outcome": (
        "SELECT offer_outcome, offer_id, outcome_reason, channel, count(*) AS customers, "
        "sum(expected_net) AS expected_net FROM customers WHERE offer_outcome IS NOT NULL "
        "GROUP BY ALL ORDER BY ALL",
        "The plan: customers by offer, or by the reason for none.",
    ),
    "reasons_at_risk": (
        "SELECT reason_1_code AS reason, count(*) AS customers, "
        "sum(value_at_risk) AS value_at_risk FROM customers WHERE at_risk "
        "GROUP BY ALL ORDER BY customers DESC, reason",
        "The first reason of customers at risk.",
    ),
    "retention_by_period": (
        _PERIODS,
        "The balance of customers by period and split, as in `churn metrics`.",
    ),
}
"""The SQL of each view, and what it shows."""


def views_sql() -> str:
    """The file `views.sql`: the views as statements, each with what it shows."""
    head = (
        "-- Views of page.duckdb, which contains them already. For a database that is loaded from\n"
        "-- its tables, create them there.\n"
    )
    statements = [
        f"-- {meaning}\nCREATE OR REPLACE VIEW {name} AS\n{sql};"
        for name, (sql, meaning) in VIEWS.items()
    ]
    return "\n".join([head, "\n\n".join(statements), ""])
