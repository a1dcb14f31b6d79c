"""Purchases as arrays of customers, products and days, and the history at any earlier moment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from churn.arrays import Bools, Floats, Ints
from churn.data.days import day_number, midnight
from churn.data.product_days import KEYS, KNOWN

Singles = NDArray[np.float32]

AGE_BASE = 2**17  # packs a key and an age in days (up to 358 years) into one integer


def runs(ordered: Ints) -> tuple[Ints, Ints]:
    """Start and length of each run of equal values.

    >>> runs(np.array([4, 4, 7]))
    (array([0, 2]), array([2, 1]))
    """
    begins = np.flatnonzero(np.diff(ordered, prepend=ordered[:1] - 1))
    return begins, np.diff(begins, append=ordered.size)


def first_of_each(customer: Ints, value: Floats, tie: Ints, *, top: int) -> tuple[Ints, Ints]:
    """The rows of each customer's `top` highest values, by customer and rank, and their ranks.

    Ties are ordered by `tie`.

    >>> first_of_each(np.array([1, 1, 0]), np.array([0.2, 0.9, 0.5]), np.arange(3), top=1)
    (array([2, 1]), array([1, 1]))
    """
    order = np.lexsort((tie, -value, customer))
    begins, sizes = runs(customer[order])
    rank = np.arange(order.size) - np.repeat(begins, sizes) + 1
    best = rank <= top
    return order[best], rank[best]


@dataclass(frozen=True)
class Moment:
    """A date as a day number, and the instant in days at which it begins."""

    day: int
    instant: float

    @classmethod
    def of(cls, when: date, day_timezone: str) -> Self:
        """The start of that date in that time zone."""
        return cls(day_number(when), midnight(when, day_timezone))


@dataclass(frozen=True)
class Past:
    """Every pair of a customer and a product bought before a moment, ordered by both.

    `times` counts days, `decayed` weights each by 2^(-age / half-life); `visits`, per customer, is
    that sum over all purchase days. Ages are whole days, at least 1. `gone_customer` and
    `gone_product` are the pairs that were returned completely.
    """

    customer: Ints
    product: Ints
    times: Ints
    first_age: Ints
    last_age: Ints
    decayed: Floats
    visits: Floats
    gone_customer: Ints
    gone_product: Ints

    def of(self, customers: Bools) -> Self:
        """The rows of these customers only; customers keep their numbers."""
        rows, gone = customers[self.customer], customers[self.gone_customer]
        names = ("customer", "product", "times", "first_age", "last_age", "decayed")
        bought = {name: getattr(self, name)[rows] for name in names}
        returned = {name: getattr(self, name)[gone] for name in ("gone_customer", "gone_product")}
        return replace(self, **bought, **returned)


@dataclass(frozen=True)
class Purchases:
    """A row for each customer, product and purchase day, and the interval in which it was known.

    Customers are numbered by their position in `customer_ids`, products as in a catalogue of
    `products` entries.
    """

    customer_ids: pa.Array
    products: int
    customer: Ints
    product: Ints
    day: Ints
    known: tuple[Floats, Floats] | None

    @classmethod
    def of(cls, rows: pa.Table, product_ids: pa.Array) -> Self:
        """From rows of `product_days`, without products outside the catalogue."""
        number = pc.index_in(rows["product"], value_set=product_ids)
        rows = rows.append_column("number", number).filter(pc.is_valid(number)).combine_chunks()
        customer_ids = pc.unique(rows["customer_id"]).cast(pa.string())
        arrivals = [np.asarray(rows[name]) for name in KNOWN if name in rows.column_names]
        return cls(
            customer_ids=customer_ids,
            products=len(product_ids),
            customer=np.asarray(pc.index_in(rows["customer_id"], customer_ids), dtype=np.int64),
            product=np.asarray(rows["number"], dtype=np.int64),
            day=np.asarray(rows[KEYS[-1]], dtype=np.int64),
            known=(arrivals[0], arrivals[1]) if arrivals else None,
        )

    def before(self, at: Moment, *, half_life_days: float) -> Past:
        """The purchases strictly before the moment, as known at that moment."""
        rows = self._known(at) & (self.day < at.day)
        customer, age = self.customer[rows], at.day - self.day[rows]
        pairs, ages = _distinct(customer * self.products + self.product[rows], age)
        pair, first, times = np.unique(pairs, return_index=True, return_counts=True)
        visitor, visit_age = _distinct(customer, age)
        gone = np.setdiff1d(self._superseded(at), pair)
        weights = np.exp2(-ages / half_life_days)
        visits = np.exp2(-visit_age / half_life_days)
        return Past(
            customer=pair // max(1, self.products),
            product=pair % max(1, self.products),
            times=times,
            first_age=ages[first + times - 1],
            last_age=ages[first],
            decayed=np.add.reduceat(weights, first) if first.size else weights,
            visits=np.bincount(visitor, visits, len(self.customer_ids)).astype(np.float64),
            gone_customer=gone // max(1, self.products),
            gone_product=gone % max(1, self.products),
        )

    def bought(self, since: Moment, days: int, *, known: Moment) -> Ints:
        """The pairs (customer x products + product) bought in the `days` from a moment on, sorted,
        as known at a later moment.
        """
        inside = (self.day >= since.day) & (self.day < since.day + days)
        rows = inside & self._known(known)
        return np.unique(self.customer[rows] * self.products + self.product[rows])

    def _superseded(self, at: Moment) -> Ints:
        """The pairs (customer x products + product) with a row that is no longer valid."""
        if self.known is None:
            return np.zeros(0, dtype=np.int64)
        rows = (self.day < at.day) & (self.known[1] < at.instant)
        return np.unique(self.customer[rows] * self.products + self.product[rows])

    def _known(self, at: Moment) -> Bools:
        if self.known is None:
            return np.ones(self.day.size, dtype=bool)
        since, until = self.known
        return np.asarray((since < at.instant) & (until >= at.instant))


def _distinct(key: Ints, age: Ints) -> tuple[Ints, Ints]:
    """The distinct pairs of a key and an age, ordered by both."""
    pairs = np.unique(key * AGE_BASE + age)
    return pairs // AGE_BASE, pairs % AGE_BASE


def whole_customers(batches: Iterable[pa.RecordBatch], *, rows: int) -> Iterator[pa.Table]:
    """Batches sorted by customer, as tables of about `rows` rows, all of a customer in one."""
    pending: list[pa.Table] = []
    limit = rows
    for batch in batches:
        pending.append(pa.Table.from_batches([batch]))
        if sum(table.num_rows for table in pending) >= limit:
            table = pa.concat_tables(pending).combine_chunks()
            cut = pc.index(table["customer_id"], table["customer_id"][-1]).as_py()
            if cut:
                yield table.slice(0, cut)
            pending = [table.slice(cut)]
            limit = rows + pending[0].num_rows  # a larger customer is not examined every time
    if pending:
        yield pa.concat_tables(pending)
