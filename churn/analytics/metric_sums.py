"""The sums that retention metrics are made of: per cell of a split and period, exact.

One sweep over the base counts everything; rates are made of the sums afterwards, so that a rate is
never averaged. Money is in whole millionths.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import numpy as np
import pyarrow as pa

from churn.analytics.balance import Activity, slots
from churn.analytics.customer_base import CustomerBase, added_up, millionths
from churn.analytics.splits import Split, Values, redeemed_between
from churn.arrays import Bools, Ints
from churn.data.history.columns import arrow_numbers
from churn.data.history.past import Past

EVERYONE = ("all", "all")
"""Split and value of the cell that holds everyone."""

COUNTS = (
    *("active_at_start", "kept", "lost", "new", "won_back", "active_at_end"),
    *("bought_before", "repeat_customers", "buyers", "orders", "redeemers"),
)
MONEY = (
    *("gross_revenue", "refunds", "margin", "realised_margin", "uncosted"),
    *("revenue_before", "revenue_again", "revenue_retained"),
)
MEASURES = (*COUNTS, *MONEY)
KEYS = ("split", "value", "period")
SUMS = pa.schema(
    [
        ("split", pa.string()),
        ("value", pa.string()),
        ("period", pa.int64()),
        *((name, pa.int64()) for name in MEASURES),
    ]
)
GAPS = pa.schema(
    [
        ("split", pa.string()),
        ("value", pa.string()),
        *((name, pa.int64()) for name in ("period", "days", "events", "censored")),
    ]
)


def metric_sums(
    base: CustomerBase,
    bounds: Sequence[int],
    splits: Sequence[Split],
    *,
    margin_rate: float,
    redemptions: bool,
) -> pa.Table:
    """One row of `SUMS` per split, value and period between consecutive bounds (day numbers)."""
    counted = partial(_measures, margin_rate=margin_rate, redemptions=redemptions)
    sweep = partial(summed, tuple(bounds), base.active_days, tuple(splits), counted, SUMS)
    return added_up(
        base.sweep(sweep, SUMS, grains=grains_of(splits, redemptions=redemptions)), KEYS
    )


def gap_counts(base: CustomerBase, bounds: Sequence[int], splits: Sequence[Split]) -> pa.Table:
    """One row of `GAPS` per split, value, period and length: purchase gaps that began in the active
    days before the period's end, seen until that end: those that ended, and those still open.
    """
    sweep = partial(_gaps, tuple(bounds), base.active_days, tuple(splits))
    rows = base.sweep(sweep, GAPS, grains=grains_of(splits))
    return added_up(rows, (*KEYS, "days"))


def grains_of(splits: Sequence[Split], *, redemptions: bool = False) -> set[str]:
    """The grains that those splits, and redemptions, read."""
    own = {grain for split in splits for grain in split.grains}
    return own | ({"events"} if redemptions else set())


class CellSums:
    """Sums by split and value, shape (periods, measures) each."""

    def __init__(self, periods: int, measures: int) -> None:
        self._shape = (periods, measures)
        self.cells: dict[tuple[str, str], Ints] = {}

    def add(self, split: str, names: Sequence[str], sums: Ints) -> None:
        """Adds sums of shape (names, periods, measures)."""
        for name, cell in zip(names, sums, strict=True):
            key = (split, name)
            if key not in self.cells:
                self.cells[key] = np.zeros(self._shape, dtype=np.int64)
            self.cells[key] += cell

    def batches(self, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        """One batch per cell, without those of a split that are all zero."""
        periods = np.arange(self._shape[0], dtype=np.int64)
        for (split, value), sums in self.cells.items():
            if split != EVERYONE[0] and not sums.any():
                continue
            keys = [pa.array([text] * len(periods), pa.string()) for text in (split, value)]
            columns = [arrow_numbers(column) for column in sums.T]
            yield pa.record_batch([*keys, arrow_numbers(periods), *columns], schema=schema)


def summed(
    bounds: tuple[int, ...],
    active_days: int,
    splits: tuple[Split, ...],
    counted: Callable[[Past, Activity], Iterator[Measure]],
    schema: pa.Schema,
    pasts: Iterable[Past],
) -> Iterator[pa.RecordBatch]:
    """Rows of the schema: `KEYS`, and the sums over customers of what `counted` yields, matrices of
    shape (customers, periods) in the order of the other columns.
    """
    periods, width = len(bounds) - 1, len(schema) - len(KEYS)
    found = CellSums(periods, width)
    for past in pasts:
        activity = Activity(past, bounds, active_days)
        measures = counted(past, activity)
        cells = [(split.name, split.values(past, activity)) for split in splits]
        everyone = np.zeros((1, periods, width), dtype=np.int64)
        parts = [np.zeros((len(v.names), periods, width), np.int64) for _, v in cells]
        for place, measure in enumerate(measures):
            everyone[0, :, place] = _column_sums(measure, periods)
            for (_, values), part in zip(cells, parts, strict=True):
                _add_by_cell(part[:, :, place], values, measure)
        found.add(EVERYONE[0], EVERYONE[1:], everyone)
        for (name, values), part in zip(cells, parts, strict=True):
            found.add(name, values.names, part)
    yield from found.batches(schema)


@dataclass(frozen=True)
class Sparse:
    """Values of some customers and periods, which add up; shape (values,) each."""

    customer: Ints
    period: Ints
    values: Ints


Measure: TypeAlias = Ints | Bools | Sparse
"""A matrix of shape (customers, periods), or its values that are not zero."""


def _column_sums(measure: Measure, periods: int) -> Ints:
    """The sum over customers, shape (periods,)."""
    if isinstance(measure, Sparse):
        sums = np.bincount(measure.period, measure.values.astype(np.float64), periods)
        return np.rint(sums).astype(np.int64)
    if measure.dtype == np.bool_:
        return np.array([np.count_nonzero(column) for column in measure.T], dtype=np.int64)
    return np.asarray(measure.sum(axis=0, dtype=np.int64))


def _add_by_cell(sums: Ints, values: Values, measure: Measure) -> None:
    """Adds each customer's values to their cell, shape (cells, periods)."""
    if not isinstance(measure, Sparse):
        customer, period = np.nonzero(measure)
        measure = Sparse(customer, period, measure[customer, period].astype(np.int64))
    codes = values.in_periods(sums.shape[1])[measure.customer, measure.period]
    np.add.at(sums, (codes, measure.period), measure.values)


