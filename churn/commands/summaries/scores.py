"""Tables of scores: the base by status and risk, and changes."""

from __future__ import annotations

import math
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from churn.results.job_result import Line, Table
from churn.scoring.changes import CHANGES
from churn.scoring.score import RISK_BANDS

BASE = ("status", "risk_band", "value_at_risk", "at_risk")
CHANGED = ("change", "since", "churn_probability", "probability_before")
"""The columns of the scores that the tables are made from."""

# The meaning of each change, in display order.
MEANINGS = {
    "returned": "lapsed before; has bought since",
    "newly_at_risk": "at risk now, not before",
    "still_at_risk": "at risk before and now",
    "recovered": "at risk before; has bought since and is no longer",
    "outranked": "at risk before; has not bought, but others rank higher now",
    "lapsed": "at risk before; has lapsed since",
    "unchanged": "not at risk before or now",
    "new": "not scored before",
}


def base_table(scores: pa.Table, as_of: date, currency: str) -> Table:
    """Customers and value at risk by status and risk band."""
    keys = ["status", "risk_band"]
    groups = scores.group_by(keys).aggregate([([], "count_all"), ("value_at_risk", "sum")])
    found = {(row["status"], row["risk_band"]): row for row in groups.to_pylist()}
    rows: list[Line] = [
        (status, band, f"{row['count_all']:,}", f"{row['value_at_risk_sum'] or 0:,.2f}")
        for status in sorted({status for status, _ in found})
        for band in RISK_BANDS
        if (row := found.get((status, band)))
    ]
    header = ("status", "risk", "customers", f"value at risk, {currency}")
    return Table(f"{scores.num_rows:,} customers as of {as_of}", header, tuple(rows))


def score_metrics(scores: pa.Table) -> dict[str, Any]:
    """The totals of scores for `--json`: customers and value at risk, all and at risk, by status
    and risk band, and the changes since earlier scores.
    """
    keys = ["status", "risk_band", "at_risk"]
    known = scores.select(list(BASE))
    groups = known.group_by(keys).aggregate([([], "count_all"), ("value_at_risk", "sum")])
    base = [
        {
            **{key: row[key] for key in keys},
            "customers": row["count_all"],
            "value_at_risk": row["value_at_risk_sum"] or 0.0,
        }
        for row in groups.to_pylist()
    ]
    base.sort(key=lambda row: (row["status"], RISK_BANDS.index(row["risk_band"]), row["at_risk"]))
    risky = [row for row in base if row["at_risk"]]
    changes = change_counts(scores)
    return {
        "customers": scores.num_rows,
        "value_at_risk": math.fsum(row["value_at_risk"] for row in base),
        "at_risk": sum(row["customers"] for row in risky),
        "value_at_risk_of_those_at_risk": math.fsum(row["value_at_risk"] for row in risky),
        "base": base,
        **({"changes": changes} if changes else {}),
    }


def change_counts(scores: pa.Table) -> dict[str, int]:
    """Customers by change; empty if the scores were not compared with earlier ones."""
    counts = scores.column("change").value_counts().to_pylist()
    by_change = {row["values"]: row["counts"] for row in counts if row["values"] is not None}
    return {change: by_change.get(change, 0) for change in CHANGES} if by_change else {}


def changes_table(scores: pa.Table) -> tuple[Table, ...]:
    """Changes since the earlier scores, with the mean change of probability; or nothing."""
    changed = scores.filter(pc.is_valid(scores["change"]))
    if not changed.num_rows:
        return ()
    rise = pc.subtract(changed["churn_probability"], changed["probability_before"])
    groups = pa.table({"change": changed["change"], "rise": rise}).group_by("change")
    mean = groups.aggregate([("rise", "mean")]).to_pylist()
    means = {row["change"]: row["rise_mean"] for row in mean}
    rows: list[Line] = [
        (change.replace("_", " "), f"{count:,}", _signed(means.get(change)), MEANINGS[change])
        for change, count in change_counts(scores).items()
        if count
    ]
    header = ("", "customers", "mean change of churn probability", "")
    return (Table(f"What changed since {changed['since'][0].as_py()}", header, tuple(rows)),)


def _signed(change: float | None) -> str:
    return "" if change is None else f"{change:+.3f}"
