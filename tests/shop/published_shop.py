"""A small published file, as `churn publish` writes it, with every document and 137 customers."""

import json
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

AS_OF = date(2018, 1, 1)
CUSTOMERS = 137
SEGMENTS = ("best", "loyal", "regular", "occasional", "one-time", "lapsed", "new")
CODES = ("recency", "frequency", "money")
OFFERS = ("coupon-5", "points-100", "none")
HOSTILE = (
    "<script>alert(1)</script>",
    '=HYPERLINK("http://evil.example")',
    "../../etc/passwd",
    "a%_b\\c",
    "'; DROP TABLE customers; --",
    '"><img src=x onerror=alert(1)>',
)
"""Identifiers and texts that attack whoever shows them."""

CUSTOMER_COLUMNS = """position BIGINT, customer_id VARCHAR, status VARCHAR, segment VARCHAR,
    recency_days DOUBLE, frequency DOUBLE, monetary DOUBLE, churn_probability DOUBLE,
    risk_band VARCHAR, value_at_risk DOUBLE, at_risk BOOLEAN, reason_1 VARCHAR, reason_2 VARCHAR,
    reason_3 VARCHAR, reason_1_code VARCHAR, offer_id VARCHAR, offer_outcome VARCHAR,
    outcome_reason VARCHAR, channel VARCHAR, expected_net DOUBLE, propensity DOUBLE,
    consent_email BOOLEAN, consent_sms BOOLEAN"""


def customer_rows(count: int = CUSTOMERS, *, text: str = "") -> list[tuple[Any, ...]]:
    """Customers by value at risk; the last ten have none. `text` is put into every text."""
    rows = []
    for n in range(count):
        unknown = n >= count - 10
        risk = None if unknown else round(0.9 - 0.8 * n / count, 4)
        band = None if unknown else ("high" if n < 20 else "medium" if n < 60 else "low")
        offer = OFFERS[n % 3]
        held = offer == "none"
        rows.append(
            (
                n,
                f"{text}c{n:05d}",
                f"{text}eligible" if not unknown else "new",
                f"{text}{SEGMENTS[n % 7]}",
                float(n % 90),
                float(1 + n % 12),
                10.0 * (n % 40) + 0.5,
                risk,
                band,
                None if unknown else round(200.0 - n, 2),
                n < 20,
                f"{text}Last order {n % 90} days ago; usually every 31.",
                f"{text}Fewer orders than before." if n % 2 else None,
                None,
                f"{text}{CODES[n % 3]}",
                offer,
                "none" if held else "offer",
                ("holdout" if n % 2 else "cooldown") if held else None,
                None if held else "email",
                0.0 if held else 4.1,
                0.9,
                (True, False, None)[n % 3],
                None,
            )
        )
    return rows


def write_page(path: Path, *, customers: int = CUSTOMERS, text: str = "", **changes: Any) -> Path:
    """Writes the file. `changes` replace documents, None leaves one out."""
    found = {name: value for name, value in {**documents(), **changes}.items() if value is not None}
    new = path.with_suffix(".tmp")
    new.unlink(missing_ok=True)
    with duckdb.connect(str(new)) as connection:
        connection.execute(
            "CREATE TABLE published AS SELECT 'run-1' AS run_id, DATE '2018-01-01' AS as_of, "
            "TIMESTAMP '2018-01-01 02:20:00' AS published_at, DATE '2017-12-31' AS orders_until, "
            "TIMESTAMP '2018-01-01 02:14:00' AS orders_read_at, 'churn-1' AS model_id, "
            "DATE '2017-12-04' AS model_as_of, 'EUR' AS currency, $shop AS shop, "
            "'en' AS language, 1 AS version",
            {"shop": f"{text}Corner Shop"},
        )
        connection.execute("CREATE TABLE documents (name VARCHAR PRIMARY KEY, json VARCHAR)")
        pairs = [(name, json.dumps(value)) for name, value in found.items()]
        insert(connection, "documents", pairs)
        rows = customer_rows(customers, text=text)
        connection.execute(f"CREATE TABLE customers ({CUSTOMER_COLUMNS})")
        insert(connection, "customers", rows)
        connection.execute(
            'CREATE TABLE timeline (customer_id VARCHAR, "at" TIMESTAMP, kind VARCHAR, '
            "what VARCHAR, amount DOUBLE)"
        )
        moment = datetime(2017, 12, 30, 12, 0)
        events = [
            (
                row[1],
                moment - timedelta(days=9 * k),
                kind,
                f"{text}{kind} {k}",
                12.5 if k < 2 else None,
            )
            for row in rows[:30]
            for k, kind in enumerate(("order", "return", "contact", "consent"))
        ]
        insert(connection, "timeline", events)
        connection.execute(
            "CREATE TABLE scores_history (customer_id VARCHAR, as_of DATE, "
            "churn_probability DOUBLE, risk_band VARCHAR, value_at_risk DOUBLE)"
        )
        history = [
            (
                row[1],
                AS_OF - timedelta(days=28 * k),
                max((row[7] or 0.5) - 0.1 * k, 0.0),
                row[8],
                row[9],
            )
            for row in rows[:30]
            for k in range(4)
        ]
        insert(connection, "scores_history", history)
        connection.execute(
            "CREATE TABLE plan_curve (budget DOUBLE, spent DOUBLE, customers BIGINT, "
            "expected_margin DOUBLE, expected_net DOUBLE)"
        )
    new.replace(path)
    return path


