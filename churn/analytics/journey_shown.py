"""The journey as tables and sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from churn.analytics.customer_base import MILLIONTHS
from churn.analytics.frictions import Friction
from churn.analytics.stages import ACTIVE, AT_RISK, LAPSED, NAMES, STAGES
from churn.arrays import Floats, Ints
from churn.results.job_result import Table

if TYPE_CHECKING:
    from churn.analytics.customer_base import CustomerBase
    from churn.analytics.periods import Period

NOT_CONNECTED = "not connected"
STAGE_ROWS = pa.schema(
    [
        ("stage", pa.string()),
        ("connected", pa.bool_()),
        *((name, pa.int64()) for name in ("at_start", "stayed", "out", "into", "at_end")),
        ("most_go_to", pa.string()),
        ("median_days", pa.float64()),
    ]
)
TRANSITION_ROWS = pa.schema(
    [
        ("from_stage", pa.string()),
        ("to_stage", pa.string()),
        ("customers", pa.int64()),
        ("net_spend_year_before", pa.float64()),
    ]
)
LEAKS = pa.schema(
    [
        ("from_stage", pa.string()),
        ("to_stage", pa.string()),
        ("customers", pa.int64()),
        ("share", pa.float64()),
        ("net_spend_year_before", pa.float64()),
    ]
)
FRICTIONS = pa.schema(
    [
        ("friction", pa.string()),
        ("named", pa.bool_()),
        *((name, pa.int64()) for name in ("exposed", "unmatched", "lapses", "observed")),
        *((name, pa.float64()) for name in ("expected", "ratio", "ratio_low", "ratio_high")),
        ("p_value", pa.float64()),
    ]
)


def stage_rows(matrix: Ints, medians: Floats, seen: set[int]) -> list[dict[str, Any]]:
    """One row per stage; one that the tables cannot show has no numbers."""
    rows = []
    for place, name in enumerate(STAGES):
        leaving = matrix[place].copy()
        leaving[place] = 0
        stayed, start = int(matrix[place, place]), int(matrix[place].sum())
        end = int(matrix[:, place].sum())
        counts = {
            "at_start": start,
            "stayed": stayed,
            "out": start - stayed,
            "into": end - stayed,
            "at_end": end,
        }
        shown = place in seen
        most = NAMES[int(leaving.argmax())] if leaving.any() else None
        median = float(medians[place])
        rows.append(
            {
                "stage": name,
                "connected": shown,
                **(counts if shown else dict.fromkeys(counts)),
                "most_go_to": most if shown else None,
                "median_days": median if np.isfinite(median) else None,
            }
        )
    return rows


def transition_rows(matrix: Ints, spend: Ints) -> list[dict[str, Any]]:
    """One row per pair of stages with a customer."""
    return [
        {
            "from_stage": NAMES[start],
            "to_stage": NAMES[end],
            "customers": int(matrix[start, end]),
            "net_spend_year_before": spend[start, end] / MILLIONTHS,
        }
        for start, end in np.argwhere(matrix)
    ]


def leaks_of(matrix: Ints, spend: Ints) -> list[dict[str, Any]]:
    """Transitions from active stages to at risk or lapsed, the most money first."""
    pairs = [
        (start, end)
        for start in ACTIVE
        for end in (AT_RISK, LAPSED)
        if start != end and matrix[start, end]
    ]
    return [
        {
            "from_stage": NAMES[start],
            "to_stage": NAMES[end],
            "customers": int(matrix[start, end]),
            "share": float(100 * matrix[start, end] / matrix[start].sum()),
            "net_spend_year_before": spend[start, end] / MILLIONTHS,
        }
        for start, end in sorted(pairs, key=lambda pair: (-spend[pair], pair))
    ]


def friction_row(friction: Friction) -> dict[str, Any]:
    """A friction as a row."""
    low, high = friction.interval
    numbers = {"ratio": friction.ratio, "ratio_low": low, "ratio_high": high}
    return {
        "friction": friction.name,
        "named": friction.is_named,
        "exposed": friction.exposed,
        "unmatched": friction.unmatched,
        "lapses": friction.lapses,
        "observed": friction.observed,
        "expected": friction.expected,
        **{name: value if np.isfinite(value) else None for name, value in numbers.items()},
        "p_value": friction.p_value,
    }


def displays(  # the arguments are the tables that are shown
    rows: list[dict[str, Any]],
    matrix: Ints,
    leaks: list[dict[str, Any]],
    frictions: list[Friction],
    period: Period,
    currency: str,
) -> tuple[Table, ...]:
    """The ladder of stages, the matrix of transitions, the leaks and the frictions."""
    counts = ("at_start", "stayed", "out", "into", "at_end")
    ladder = tuple(
        (
            row["stage"],
            *(_count(row[name]) if row["connected"] else NOT_CONNECTED for name in counts),
            row["most_go_to"] or "",
            "" if row["median_days"] is None else f"{row['median_days']:,.0f}",
        )
        for row in rows
    )
    header = ("stage", "at start", "stayed", "out", "in", "at end", "most go to", "median days")
    shown = [
        Table(f"Stages from {period.start} to {period.end}", header, ladder),
        _matrix(matrix),
    ]
    if leaks:
        lines = tuple(
            (
                f"{one['from_stage']} → {one['to_stage']}",
                _count(one["customers"]),
                f"{one['share']:.1f} %",
                f"{one['net_spend_year_before']:,.0f}",
            )
            for one in leaks[:5]
        )
        titles = ("leak", "customers", "of the stage", f"spent in the year before, {currency}")
        shown.append(Table("Leaks", titles, lines))
    if frictions:
        heads = ("friction", "lapses after it", "expected", "ratio", "")
        compared = tuple(map(_friction, frictions))
        shown.append(Table("Frictions before lapses", heads, compared))
    return tuple(shown)


def _matrix(matrix: Ints) -> Table:
    held = [place for place in range(len(NAMES)) if matrix[place].any() or matrix[:, place].any()]
    ends = [place for place in held if matrix[:, place].any()]
    lines = [
        (NAMES[start], *(_blank(matrix[start, end]) for end in ends), _count(matrix[start].sum()))
        for start in held
        if matrix[start].any()
    ]
    lines.append(("all", *(_count(matrix[:, end].sum()) for end in ends), _count(matrix.sum())))
    header = ("from \\ to", *(NAMES[end] for end in ends), "all")
    return Table("Transitions", header, tuple(lines))


def _friction(friction: Friction) -> tuple[str, ...]:
    if friction.p_value is None:
        return friction.name, f"{friction.observed:,}", "", "", "too few to say"
    low, high = friction.interval
    return (
        friction.name,
        f"{friction.observed:,} of {friction.lapses:,}",
        f"{friction.expected:,.0f}",
        f"{friction.ratio:.1f} [{low:.1f}, {high:.1f}]",
        "more than by chance" if friction.is_named else "",
    )


def sentence(friction: Friction) -> str:
    """A friction as a sentence, which says what precedes, never what causes."""
    low, high = friction.interval
    article = "an" if friction.name[0] in "aeiou" else "a"
    if friction.name in ("low NPS", "unhappy feedback"):
        article = ""
    subject = f"{article} {friction.name}".strip()
    return (
        f"{subject[0].upper()}{subject[1:]} preceded {friction.observed:,} of "
        f"{friction.lapses:,} lapses; among customers alike {friction.expected:,.0f} would be "
        f"expected ({friction.ratio:.1f} [{low:.1f}, {high:.1f}])"
    )


def notes_of(
    base: CustomerBase,
    leaks: list[dict[str, Any]],
    frictions: list[Friction],
    period: Period,
    currency: str,
) -> tuple[str, ...]:
    """The largest leak, the frictions that are named, and what cannot be compared."""
    notes = []
    if leaks:
        one = leaks[0]
        notes.append(
            f"the largest leak: {one['customers']:,} customers went from {one['from_stage']} to "
            f"{one['to_stage']}; they had spent {one['net_spend_year_before']:,.0f} {currency} in "
            "the year before"
        )
    notes += [sentence(one) for one in frictions if one.is_named]
    tested = [one for one in frictions if one.p_value is not None]
    if tested and not any(one.is_named for one in frictions):
        notes.append("no friction precedes lapses more often than among customers alike")
    unmatched = sum(one.unmatched for one in frictions)
    if unmatched:
        notes.append(
            f"frictions: {unmatched:,} times, a customer with a friction had nobody alike without "
            "it and is left out of the comparison"
        )
    if period.is_truncated:
        notes.append(
            f"the period begins in the first {base.active_days} days of the data: customers from "
            "before look new in it"
        )
    return tuple(notes)


def _count(number: Any) -> str:
    return f"{int(number):,}"


def _blank(number: Any) -> str:
    return _count(number) if number else ""
