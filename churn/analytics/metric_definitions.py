"""The definition of every retention metric, in the order in which they are shown."""

from __future__ import annotations

from churn.analytics.definitions import Definition, defined

METRICS = defined(
    (
        Definition(
            "active_at_start", "customers", "S: bought in the active days before the period's start"
        ),
        Definition("kept", "customers", "active at the start and at the end"),
        Definition("lost", "customers", "active at the start, no longer at the end: S - kept"),
        Definition(
            "arrived", "customers", "N: active at the end, not at the start: new + won back"
        ),
        Definition(
            "new",
            "customers",
            "arrived, and had never bought before; empty in the first active days of the data, "
            "where everyone looks new",
        ),
        Definition(
            "won_back", "customers", "arrived, had bought before, but was not active at the start"
        ),
        Definition(
            "active_at_end",
            "customers",
            "E: bought in the active days before the period's end: kept + new + won back",
        ),
        Definition(
            "retention_rate_percent",
            "%",
            "CRR = (E - N) / S x 100 = kept / S x 100, with its 95 % interval (Wilson)",
            "Wilson (1927)",
        ),
        Definition("churn_rate_percent", "%", "lost / S x 100 = 100 - retention rate"),
        Definition(
            "retention_rate_last_year_percent",
            "%",
            "retention rate of the same period of last year; empty without a complete one, and by "
            "segment",
        ),
        Definition(
            "retention_rate_before_percent",
            "%",
            "retention rate of the preceding period; empty without a complete one",
        ),
        Definition("buyers", "customers", "bought in the period"),
        Definition("orders", "orders", "orders in the period with an amount above zero"),
        Definition("gross_revenue", "currency", "sum of those orders"),
        Definition(
            "refunds",
            "currency",
            "sum of orders below zero in the period; a refund in a column of its order, or with "
            "its order_id, is already subtracted from that order",
        ),
        Definition("net_revenue", "currency", "gross revenue - refunds"),
        Definition(
            "margin",
            "currency",
            "net revenue - cost of goods (unit_cost of the lines); [value] margin_rate x net "
            "revenue where that is unknown",
        ),
        Definition(
            "repeat_purchase_rate_percent",
            "%",
            "of the customers active at the end, those who bought on at least two of the active "
            "days before the end",
        ),
        Definition("purchase_frequency", "orders per buyer", "orders / buyers in the period"),
        Definition("average_order_value", "currency", "gross revenue / orders"),
        Definition(
            "days_between_purchases_median",
            "days",
            "median time to the next purchase day, by Kaplan-Meier over purchase days in the "
            "active days before the end; gaps still open at the end are censored. Empty if half "
            "of them last longer",
            "Kaplan and Meier (1958)",
        ),
        Definition("purchase_gaps", "purchase days", "gaps that this median is of"),
        Definition("purchase_gaps_ended", "purchase days", "those that had ended by the end"),
        Definition("customers", "customers", "had ever bought before the period's end"),
        Definition(
            "realised_value",
            "currency per customer",
            "realised CLV: margin of all orders before the period's end / customers",
        ),
        Definition(
            "revenue_before",
            "currency",
            "net revenue, in the preceding period, of those who bought in it",
        ),
        Definition(
            "gross_revenue_retention_percent",
            "%",
            "GRR: what they spent in this period, each at most as much as before, / revenue before "
            "x 100",
        ),
        Definition(
            "net_revenue_retention_percent",
            "%",
            "NRR: what they spent in this period, net of refunds, / revenue before x 100",
        ),
        Definition(
            "redeemers",
            "customers",
            "bought and redeemed something in the period; empty without [data.redemptions]",
        ),
        Definition("redemption_rate_percent", "%", "redeemers / buyers x 100"),
        Definition(
            "retention_cost",
            "currency",
            "costs of the categories of [metrics] retention_costs in [data.costs], and the "
            "expected cost of exported and sent plans in the ledger",
        ),
        Definition(
            "retention_cost_per_customer",
            "currency per customer",
            "CRC = retention cost / active at the end",
        ),
        Definition(
            "acquisition_cost",
            "currency",
            "costs of the categories of [metrics] acquisition_costs in [data.costs]; by "
            "acquisition source if its column is there",
        ),
        Definition(
            "acquisition_cost_per_customer",
            "currency per customer",
            "CAC = acquisition cost / new customers",
        ),
        Definition(
            "late_orders",
            "orders",
            "orders before the period's end that arrived or were corrected after it: the period "
            "has changed since it could first be reported",
        ),
        Definition(
            "expected_value",
            "currency per customer",
            "expected CLV: margin that a customer who has bought will bring within the horizon, by "
            "BG/NBD and Gamma-Gamma, with the 95 % interval of the mean",
            "Fader, Hardie and Lee (2005); Fader and Hardie (2013)",
        ),
    )
)
"""Every number of the tables `periods` and `value`."""