def insert(connection: Any, table: str, rows: list[tuple[Any, ...]]) -> None:
    """Inserts all rows at once, which row by row takes seconds."""
    columns = {f"c{n}": list(values) for n, values in enumerate(zip(*rows, strict=True))}
    connection.register("new_rows", pa.table(columns))
    connection.execute(f"INSERT INTO {table} SELECT * FROM new_rows")
    connection.unregister("new_rows")


def documents() -> dict[str, Any]:
    """Every document with a few rows."""
    return {
        "score": {"customers": CUSTOMERS, "at_risk": 20, "value_at_risk_of_those_at_risk": 3810.0},
        "plan": _plan(),
        "metrics": {
            **_defined("kept"),
            "resolved": {"by": [], "active_days": 56, "period": "28"},
            "periods": _periods(),
            "value": [],
        },
        "cohorts": {
            **_defined("customers"),
            "resolved": {"active_days": 56},
            "cohorts": _cohorts(),
            "second_purchase": _survival(),
            "lapse": _survival(),
            "frequency": [],
        },
        "segments": _segments(),
        "journey": _journey(),
        "signals": _signals(),
        "feedback": _feedback(),
        "model": _model(),
        "monitor": _monitor(),
        "missing": {"measurements": "no campaign was measured yet"},
        "notes": {},
    }


def _monitor() -> dict[str, Any]:
    shifted = {"layer": "shift", "check": "A", "value": 0.6, "low": 0.55, "high": 0.65, "n": 2_000}
    return {
        "checks": [
            {
                **{"layer": "data", "check": "freshness", "what": "orders", "value": 0.0},
                **{"low": 0.0, "high": 3.0, "n": None, "state": "ok"},
                "text": "Orders end on 2026-10-31.",
            },
            {**shifted, "what": "recency_days", "state": "alarm", "text": "recency_days is larger"},
            {**shifted, "what": "orders_count", "state": "ok", "text": "orders_count is alike"},
        ],
        "signal": [{"action": "watch", "layer": "shift", "text": "Shifted: recency_days."}],
    }


def _defined(*names: str) -> dict[str, Any]:
    meaning = {"unit": "customers", "meaning": "active at the start and at the end"}
    return {"as_of": str(AS_OF), "definitions": {name: {"name": name, **meaning} for name in names}}


def _plan() -> dict[str, Any]:
    points = ((0.0, 0.0, 0.0), (60.0, 60.0, 300.0), (137.0, 137.0, 838.0), (274.0, 270.0, 1100.0))
    return {
        "campaign_id": "winter",
        "customers": CUSTOMERS,
        "offers": {"coupon-5": 46, "points-100": 46, "none": 45},
        "suppressed": {"holdout": 22, "cooldown": 20, "budget_exhausted": 3},
        "expected_gain": 975.0,
        "expected_cost": 137.0,
        "expected_value": 838.0,
        "budget": 137.0,
        "arms": {"treatment": 115, "holdout": 22, "control": 0, "explore": 0},
        "held_out": 22,
        "lambda": 3.1,
        "effect_sources": ["assumed"],
        "groups": [],
        "value_curve": [
            *({"budget": b, "expected_cost": c, "expected_value": v} for b, c, v in points),
            {"budget": None, "expected_cost": 400.0, "expected_value": 1150.0},
        ],
        "currency": "EUR",
    }


