"""Orders that a past period did not know yet at its end: why a number that was reported changed.

Every number of a period depends on the orders before its end, in the versions that had arrived. A
report made at that end saw those with `loaded_at` before it; what has arrived since is counted
here. Without such orders the period is as it was reported.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from functools import partial

import numpy as np
import pyarrow as pa

from churn.analytics.customer_base import CustomerBase
from churn.arrays import Bools, Ints
from churn.data.history.columns import Column, arrow_numbers, whole_numbers
from churn.data.history.past import Moment, Past, moments

CHANGES = pa.schema([(name, pa.int64()) for name in ("period", "added", "removed")])


def late_orders(base: CustomerBase, ends: Sequence[date]) -> Ints:
    """For each end, the orders before it that arrived, or were corrected, after it; shape (ends,).

    0 where orders have no `loaded_at`.
    """
    found = np.zeros(len(ends), dtype=np.int64)
    if "loaded_day" not in base.tables.columns("orders"):
        return found
    rows = base.sweep(partial(_changes, moments(base.tables, ends)), CHANGES)
    added, removed = np.zeros_like(found), np.zeros_like(found)
    period = whole_numbers(rows["period"])
    np.add.at(added, period, whole_numbers(rows["added"]))
    np.add.at(removed, period, whole_numbers(rows["removed"]))
    return np.maximum(added, removed)  # a corrected order is removed and added


def _changes(ends: Sequence[Moment], pasts: Iterable[Past]) -> Iterator[pa.RecordBatch]:
    added, removed = np.zeros(len(ends), np.int64), np.zeros(len(ends), np.int64)
    for past in pasts:
        orders = past.block.grains["orders"]
        now = _visible(orders, past.moment)
        for place, end in enumerate(ends):
            then = _visible(orders, end)
            happened = orders["local_day"] < end.day
            added[place] += (happened & now & ~then).sum()
            removed[place] += (happened & then & ~now).sum()
    columns = (np.arange(len(ends), dtype=np.int64), added, removed)
    yield pa.record_batch([arrow_numbers(values) for values in columns], schema=CHANGES)


def _visible(orders: Mapping[str, Column], moment: Moment) -> Bools:
    """The rows that a report at that moment sees, in their version of then."""
    seen = (orders["local_day"] < moment.day) & ~(orders["loaded_day"] >= moment.instant)
    if "superseded_day" in orders:
        seen &= ~(orders["superseded_day"] < moment.instant)
    return np.asarray(seen)
