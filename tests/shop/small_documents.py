"""Documents of commands as `churn publish` gathers them, with the numbers of the design."""

from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from churn.reporting.page_tables import Page, write_page
from churn.reporting.published import PublishedRow

ROW = PublishedRow(
    run_id="r",
    as_of=date(2011, 12, 1),
    published_at=datetime(2011, 12, 1, 3, 0),
    orders_until=date(2011, 11, 30),
    orders_read_at=datetime(2011, 12, 1, 2, 14),
    model_id="m",
    model_as_of=date(2011, 11, 6),
    currency="EUR",
    shop="shop.example",
    language="en",
)


def period(start, end, counts, rates, last_year=None):
    """A row of `churn metrics`: S, kept, lost, new, won back, E, and the rate with its bounds."""
    names = ("active_at_start", "kept", "lost", "new", "won_back", "active_at_end")
    row = dict(zip(names, counts, strict=True))
    return {
        "split": "all",
        "value": "all",
        "period": start[:7],
        "start": start,
        "end": end,
        "is_partial": False,
        **row,
        "arrived": row["new"] + row["won_back"],
        "churn_rate_percent": 100 * row["lost"] / row["active_at_start"],
        "retention_rate_percent": rates[0],
        "retention_rate_percent_low": rates[1],
        "retention_rate_percent_high": rates[2],
        "retention_rate_last_year_percent": last_year,
        "retention_rate_before_percent": None,
        "orders": 3000,
        "net_revenue": 123_456.0,
    }


NOVEMBER = period(
    "2011-11-01",
    "2011-12-01",
    (2459, 2230, 229, 191, 417, 2838),
    (90.687, 89.5, 91.7),
    last_year=90.6,
)
YEAR_BEFORE = period(
    "2010-11-01", "2010-12-01", (2400, 2174, 226, 300, 398, 2872), (90.6, 89.4, 91.7)
)
METRICS = {
    "resolved": {"active_days": 90, "period": "month"},
    "periods": [YEAR_BEFORE, NOVEMBER],
}
PLAN = {
    "campaign_id": "January",
    "currency": "EUR",
    "customers": 6962,
    "offers": {"discount": 555, "points": 720, "reminder": 851, "none": 4836},
    "suppressed": {"holdout": 2329, "service_first": 2507},
    "arms": {"holdout": 2329, "control": 0, "explore": 0, "treatment": 4633},
    "effect_sources": ["measured"],
    "expected_cost": 1374.0,
    "expected_gain": 9758.0,
    "expected_value": 8384.0,
    "lambda": 3.1,
    "budget": 1374.0,
    "value_curve": [
        {"budget": 1374.0, "expected_cost": 1374.0, "expected_value": 8384.0},
        {"budget": 1874.0, "expected_cost": 1874.0, "expected_value": 9594.0},
        {"budget": None, "expected_cost": 2000.0, "expected_value": 9700.0},
    ],
}
LOOK = {
    "split": "purchases",
    "value": "1",
    "signal": False,
    "customers_before": 800,
    "kept_before": 704,
    "customers": 840,
    "kept": 733,
    "percent_before": 88.0,
    "percent": 87.3,
    "change": -0.7,
    "half_width": 3.6,
    "p_value": 0.7,
}
EVERYONE = {
    **LOOK,
    "split": "everyone",
    "value": "everyone",
    "customers": 2459,
    "kept": 2230,
    "percent_before": 90.6,
    "percent": 90.7,
    "change": 0.1,
    "half_width": 1.6,
    "p_value": 0.9,
}
SIGNALS = {"looks": [EVERYONE, LOOK, *({**LOOK, "p_value": None} for _ in range(212))], "parts": []}
MEASURED = {
    "campaign_id": "January",
    "plan_as_of": "2011-01-01",
    "closes": "2011-01-29",
    "closed": True,
    "why_not": None,
    "effects": {"retained": {"verdict": "more", "plain": {"low": 182 / 2126, "high": 359 / 2126}}},
    "money": {
        "treated_customers": 2126,
        "kept_customers": 740,
        "incremental_retained": "271",
        "incremental_margin": "7258.00",
        "net": "5787.00",
        "net_low": "-1170.00",
        "net_high": "12743.00",
        "net_cuped": None,
    },
}
SCORE = {"at_risk": 929, "value_at_risk_of_those_at_risk": 41234.4}
DOCUMENTS = {
    "score": SCORE,
    "plan": PLAN,
    "metrics": METRICS,
    "signals": SIGNALS,
    "measurements": [MEASURED],
    "missing": {"cohorts": "no cohorts <here> yet"},
    "notes": {},
}
WORKLIST = {"worklist": [{"customer_id": "a", "value": 165.0}] * 14}
LEAVING = [
    {
        "customer_id": "c0004711",
        "value_at_risk": 84.2,
        "churn_probability": 0.62,
        "reason_1": "Last order 74 days ago; usually every 31.",
        "offer_outcome": "offer",
        "offer_id": "points",
        "outcome_reason": None,
        "expected_net": 4.1,
    },
    {
        "customer_id": "c0000815",
        "value_at_risk": 79.9,
        "churn_probability": 0.55,
        "reason_1": None,
        "offer_outcome": "suppressed",
        "offer_id": "none",
        "outcome_reason": "service_first",
        "expected_net": 0.0,
    },
]

EVIL = '<script>alert("x")</script>'


def written_page(path: Path, **documents: Any) -> Path:
    """A published file of these documents and the two customers at risk."""
    base = pa.Table.from_pylist(
        [
            {
                **{name: one[name] for name in ("customer_id", "value_at_risk")},
                "churn_probability": one["churn_probability"],
                "risk_band": "high",
                "at_risk": True,
                "status": "eligible",
                "as_of": ROW.as_of,
                "segment": EVIL,
                "reasons": [one["reason_1"] or EVIL],
            }
            for one in LEAVING
        ]
    )
    plan = pa.Table.from_pylist(
        [
            {
                "customer_id": one["customer_id"],
                "offer_id": one["offer_id"],
                "suppression": one["outcome_reason"],
                "arm": "treatment",
                "expected_value": one["expected_net"],
            }
            for one in LEAVING
        ]
    )
    write_page(path, Page(row=ROW, documents={**DOCUMENTS, **documents}, base=base, plan=plan))
    return path
