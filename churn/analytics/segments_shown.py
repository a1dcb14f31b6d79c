"""Segments as tables and sentences."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from churn.analytics.clusters import NO_CLUSTER
from churn.analytics.definitions import Definition, defined
from churn.analytics.segments import NOT_YET, SEGMENTS, SegmentBounds
from churn.results.job_result import Table

if TYPE_CHECKING:
    import pandas as pd

DEFINITIONS = defined(
    [
        Definition("customers", "customers", "everyone known before the date, in one segment each"),
        Definition("share", "%", "customers of the segment, of all customers"),
        Definition("active", "customers", "not lapsed: bought within the lookback"),
        Definition("r_score", "1 to 5", "recency: 5 minus the cut points of days exceeded; mean"),
        Definition("f_score", "1 to 5", "frequency: 1 plus the cut points of days reached; mean"),
        Definition("m_score", "1 to 5", "money: 1 plus the cut points of net spend reached; mean"),
        Definition("recency_days", "days", "median days since the last purchase day"),
        Definition("purchase_days", "days", "median number of days with a purchase"),
        Definition("net_spend", "currency", "purchases minus returns, total of the segment"),
        Definition("spend_share", "%", "net spend of the segment, of that of all customers"),
        Definition("migration", "customers", "by segment at the earlier and at the later date"),
        Definition(
            "stability",
            "0 to 1",
            "mean Jaccard similarity of a cluster with its like in bootstrap samples; clusters are "
            "published from 0.75 on, if tighter than those of one normal distribution",
            "Hennig 2007; Liu et al. 2008",
        ),
        *(Definition(f"segment {name}", "", meaning) for name, meaning in SEGMENTS.items()),
    ]
)
PERSONAS = pa.schema([("group", pa.string()), ("customers", pa.int64()), ("persona", pa.string())])


def personas(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """At most three sentences on each segment and cluster; each figure is a median, beside that of
    all who bought.
    """
    base = rows[rows["purchase_days"] > 0]
    groups = [(name, base[base["segment"] == name]) for name in SEGMENTS]
    numbers = sorted(set(base["cluster"]) - {NO_CLUSTER})
    groups += [(f"cluster {number}", base[base["cluster"] == number]) for number in numbers]
    return [
        {"group": name, "customers": len(own), "persona": " ".join(_sentences(own, base))}
        for name, own in groups
        if len(own)
    ]


def _sentences(own: pd.DataFrame, base: pd.DataFrame) -> list[str]:
    def medians(values: str) -> list[float]:
        return [float(rows[values].median()) for rows in (own, base)]

    days, everyone = medians("purchase_days")
    spend, all_spend = medians("net_spend")
    recency, all_recency = medians("recency_days")
    return [
        f"Bought on {_days(days)} (all: {_count(everyone)}).",
        f"Spent {spend:,.2f} (all: {all_spend:,.2f}).",
        f"Last purchase {_days(recency)} ago (all: {_count(all_recency)}).",
    ]


def _days(median: float) -> str:
    """The days as text: 1 day, 1.5 days."""
    return f"{_count(median)} day" + ("" if median == 1 else "s")


def _count(median: float) -> str:
    """A median of whole numbers, which is whole or ends in a half."""
    return f"{median:,.{0 if median.is_integer() else 1}f}"


def displays(
    table: pd.DataFrame,
    moved: pd.DataFrame,
    clusters: pd.DataFrame,
    people: list[dict[str, Any]],
    bounds: SegmentBounds,
    *,
    since: date,
    as_of: date,
    currency: str,
) -> tuple[Table, ...]:
    """The segments, their cut points, the migration, clusters if there are any, and personas."""
    header = ("segment", "customers", "share", "R", "F", "M", "last purchase", "days", currency)
    lines = [
        (
            row["segment"],
            f"{row['customers']:,}",
            f"{row['share']:.1f} %",
            *(_number(row[name], ".1f") for name in ("r_score", "f_score", "m_score")),
            _number(row["recency_days"], ",.0f", " days ago"),
            _number(row["purchase_days"], ",.0f"),
            f"{row['net_spend']:,.0f}",
        )
        for row in table.to_dict("records")
    ]
    shown = [
        Table(f"Segments as of {as_of}", header, tuple(lines)),
        _bounds_display(bounds),
        _migration_display(moved, since, as_of),
    ]
    if len(clusters):
        lines = [
            (one["cluster"], f"{one['customers']:,}", f"{one['stability']:.2f}")
            for one in clusters.to_dict("records")
        ]
        shown.append(Table("Clusters", ("cluster", "customers", "stability"), tuple(lines)))
    lines = [(one["group"], one["persona"]) for one in people]
    title = "Personas: medians of each group, beside those of all who bought"
    shown.append(Table(title, ("group", "who they are"), tuple(lines)))
    return tuple(shown)


def _bounds_display(bounds: SegmentBounds) -> Table:
    rows = tuple(
        (name, *(_number(cut, ",.6g") for cut in getattr(bounds, name)))
        for name in ("recency_days", "purchase_days", "net_spend")
    )
    title = f"Cut points, version {bounds.version}, learnt as of {bounds.learnt_as_of}"
    return Table(title, ("measure", "1 | 2", "2 | 3", "3 | 4", "4 | 5"), rows)


def _migration_display(moved: pd.DataFrame, since: date, as_of: date) -> Table:
    matrix = moved.pivot(index="from_segment", columns="to_segment", values="customers")
    matrix = matrix.loc[[*SEGMENTS, NOT_YET], [*SEGMENTS]]
    lines = [
        (str(name), *(f"{count:,}" if count else "" for count in row), f"{sum(row):,}")
        for name, row in zip(matrix.index, matrix.to_numpy().tolist(), strict=True)
    ]
    totals = matrix.sum(axis=0)
    lines.append(("all", *(f"{count:,}" for count in totals), f"{int(totals.sum()):,}"))
    title = f"Migration from {since} (rows) to {as_of} (columns)"
    return Table(title, ("segment", *SEGMENTS, "all"), tuple(lines))


def _number(value: float, form: str, unit: str = "") -> str:
    return "" if value is None or not np.isfinite(value) else f"{value:{form}}{unit}"
