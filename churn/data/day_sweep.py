"""A customer's days from sorted orders, batch by batch: the result of `order_days` in one pass that
holds no more than a batch in memory.

An engine that sorts faster than it groups delivers its orders this way. Sums, the gap to the
previous purchase day and the change of spend since then are computed along the rows; the last day
of a batch waits for the next batch, which may continue it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Flags = NDArray[np.bool_]
Places = NDArray[np.int64]

KEYS = ("customer_id", "local_day")
SWEPT = (*KEYS, "amount", "discount", "channel")
NO_CHANNEL = np.iinfo(np.int32).max


def sweep_days(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """The days of orders sorted by customer and day; columns as in `order_days`, and
    customer_number, which numbers the customers.
    """
    before = _Before()
    waiting: pa.Table | None = None
    for batch in batches:
        shares = _shares(pa.Table.from_batches([batch]))
        days = _collapsed(shares if waiting is None else pa.concat_tables([waiting, shares]))
        if days.num_rows:
            whole = days.num_rows - 1
            yield before.step(days.slice(0, whole))
            waiting = days.slice(whole)
    if waiting is not None:
        yield before.step(waiting)


def _shares(orders: pa.Table) -> pa.Table:
    """What each order contributes to its day."""
    amount = orders["amount"].to_numpy()
    bought = amount > 0
    columns = {
        "customer_id": orders["customer_id"].cast(pa.large_string()),
        "local_day": orders["local_day"],
        "orders": pa.array(bought.astype(np.int32)),
        "spend": pa.array(np.where(bought, amount, 0.0)),
        "returned": pa.array(np.where(amount < 0, -amount, 0.0)),
    }
    if "discount" in orders.column_names:
        given = pc.fill_null(orders["discount"], 0.0).to_numpy()
        discounted = bought & (given > 0)
        columns["discount"] = pa.array(np.where(discounted, given, 0.0))
        columns["discounted_orders"] = pa.array(discounted.astype(np.int32))
    if "channel" in orders.column_names:
        texts = orders["channel"].cast(pa.large_string())
        columns["channel"] = pc.if_else(pa.array(bought), texts, pa.scalar(None, texts.type))
    return pa.table(columns)


def _collapsed(shares: pa.Table) -> pa.Table:
    """One row per run of the same customer and day."""
    starts = np.flatnonzero(_begins(shares, "customer_id") | _begins(shares, "local_day"))
    columns = {name: shares[name].take(pa.array(starts)) for name in KEYS}
    for name in shares.column_names[len(KEYS) :]:
        if name == "channel":
            columns[name] = _first_by_name(shares[name], starts)
        else:
            values = shares[name].to_numpy()
            columns[name] = pa.array(np.add.reduceat(values, starts, dtype=values.dtype))
    return pa.table(columns) if starts.size else shares


def _begins(table: pa.Table, name: str) -> Flags:
    """Where the column differs from the previous row; the first row counts as different."""
    column = table[name].combine_chunks()
    differs = pc.not_equal(column.slice(1), column.slice(0, max(len(column) - 1, 0)))
    first = np.ones(min(len(column), 1), dtype=bool)
    return np.concatenate([first, differs.to_numpy(zero_copy_only=False)])


def _first_by_name(texts: pa.ChunkedArray, starts: NDArray[np.intp]) -> pa.Array:
    """The smallest text of each run in byte order, as engines compare; null if all are null."""
    coded = texts.combine_chunks().dictionary_encode()
    names = coded.dictionary.to_pylist()
    order = sorted(range(len(names)), key=lambda place: names[place].encode())
    rank = np.empty(len(names) + 1, dtype=np.int32)
    rank[order] = np.arange(len(names), dtype=np.int32)
    rank[-1] = NO_CHANNEL  # null sorts last
    ranks = rank[pc.fill_null(coded.indices, len(names)).to_numpy(zero_copy_only=False)]
    least = np.minimum.reduceat(ranks, starts)
    ordered = pa.array([names[place] for place in order], type=pa.large_string())
    return ordered.take(pa.array(least, mask=least == NO_CHANNEL))


class _Before:
    """The customer and the last purchase of the rows processed so far."""

    def __init__(self) -> None:
        self._customer: str | None = None
        self._number = 0
        self._purchase: tuple[int, float] | None = None

    def step(self, days: pa.Table) -> pa.Table:
        """Whole days with the columns that only look at earlier rows."""
        if not days.num_rows:
            return self._with(days, *(np.empty(0, dtype=np.int64) for _ in range(2)))
        begins = _begins(days, "customer_id")
        begins[0] = days["customer_id"][0].as_py() != self._customer
        number = self._number + np.cumsum(begins, dtype=np.int64)
        purchases = np.flatnonzero(days["orders"].to_numpy() > 0)
        stepped = self._with(days, number, purchases)
        self._remember(days, number, purchases)
        return stepped

    def _with(self, days: pa.Table, number: Places, purchases: Places) -> pa.Table:
        gap, change = self._backward(days, number, purchases)
        spend, returned = days["spend"].to_numpy(), days["returned"].to_numpy()
        added = {
            "net": pa.array(spend - returned),
            "is_purchase": pc.greater(days["orders"], 0),
            "gap_days": gap,
            "spend_change": change,
            "customer_number": pa.array(number.astype(np.int32)),
        }
        for name, column in added.items():
            days = days.append_column(name, column)
        return days

    def _backward(
        self, days: pa.Table, number: Places, purchases: Places
    ) -> tuple[pa.Array, pa.Array]:
        """The gap to the previous purchase day, null without one, and the change of spend since."""
        day = days["local_day"].to_numpy()[purchases]
        spend = days["spend"].to_numpy()[purchases]
        follows = np.diff(number[purchases], prepend=-1) == 0
        day_before, spend_before = np.roll(day, 1), np.roll(spend, 1)
        if purchases.size and self._purchase and number[purchases[0]] == self._number:
            follows[0] = True
            day_before[0], spend_before[0] = self._purchase
        gap, unknown = np.zeros(len(number), dtype=np.int32), np.ones(len(number), dtype=bool)
        gap[purchases], unknown[purchases] = day - day_before, ~follows
        change = np.zeros(len(number))
        change[purchases] = spend - np.where(follows, spend_before, 0.0)
        return pa.array(gap, mask=unknown), pa.array(change)

    def _remember(self, days: pa.Table, number: Places, purchases: Places) -> None:
        if purchases.size and number[purchases[-1]] == number[-1]:
            last = int(purchases[-1])
            self._purchase = (days["local_day"][last].as_py(), days["spend"][last].as_py())
        elif number[-1] != self._number:
            self._purchase = None
        self._customer, self._number = days["customer_id"][-1].as_py(), int(number[-1])