def _measures(
    past: Past, activity: Activity, *, margin_rate: float, redemptions: bool
) -> Iterator[Measure]:
    """The measures in the order of `MEASURES`, shape (customers, periods)."""
    balance = activity.balances
    bought = np.diff(activity.before, axis=1) > 0
    twice = activity.within[:, 1:] > 1
    yield from (balance.start, balance.kept, balance.lost, balance.new, balance.won_back)
    yield from (balance.end, activity.before[:, 1:] > 0, twice, bought)
    days, rows = past.days, _rows(past, activity)
    yield rows(days.orders)
    yield _redeemers(past, activity, bought) if redemptions else np.zeros_like(bought)
    spent, returned = millionths(days.spend), millionths(days.returned)
    margin = millionths(days.margin(margin_rate))
    yield from (rows(spent), rows(returned), rows(margin))
    by_slot = slot_sums(past, activity)
    yield np.where(activity.before[:, 1:] > 0, np.cumsum(by_slot(margin), axis=1)[:, 1:-1], 0)
    yield rows(millionths(days.uncosted))
    net = by_slot(spent - returned)
    yield from _retained(net[:, 1:-1], bought)


def _rows(past: Past, activity: Activity) -> Callable[[Ints], Sparse]:
    """A function that takes whole numbers of days with orders to their customer and period."""
    period = slots(activity.dates, past.days.local_day) - 1
    inside = (period >= 0) & (period < len(activity.dates) - 1)
    customer, period = past.days.customer[inside], period[inside]
    return lambda values: Sparse(customer, period, values[inside])