def _periods() -> list[dict[str, Any]]:
    rows = []
    for n in range(13):
        start = date(2017, 1, 2) + timedelta(days=28 * n)
        rate = None if n < 2 else 88.0 + n % 5
        rows.append(
            {
                "split": "all",
                "value": "all",
                "period": str(start),
                "start": str(start),
                "is_partial": False,
                "is_truncated": n < 2,
                "active_at_start": 2000 + n,
                "kept": 1800 + n,
                "lost": 200,
                "new": 150 + n,
                "won_back": 60,
                "active_at_end": 2010 + 2 * n,
                "retention_rate_percent": rate,
                "retention_rate_percent_low": rate and rate - 1.1,
                "retention_rate_percent_high": rate and rate + 1.1,
                "retention_rate_last_year_percent": None,
                "retention_rate_before_percent": rate and rate - 0.4,
                "churn_rate_percent": rate and 100 - rate,
                "end": str(start + timedelta(days=28)),
                "arrived": 210 + n,
                "buyers": 1958,
                "orders": 11588,
                "purchase_frequency": 5.9,
                "average_order_value": 29.32,
                "gross_revenue": 339746.77,
                "refunds": 0.0,
                "net_revenue": 339746.77,
                "repeat_purchase_rate_percent": 81.6,
            }
        )
    return rows


def _cohorts() -> list[dict[str, Any]]:
    rows = []
    for n in range(6):
        start = date(2017, 7, 3) + timedelta(days=28 * n)
        for age in range(7 - n):
            is_open = age == 6 - n
            rows.append(
                {
                    "cohort": str(start),
                    "is_truncated": n == 0,
                    "cohort_size": 250 - 10 * n,
                    "age": age,
                    "customers": 250 - 10 * n - 20 * age,
                    "customers_percent": 100.0 - 9.0 * age - n,
                    "is_open": is_open,
                    "cumulative_margin_per_customer": 10.47 * (age + 1),
                    "closes_on": str(AS_OF + timedelta(days=28)) if is_open else None,
                }
            )
    return rows


def _survival() -> list[dict[str, Any]]:
    return [
        {"days": day, "survival": 1 - day / 400, "at_risk": 2469 - day} for day in range(1, 300, 9)
    ]


def _segments() -> dict[str, Any]:
    names = [*SEGMENTS, "not a customer"]
    rows = [
        {
            "segment": name,
            "customers": 4 if name == "new" else 403 - 40 * n,
            "share": 16.3 - n,
            "active": 300,
            "r_score": 3.9,
            "f_score": 4.7,
            "m_score": 5.0,
            "recency_days": 2.0,
            "purchase_days": 107.0,
            "net_spend": 2176031.39,
            "spend_share": 47.4,
        }
        for n, name in enumerate(SEGMENTS)
    ]
    moves = [
        {"from_segment": a, "to_segment": b, "customers": 350 if a == b else (i * 7 + j) % 40}
        for i, a in enumerate(names)
        for j, b in enumerate(SEGMENTS)
    ]
    people = [{"group": "best", "customers": 403, "persona": "Bought on 107 days (all: 39)."}]
    return {
        **_defined("customers"),
        "resolved": {"since": "2017-12-04", "bounds": {"version": 1, "learnt_as_of": "2018-01-01"}},
        "segments": rows,
        "migration": moves,
        "clusters": [
            {
                "cluster": "1",
                "customers": 1318,
                "stability": 0.987,
                "purchase_days": 68.0,
                "net_spend": 2376.2,
                "recency_days": 3.0,
            }
        ],
        "personas": people,
    }


