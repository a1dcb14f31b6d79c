"""What customers say: scores per wave, who lapses, and the worklist of whom to answer first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from churn.analytics.analysis import Analysis
from churn.analytics.cells import Cell, listed
from churn.analytics.customer_base import OBJECTED
from churn.analytics.definitions import Definition, defined
from churn.analytics.feedback import (
    SCALES,
    latest_answers,
    net_promoter_score,
    satisfaction,
)
from churn.analytics.feedback_data import FEEDBACK_TABLES, responses
from churn.analytics.proportions import wilson_interval
from churn.data.consent import current_objectors
from churn.data.days import date_of, day_number
from churn.data.people import known_orders
from churn.data.tables import Snapshot
from churn.errors import DataError
from churn.results.job_result import Table

if TYPE_CHECKING:
    import pandas as pd

OPEN_DAYS = 90
VALUE_DAYS = 365
SHOWN = 10
CELLS = ("asked", "responded", "satisfied", "promoters", "passives", "detractors", "unhappy")
DEFINITIONS = defined(
    [
        Definition("asked", "customers", "rows of the wave, the latest response of each customer"),
        Definition("responded", "customers", "of them, those with a score"),
        Definition("response_rate", "%", "responded, of asked; unknown if nobody is without one"),
        Definition(
            "nps",
            "-100 to 100",
            "promoters (9, 10) minus detractors (0 to 6), % of responses",
            "Reichheld 2003",
        ),
        Definition(
            "csat",
            "%",
            "top two scores (4, 5 of 1 to 5; 6, 7 of 1 to 7; 9, 10 of 1 to 10), of responses",
        ),
        Definition("interval", "", "95 %: normal for NPS, Wilson for shares", "Wilson 1927"),
        Definition("lapse_rate", "%", "no purchase in the active days before the date"),
        Definition(
            "unhappy", "", "0 to 6 of NPS; 1, 2 of 1 to 5; 1 to 3 of 1 to 7; 1 to 5 of 1 to 10"
        ),
        Definition(
            "worklist",
            "customers",
            f"unhappy in the latest response of the last {OPEN_DAYS} days, not answered by the "
            "shop, with value; the highest value first",
        ),
        Definition(
            "value",
            "currency",
            f"value at risk in the scores given; else net spend in the last {VALUE_DAYS} days",
        ),
    ]
)
SCORES = pa.schema(
    [
        *((name, pa.string()) for name in ("source", "scale", "wave")),
        *((name, pa.int64()) for name in ("asked", "responded")),
        *((f"response_rate{end}", pa.float64()) for end in ("", "_low", "_high")),
        ("measure", pa.string()),
        *((f"score{end}", pa.float64()) for end in ("", "_low", "_high")),
        *((name, pa.int64()) for name in ("promoters", "passives", "detractors", "satisfied")),
    ]
)
RATE = ("response_rate", "response_rate_low", "response_rate_high")
LAPSES = pa.schema(
    [
        ("group", pa.string()),
        ("customers", pa.int64()),
        ("lapsed", pa.int64()),
        *((f"lapse_rate{end}", pa.float64()) for end in ("", "_low", "_high")),
    ]
)
WORKLIST = pa.schema(
    [
        ("customer_id", pa.string()),
        ("value", pa.float64()),
        ("source", pa.string()),
        ("scale", pa.string()),
        ("score", pa.float64()),
        ("wave", pa.string()),
        ("responded_on", pa.date32()),
    ]
)


@dataclass(frozen=True)
class Worth:
    """The value of customers by id, and what it is."""

    by_customer: dict[str, float]
    meaning: str

    @classmethod
    def of_scores(cls, scores: pa.Table) -> Worth:
        """The value at risk in scores."""
        ids, values = scores["customer_id"].to_pylist(), scores["value_at_risk"].to_pylist()
        found = {name: value or 0.0 for name, value in zip(ids, values, strict=True)}
        return cls(found, "value at risk")

    @classmethod
    def of_spend(cls, snapshot: Snapshot) -> Worth:
        """The net spend in the last year."""
        since = day_number(snapshot.as_of) - VALUE_DAYS
        sql = (
            "SELECT customer_id, sum(amount) AS spend FROM orders "  # noqa: S608 - numbers of ours
            f"WHERE {known_orders(snapshot)} AND local_day >= {since} GROUP BY customer_id"
        )
        rows = snapshot.tables.engine.query(sql)
        pairs = zip(rows["customer_id"].to_pylist(), rows["spend"].to_pylist(), strict=True)
        return cls(dict(pairs), f"net spend in {VALUE_DAYS} days")


def feedback(snapshot: Snapshot, *, active_days: int, worth: Worth | None = None) -> Analysis:
    """NPS, CSAT and lapse rates by wave, and the worklist. DataError if neither table exists."""
    if not any(snapshot.tables.has(table) for table in FEEDBACK_TABLES):
        rule = "feedback needs the table of surveys or of reviews"
        fix = "Connect [data.surveys] or [data.reviews]."
        raise DataError(rule, got="neither", fix=fix)
    worth = worth or Worth.of_spend(snapshot)
    rows = responses(snapshot)
    scores = score_rows(rows)
    lapses = _lapse_rows(snapshot, rows, active_days)
    todo = worklist(rows, snapshot, worth)
    objecting = len(current_objectors(snapshot.tables))
    return Analysis(
        "feedback",
        snapshot.as_of,
        {
            "worklist": pa.Table.from_pandas(todo, schema=WORKLIST, preserve_index=False),
            "scores": pa.Table.from_pylist(scores, schema=SCORES),
            "lapses": pa.Table.from_pylist(lapses, schema=LAPSES),
        },
        DEFINITIONS,
        main="worklist",
        key=("customer_id",),
        resolved={"active_days": active_days, "value": worth.meaning, "open_days": OPEN_DAYS},
        displays=_displays(scores, lapses, todo, worth, snapshot.tables.settings.currency),
        notes=_notes(rows, todo, worth, snapshot.tables.settings.currency),
        left_out={"customers": {OBJECTED: objecting}} if objecting else {},
    )


def score_rows(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """One row per table, scale and wave, the latest response of each customer counted."""
    found = []
    for (source, scale, wave), own in rows.groupby(["table", "scale", "wave"], sort=True):
        latest = latest_answers(own)
        scores = latest["score"].to_numpy(np.float64)
        asked, responded = len(latest), int(np.isfinite(scores).sum())
        rates: tuple[float | None, ...] = (None, None, None)
        if responded < asked:
            rates = _percentages(responded, asked)
        row = {
            "source": source,
            "scale": scale,
            "wave": wave,
            "asked": asked,
            "responded": responded,
            **dict(zip(RATE, rates, strict=True)),
        }
        found.append(row | _measure(scores, str(scale)))
    return found


def _measure(scores: Any, scale: str) -> dict[str, Any]:
    satisfied = satisfaction(scores, SCALES[scale])
    row: dict[str, Any] = {"satisfied": satisfied.satisfied}
    measured: Any = satisfied
    row["measure"], row["score"] = "CSAT", satisfied.percent
    if scale == "nps":
        measured = net_promoter_score(scores)
        row["measure"], row["score"] = "NPS", measured.score
        for name in ("promoters", "passives", "detractors"):
            row[name] = getattr(measured, name)
    row["score_low"], row["score_high"] = measured.interval
    if not measured.count:
        row |= dict.fromkeys(("score", "score_low", "score_high"))
    return row


def _percentages(count: int, total: int) -> tuple[float, float, float]:
    low, high = wilson_interval(count, total)
    return 100 * count / total, 100 * low, 100 * high


def _lapse_rows(snapshot: Snapshot, rows: pd.DataFrame, active_days: int) -> list[dict[str, Any]]:
    """The lapse rates of those who responded, of the unhappy among them, and of all others."""
    last = _last_days(snapshot)
    end = day_number(snapshot.as_of)
    responded = rows[rows["score"].notna()]
    latest = responded.sort_values("day", kind="stable").drop_duplicates("customer_id", keep="last")
    answered = set(latest["customer_id"])
    low = set(latest.loc[latest["unhappy"].astype(bool), "customer_id"])
    asked = set(rows["customer_id"]) - answered
    groups = {
        "responded": answered,
        "responded, unhappy": low,
        "asked, no response": asked,
        "all others": set(last) - answered - asked,
    }
    found = []
    for name, members in groups.items():
        days = [last[member] for member in members if member in last]
        lapsed = sum(day < end - active_days for day in days)
        if days:
            rate, lowest, highest = _percentages(lapsed, len(days))
            row = {"lapse_rate": rate, "lapse_rate_low": lowest, "lapse_rate_high": highest}
            found.append({"group": name, "customers": len(days), "lapsed": lapsed, **row})
    return found


def _last_days(snapshot: Snapshot) -> dict[str, int]:
    """The last purchase day of each customer, without objectors."""
    sql = (
        "SELECT customer_id, max(local_day) AS last_day FROM orders "  # noqa: S608 - names of ours
        f"WHERE amount > 0 AND {known_orders(snapshot)} GROUP BY customer_id"
    )
    rows = snapshot.tables.engine.query(sql)
    objecting = current_objectors(snapshot.tables)
    pairs = zip(rows["customer_id"].to_pylist(), rows["last_day"].to_pylist(), strict=True)
    return {name: int(day) for name, day in pairs if name not in objecting}


def worklist(rows: pd.DataFrame, snapshot: Snapshot, worth: Worth) -> pd.DataFrame:
    """The unhappy whom nobody has answered, the highest value first.

    The latest response of a customer counts, in any table; of two at the same time the unhappy one.
    It has to be of the last 90 days.
    """
    import pandas as pd

    end = day_number(snapshot.as_of)
    responded = rows[rows["score"].notna()]
    ordered = responded.sort_values(["day", "unhappy"], kind="stable")
    latest = ordered.drop_duplicates("customer_id", keep="last")
    answered = latest["answered"].fillna(False).astype(bool)
    is_open = latest["unhappy"].astype(bool) & ~answered & (latest["local_day"] >= end - OPEN_DAYS)
    found = latest[is_open].rename(columns={"table": "source"})
    values = found["customer_id"].map(worth.by_customer).astype(np.float64).fillna(0.0)
    days = [date_of(int(day)) for day in found["local_day"]]
    dates = pd.Series(days, index=found.index, dtype=object)
    found = found.assign(value=values, responded_on=dates)
    found = found[found["value"] > 0].sort_values(
        ["value", "customer_id"], ascending=[False, True], kind="stable"
    )
    columns: list[str] = WORKLIST.names
    return found.loc[:, columns].reset_index(drop=True)


def feedback_customers(snapshot: Snapshot, cell: Cell) -> pa.Table:
    """The customers of `detractors,source=surveys,wave=…` and the like."""
    cell.check(names=CELLS, keys=("source", "scale", "wave"))
    rows = responses(snapshot).rename(columns={"table": "source"})
    for key, value in cell.keys.items():
        rows = rows[rows[key] == value]
    latest = latest_answers(rows)
    score = latest["score"]
    nps = latest["scale"] == "nps"
    top = latest["scale"].map({name: scale.satisfied_from for name, scale in SCALES.items()})
    tests = {
        "asked": score.notna() | score.isna(),
        "responded": score.notna(),
        "satisfied": score >= top,
        "promoters": nps & (score >= 9),
        "passives": nps & (score >= 7) & (score < 9),
        "detractors": nps & (score <= 6),
        "unhappy": latest["unhappy"].astype(bool),
    }
    ids = sorted(set(latest.loc[tests[cell.name].astype(bool), "customer_id"]))
    return listed(cell, pa.table({"customer_id": pa.array(ids, pa.string())}))


def _displays(
    scores: list[dict[str, Any]],
    lapses: list[dict[str, Any]],
    todo: pd.DataFrame,
    worth: Worth,
    currency: str,
) -> tuple[Table, ...]:
    lines = tuple(
        (
            row["source"],
            row["wave"],
            row["measure"] if row["scale"] == "nps" else f"{row['measure']} ({row['scale']})",
            _interval(row, "score", "" if row["scale"] == "nps" else " %"),
            f"{row['responded']:,}",
            _interval(row, "response_rate", " %"),
        )
        for row in scores
    )
    header = ("source", "wave", "measure", "score", "responses", "response rate")
    shown = [Table("Feedback", header, lines)]
    rates = tuple(
        (row["group"], f"{row['customers']:,}", _interval(row, "lapse_rate", " %"))
        for row in lapses
    )
    shown.append(Table("Lapsed by now", ("customers who", "number", "lapsed"), rates))
    if len(todo):
        rows = tuple(
            (
                str(one["customer_id"]),
                f"{one['value']:,.2f}",
                f"{one['score']:g} ({one['scale']})",
                str(one["responded_on"]),
            )
            for one in todo.head(SHOWN).to_dict("records")
        )
        title = f"To answer first: {min(SHOWN, len(todo))} of {len(todo):,}"
        heads = ("customer", f"{worth.meaning}, {currency}", "score", "responded on")
        shown.append(Table(title, heads, rows))
    return tuple(shown)


def _interval(row: dict[str, Any], name: str, unit: str) -> str:
    if row[name] is None:
        return "unknown"
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    return f"{row[name]:.1f}{unit} [{low:.1f}, {high:.1f}]"


def _notes(rows: pd.DataFrame, todo: pd.DataFrame, worth: Worth, currency: str) -> tuple[str, ...]:
    notes = []
    if len(todo):
        stake = todo["value"].sum()
        notes.append(
            f"{len(todo):,} unhappy customers ({worth.meaning}: {stake:,.2f} {currency}) have had "
            "no answer: pass the list to `churn plan --worklist`, and service precedes offers"
        )
    if rows["answered"].isna().all() and len(rows):
        notes.append(
            "no table says which customers were answered (column answered): all count as unanswered"
        )
    if len(rows) and rows["score"].notna().all():
        notes.append("the response rate is unknown: the tables list no one who did not respond")
    return tuple(notes)