def slot_sums(past: Past, activity: Activity) -> Callable[[Ints], Ints]:
    """A function that adds up whole numbers of days with orders for each customer before, in and
    after the periods, shape (customers, periods + 2).
    """
    shape = (len(activity.dates) + 1, len(past))
    place = slots(activity.dates, past.days.local_day) * shape[1] + past.days.customer

    def sums(values: Ints) -> Ints:
        counted = np.bincount(place, values.astype(np.float64), shape[0] * shape[1])
        return np.asarray(counted.astype(np.int64).reshape(shape).T)

    return sums


def _redeemers(past: Past, activity: Activity, bought: Bools) -> Bools:
    """Who bought and redeemed something in each period."""
    bounds = activity.dates.tolist()
    columns = [redeemed_between(past, *pair) for pair in itertools.pairwise(bounds)]
    return bought & np.stack(columns, axis=1)


def _retained(net: Ints, bought: Bools) -> Iterator[Ints]:
    """Of the buyers of the period before: their net revenue then, in this period, and what they
    spent again, at most as much as then. Nothing in the first period.
    """
    before = np.zeros_like(net)
    before[:, 1:] = np.maximum(net[:, :-1] * bought[:, :-1], 0)
    again = net * (before > 0)
    yield from (before, again, np.minimum(np.maximum(again, 0), before))


def _gaps(
    bounds: tuple[int, ...], active_days: int, splits: tuple[Split, ...], pasts: Iterable[Past]
) -> Iterator[pa.RecordBatch]:
    periods, width = len(bounds) - 1, 2 * (active_days + 1)
    found = CellSums(periods, width)
    for past in pasts:
        activity = Activity(past, bounds, active_days)
        cells = [(EVERYONE[0], Values(np.zeros(len(past), np.int64), EVERYONE[1:]))]
        cells += [(split.name, split.values(past, activity)) for split in splits]
        rows = _Gaps.of(activity)
        for name, values in cells:
            codes, count = values.in_periods(periods), len(values.names)
            sums = np.zeros((count, periods, width), dtype=np.int64)
            for period, end in enumerate(bounds[1:]):
                customer, place = rows.before(end, active_days)
                key = codes[customer, period] * width + place
                counted = np.bincount(key, minlength=count * width)
                sums[:, period] = counted.reshape(count, width)
            found.add(name, values.names, sums)
    yield from _gap_batches(found, active_days)


class _Gaps:
    """Purchase days in the order of their date, each with the customer's next one."""

    def __init__(self, day: Ints, next_day: Ints, customer: Ints) -> None:
        self.day, self.next_day, self.customer = day, next_day, customer

    @classmethod
    def of(cls, activity: Activity) -> _Gaps:
        day, customer = activity.day.astype(np.int64), activity.customer
        next_day = np.full(len(day), np.iinfo(np.int64).max)
        follows = customer[1:] == customer[:-1]
        next_day[:-1][follows] = day[1:][follows]
        order = np.argsort(day, kind="stable")
        return cls(day[order], next_day[order], customer[order])

    def before(self, end: int, active_days: int) -> tuple[Ints, Ints]:
        """Customer and place (the length, in the second half if still open) of each gap."""
        low, high = np.searchsorted(self.day, [end - active_days, end])
        day, next_day = self.day[low:high], self.next_day[low:high]
        is_open = next_day >= end
        length = np.where(is_open, end, next_day) - day
        return self.customer[low:high], length + is_open * (active_days + 1)


def _gap_batches(found: CellSums, active_days: int) -> Iterator[pa.RecordBatch]:
    """The lengths that occur, one batch per cell."""
    for (split, value), sums in found.cells.items():
        ended, still_open = sums[:, : active_days + 1], sums[:, active_days + 1 :]
        period, days = np.nonzero(ended + still_open)
        keys = [pa.array([text] * len(period), pa.string()) for text in (split, value)]
        columns = (period, days, ended[period, days], still_open[period, days])
        yield pa.record_batch([*keys, *map(arrow_numbers, columns)], schema=GAPS)
