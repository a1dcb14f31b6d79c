"""What moved against the same period of last year, and where: usually nothing.

The rate is the share kept: of the customers active at the start of the period, those active at its
end. What customers are split by is in `signal_groups.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from churn.analytics.analysis import Analysis
from churn.analytics.cells import Cell, listed
from churn.analytics.changes import EVERYONE, Population, find_changes
from churn.analytics.customer_base import CustomerBase
from churn.analytics.periods import Period, first_comparison, periods_of
from churn.analytics.segment_history import SegmentRule
from churn.analytics.signal_groups import Groups, Spans, groups_of, windows_of
from churn.analytics.signals_shown import (
    DEFINITIONS,
    LOOKS,
    PARTS,
    displays,
    look_rows,
    notes_of,
    part_rows,
)
from churn.data.days import date_of, day_number
from churn.errors import ConfigError, DataError

LEAST_SHARE = 0.001
"""The least effect: 0.1 % of the active customers, and so of their money."""


@dataclass(frozen=True)
class Comparison:
    """A period and the same period of last year."""

    now: Period
    before: Period

    @classmethod
    def of(cls, base: CustomerBase, length: str) -> Comparison:
        """The newest complete period of that length that has one of last year.

        Raises DataError if the data does not reach back so far.
        """
        first = date_of(base.first_day)
        periods = periods_of(length, first=first, as_of=base.as_of, active_days=base.active_days)
        by_label = {one.label: one for one in periods}
        for one in reversed(periods):
            if one.is_partial:
                continue
            if one.last_year in by_label:
                return cls(one, by_label[one.last_year])
            break
        raise _too_short(base, length)

    @property
    def spans(self) -> Spans:
        """Start and end of the earlier period and of this one, as day numbers."""
        return tuple(  # type: ignore[return-value]
            (day_number(one.start), day_number(one.end)) for one in (self.before, self.now)
        )


def _too_short(base: CustomerBase, length: str) -> DataError | ConfigError:
    """Why there is no such period of last year, and from when on there will be."""
    first = date_of(base.first_day)
    when = first_comparison(length, first=first, active_days=base.active_days)
    if when is None:
        rule = "signals need a period that fits whole into a year of 52 weeks or 12 months"
        fix = "Pass --period 7, 14, 28, 91, month, quarter or year."
        return ConfigError(rule, got=f"{length} days", fix=fix)
    days = day_number(when) - base.first_day
    rule = (
        f"signals compare a period with that of last year, and need {days:,} days of orders: "
        f"{base.active_days} in which customers were active, a year, and the period"
    )
    got = f"{day_number(base.as_of) - base.first_day:,} days, from {first} to {base.as_of}"
    fix = (
        f"They will work from {when} on, or now with older orders. Until then, `churn metrics` "
        "shows each period beside the preceding one."
    )
    return DataError(rule, got=got, fix=fix)


def signals(base: CustomerBase, length: str, segments: SegmentRule | None = None) -> Analysis:
    """The groups whose share kept moved against the same period of last year.

    Without a rule of segments there is no split by segment.
    """
    comparison = Comparison.of(base, length)
    windows = windows_of(base, comparison.spans, segments)
    groups = groups_of(base, windows)
    before, now = _population(groups, 0), _population(groups, 1)
    changes = find_changes(before, now, groups.values, least_events=LEAST_SHARE * len(now.event))
    parts = part_rows(before, now, groups.values)
    resolved = {
        "period": comparison.now.label,
        "compared_with": comparison.before.label,
        "active_days": base.active_days,
        "splits": list(groups.values),
    }
    if segments is not None:
        resolved["segment_bounds"] = segments.bounds.to_json()
        resolved["segment_history_days"] = windows.history_days
    return Analysis(
        "signals",
        base.as_of,
        {
            "signals": pa.Table.from_pylist(look_rows(changes, changes.signals), schema=LOOKS),
            "looks": pa.Table.from_pylist(look_rows(changes, changes.looks), schema=LOOKS),
            "parts": pa.Table.from_pylist(parts, schema=PARTS),
        },
        DEFINITIONS,
        main="looks",
        key=("split", "value"),
        resolved=resolved,
        displays=displays(changes, parts, comparison.now, comparison.before),
        notes=notes_of(changes, comparison.now, comparison.before),
        left_out={"customers": base.left_out} if base.left_out else {},
    )


def signal_customers(
    base: CustomerBase, length: str, cell: Cell, segments: SegmentRule | None = None
) -> pa.Table:
    """The customers of `kept,split=…,value=…`, `lost,…` or `start,…` in this period."""
    cell.check(names=("kept", "lost", "start"), keys=("split", "value"))
    groups = groups_of(base, windows_of(base, Comparison.of(base, length).spans, segments))
    rows, values = groups.rows, groups.values
    split, value = cell.keys.get("split", EVERYONE), cell.keys.get("value", EVERYONE)
    held = (rows["period"] == 1).to_numpy()
    if split != EVERYONE:
        if split not in values or value not in values[split]:
            rule = f"split must be one of {[EVERYONE, *values]}, and value one of its values"
            raise ConfigError(rule, got=repr(f"{split}={value}"), fix="See the table of looks.")
        held = held & (groups.codes[split] == values[split].index(value))
    if cell.name != "start":
        held = held & (rows["kept"] == (cell.name == "kept")).to_numpy()
    return listed(cell, pa.table({"customer_id": pa.array(rows["customer_id"][held], pa.string())}))


def _population(groups: Groups, place: int) -> Population:
    """The customers at the start of one of the periods."""
    own = (groups.rows["period"] == place).to_numpy()
    codes = {split: column[own] for split, column in groups.codes.items()}
    return Population((groups.rows["kept"] == 1).to_numpy()[own], codes)
