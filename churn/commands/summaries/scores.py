"""Tables of scores: the base by status and risk, and changes."""

from __future__ import annotations

from datetime import date

import pandas as pd
import pyarrow as pa

from churn.results.job_result import Line, Table
from churn.scoring.changes import CHANGES
from churn.scoring.score import RISK_BANDS

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
    frame = scores.select(["status", "risk_band", "value_at_risk"]).to_pandas()
    frame["risk_band"] = pd.Categorical(frame["risk_band"], categories=RISK_BANDS, ordered=True)
    groups = frame.groupby(["status", "risk_band"], observed=True)
    counts = groups["value_at_risk"].agg(["size", "sum"])
    rows: list[Line] = [
        (status, band, f"{int(row['size']):,}", f"{row['sum']:,.2f}")
        for (status, band), row in counts.iterrows()
    ]
    header = ("status", "risk", "customers", f"value at risk, {currency}")
    return Table(f"{scores.num_rows:,} customers as of {as_of}", header, tuple(rows))


def change_counts(scores: pa.Table) -> dict[str, int]:
    """Customers by change; empty if the scores were not compared with earlier ones."""
    counts = scores.column("change").value_counts().to_pylist()
    by_change = {row["values"]: row["counts"] for row in counts if row["values"] is not None}
    return {change: by_change.get(change, 0) for change in CHANGES} if by_change else {}


def changes_table(scores: pa.Table) -> tuple[Table, ...]:
    """Changes since the earlier scores, with the mean change of probability; or nothing."""
    names = ["change", "since", "churn_probability", "probability_before"]
    frame = scores.select(names).to_pandas().dropna(subset=["change"])
    if frame.empty:
        return ()
    frame["rise"] = frame["churn_probability"] - frame["probability_before"]
    means = frame.groupby("change")["rise"].mean()
    rows: list[Line] = [
        (change.replace("_", " "), f"{count:,}", _signed(means.get(change)), MEANINGS[change])
        for change, count in change_counts(scores).items()
        if count
    ]
    header = ("", "customers", "mean change of churn probability", "")
    return (Table(f"What changed since {frame['since'].iloc[0]}", header, tuple(rows)),)


def _signed(change: float | None) -> str:
    return "" if change is None or pd.isna(change) else f"{change:+.3f}"
