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
    "returned": "lapsed then; has bought since",
    "newly_at_risk": "at risk now, not then",
    "still_at_risk": "at risk then and now",
    "recovered": "at risk then; has bought since, and is not now",
    "outranked": "at risk then; has not bought, but others rank higher now",
    "lapsed": "at risk then; has lapsed since",
    "unchanged": "at risk neither then nor now",
    "new": "not scored then",
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
    found = {one["values"]: one["counts"] for one in counts if one["values"] is not None}
    return {change: found.get(change, 0) for change in CHANGES} if found else {}


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
    header = ("", "customers", "mean change in P(lapse)", "")
    return (Table(f"What changed since {frame['since'].iloc[0]}", header, tuple(rows)),)


def _signed(change: float | None) -> str:
    return "" if change is None or pd.isna(change) else f"{change:+.3f}"
