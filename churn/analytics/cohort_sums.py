"""The counts that cohorts and survival curves are made of, from one sweep over the base."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial

import numpy as np
import pyarrow as pa

from churn.analytics.balance import Activity, slots
from churn.analytics.customer_base import CustomerBase, added_up, millionths
from churn.arrays import Bools, Floats, Ints
from churn.data.history.columns import arrow_numbers
from churn.data.history.past import Past

COUNTS = pa.schema(
    [("kind", pa.string()), *((name, pa.int64()) for name in ("row", "column", "one", "other"))]
)
"""Rows of several kinds: `cohort` (cohort, age, customers, revenue in millionths), `margin`
(cohort, age, margin in millionths, 0), `second` and
`lapse` (days, 0, events, censored), `frequency` (repeat purchase days, 0, customers, 0).
"""

MOST_REPEATS = 7


def cohort_sums(base: CustomerBase, bounds: Sequence[int], *, margin_rate: float) -> pa.Table:
    """The rows of `COUNTS` for periods between consecutive bounds (day numbers)."""
    sweep = partial(_counts, tuple(bounds), base.active_days, margin_rate)
    return added_up(base.sweep(sweep, COUNTS), ("kind", "row", "column"))


def _counts(
    bounds: tuple[int, ...], active_days: int, margin_rate: float, pasts: Iterable[Past]
) -> Iterator[pa.RecordBatch]:
    periods = len(bounds) - 1
    cohorts = np.zeros((3, periods, periods), dtype=np.int64)
    curves = np.zeros((2, 2, bounds[-1] - bounds[0] + active_days + 2), dtype=np.int64)
    repeats = np.zeros(MOST_REPEATS + 1, dtype=np.int64)
    for past in pasts:
        activity = Activity(past, bounds, active_days)
        first, bought = _first_days(activity)
        cohort = np.searchsorted(activity.dates, first, side="right") - 1
        _add_cohorts(cohorts, past, activity, np.where(bought, cohort, -1), margin_rate)
        last = past.moment.day
        _add(curves[0], *second_purchases(activity, first, bought, last))
        _add(curves[1], *lapses(activity, first, bought, last))
        count = np.bincount(activity.customer, minlength=len(past))[bought] - 1
        repeats += np.bincount(np.minimum(count, MOST_REPEATS), minlength=MOST_REPEATS + 1)
    yield _batch("cohort", *cohorts[:2])
    yield _batch("margin", cohorts[2], np.zeros_like(cohorts[2]))
    yield _batch("second", *curves[0][:, :, None])
    yield _batch("lapse", *curves[1][:, :, None])
    yield _batch("frequency", repeats[:, None], np.zeros_like(repeats)[:, None])


def _first_days(activity: Activity) -> tuple[Ints, Bools]:
    """The first purchase day of each customer, and who bought at all."""
    bought = np.zeros(len(activity.first_row), dtype=bool)
    bought[activity.customer] = True
    first = np.zeros(len(bought), dtype=np.int64)
    first[bought] = activity.day[activity.first_row[bought]]
    return first, bought


def _add_cohorts(
    cohorts: Ints, past: Past, activity: Activity, cohort: Ints, margin_rate: float
) -> None:
    """Adds buyers, net revenue and margin by cohort (-1: none) and age, the periods since its
    own.
    """
    days, periods = past.days, cohorts.shape[1]
    period = slots(activity.dates, days.local_day) - 1
    own = cohort[days.customer]
    counts = (period >= own) & (own >= 0) & (period < periods)
    key = own * periods + period - own
    rows = np.flatnonzero(counts & days.bought)
    customer, when = days.customer[rows], period[rows]
    begins = np.ones(len(rows), dtype=bool)
    begins[1:] = (customer[1:] != customer[:-1]) | (when[1:] != when[:-1])
    size = periods * periods
    buyers = np.bincount(key[rows[begins]], minlength=size)
    cohorts[0] += buyers.reshape(periods, periods)
    net = millionths(days.spend) - millionths(days.returned)
    for sums, values in zip(cohorts[1:], (net, millionths(days.margin(margin_rate))), strict=True):
        money = np.bincount(key[counts], values[counts].astype(np.float64), size)
        sums += np.rint(money).astype(np.int64).reshape(periods, periods)  # noqa: PLW2901


def second_purchases(
    activity: Activity, first: Ints, bought: Bools, end: int
) -> tuple[Ints, Bools]:
    """For each buyer, the days to the second purchase day, or to the end, and whether it came."""
    row = activity.first_row[bought] + 1
    count = np.bincount(activity.customer, minlength=len(bought))[bought]
    came = count > 1
    second = np.full(len(row), end, dtype=np.int64)
    second[came] = activity.day[row[came]]
    return second - first[bought], came


def lapses(activity: Activity, first: Ints, bought: Bools, end: int) -> tuple[Ints, Bools]:
    """For each buyer, the days until they had bought nothing for `active_days`, or to the end, and
    whether that happened.
    """
    day, customer = activity.day.astype(np.int64), activity.customer
    following = np.full(len(day), end, dtype=np.int64)
    same = customer[1:] == customer[:-1]
    following[:-1][same] = day[1:][same]
    lapsed = day + activity.active_days <= np.minimum(following, end)
    when = np.full(len(bought), end, dtype=np.int64)
    rows = np.flatnonzero(lapsed)[::-1]  # the first of a customer is assigned last
    when[customer[rows]] = day[rows] + activity.active_days
    happened = np.zeros(len(bought), dtype=bool)
    happened[customer[rows]] = True
    return when[bought] - first[bought], happened[bought]


def _add(curve: Ints, days: Ints, happened: Bools) -> None:
    for place, where in enumerate((happened, ~happened)):
        curve[place] += np.bincount(days[where], minlength=curve.shape[1])


def _batch(kind: str, one: Ints | Floats, other: Ints | Floats) -> pa.RecordBatch:
    """The places of two matrices at which one of them is not zero."""
    row, column = np.nonzero((one != 0) | (other != 0))
    kinds = pa.array([kind] * len(row), pa.string())
    columns = (row, column, one[row, column], other[row, column])
    return pa.record_batch([kinds, *map(arrow_numbers, columns)], schema=COUNTS)