def _journey() -> dict[str, Any]:
    counts = {"at_start": 1142, "stayed": 900, "out": 242, "into": 210, "at_end": 1110}
    return {
        **_defined("at_start"),
        "resolved": {"start": "2017-12-04", "end": "2018-01-01"},
        "stages": [
            {
                "stage": "aware",
                "connected": False,
                **dict.fromkeys(counts),
                "most_go_to": None,
                "median_days": None,
            },
            {
                "stage": "repeat",
                "connected": True,
                **counts,
                "most_go_to": "at risk",
                "median_days": 41.0,
            },
        ],
        "transitions": [
            {
                "from_stage": "first purchase",
                "to_stage": "repeat",
                "customers": 3,
                "net_spend_year_before": 33.57,
            },
            {
                "from_stage": "repeat",
                "to_stage": "at risk",
                "customers": 168,
                "net_spend_year_before": 111555.12,
            },
        ],
        "leaks": [
            {
                "from_stage": "repeat",
                "to_stage": "at risk",
                "customers": 168,
                "share": 14.7,
                "net_spend_year_before": 111555.12,
            }
        ],
        "frictions": [
            {
                "friction": "late delivery",
                "named": True,
                "exposed": 412,
                "unmatched": 3,
                "lapses": 412,
                "observed": 31,
                "expected": 18.2,
                "ratio": 1.7,
                "ratio_low": 1.2,
                "ratio_high": 2.4,
                "p_value": 0.004,
            }
        ],
    }


def _signals() -> dict[str, Any]:
    looks = [
        {
            "split": "everyone",
            "value": "",
            "signal": False,
            "customers_before": 2400,
            "kept_before": 2174,
            "customers": 2459,
            "kept": 2230,
            "percent_before": 90.6,
            "percent": 90.7,
            "change": 0.1,
            "half_width": 1.6,
            "p_value": 0.9,
        },
        {
            "split": "region",
            "value": "north",
            "signal": True,
            "customers_before": 400,
            "kept_before": 360,
            "customers": 410,
            "kept": 330,
            "percent_before": 90.0,
            "percent": 80.5,
            "change": -9.5,
            "half_width": 4.6,
            "p_value": 0.0001,
        },
    ]
    return {
        **_defined("kept"),
        "resolved": {"period": "2017-12", "compared_with": "2016-12"},
        "signals": looks[1:],
        "looks": looks,
        "parts": [{"split": "region", "change": 0.1, "mix": 0.05, "rate": 0.05}],
    }


def _feedback() -> dict[str, Any]:
    return {
        **_defined("nps"),
        "resolved": {"value": "value at risk"},
        "worklist": [
            {
                "customer_id": "c00003",
                "value": 197.0,
                "source": "surveys",
                "scale": "nps",
                "score": 2.0,
                "wave": "2017-12",
                "responded_on": "2017-12-20",
            }
        ],
        "scores": [
            {
                "source": "surveys",
                "scale": "nps",
                "wave": "2017-12",
                "asked": 220,
                "responded": 100,
                "response_rate": 45.5,
                "measure": "NPS",
                "score": 30.0,
                "score_low": 14.7,
                "score_high": 45.3,
            }
        ],
        "lapses": [
            {
                "group": "responded",
                "customers": 100,
                "lapsed": 5,
                "lapse_rate": 5.0,
                "lapse_rate_low": 2.2,
                "lapse_rate_high": 11.2,
            }
        ],
    }


def _model() -> dict[str, Any]:
    names = ("roc_auc", "average_precision", "lift_at_10_percent", "log_loss", "brier")
    figures = {f"{m}{end}": 0.5 + k / 10 for k, m in enumerate(names) for end in ENDS}
    counts = {"group": "eligible", "rows": 4462, "customers": 2272, "base_rate": 0.137}
    bins = [{"rows": 446, "predicted": n / 20, "observed": [n / 20, 0.0, 0.2]} for n in range(10)]
    listed = [n / 10 for n in range(11)]
    promotion = {"model_id": "churn-1", "previous": None, "cause": "training", "reason": None}
    return {
        "model_id": "churn-1",
        "as_of": "2017-12-04",
        "base_rate": 0.13,
        "clock": {"horizon_days": 28, "lookback_days": 56},
        "evaluation": {"judged": [{**counts, "predictor": n, **figures} for n in PREDICTORS]},
        "judgement": {
            "calibration": [{"group": "eligible", "bins": bins}],
            "gains": [
                {
                    "predictor": "model",
                    "listed": listed,
                    "caught": [min(1.0, 2 * n) for n in listed],
                }
            ],
            "importance": [
                {
                    "family": "frequency",
                    "features": 12,
                    "gain_share": 0.52,
                    "loss_rise": [0.06, 0, 1],
                }
            ],
        },
        "promotions": [{**promotion, "promoted_at": "2017-12-04T03:00:00+00:00"}],
    }


ENDS = ("", "_low", "_high")
PREDICTORS = ("model", "recency", "bg_nbd")
