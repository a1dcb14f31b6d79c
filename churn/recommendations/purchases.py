"""Purchases as arrays: who bought what on which day, up to any moment before the snapshot."""

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

AGES_APART = 2**17  # a key and an age in days (358 years) are one integer


def runs(ordered: Ints) -> tuple[Ints, Ints]:
    """Where each run of equal values begins, and how long it is.

    >>> runs(np.array([4, 4, 7]))
    (array([0, 2]), array([2, 1]))
    """
    begins = np.flatnonzero(np.diff(ordered, prepend=ordered[:1] - 1))
    return begins, np.diff(begins, append=ordered.size)


def first_of_each(customer: Ints, value: Floats, tie: Ints, *, top: int) -> tuple[Ints, Ints]:
    """The rows of each customer's `top` highest values, by customer and rank, and their ranks.

    Of equal values the lower tie goes first.

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
        """The midnight that begins that date in that zone."""
        return cls(day_number(when), midnight(when, day_timezone))


@dataclass(frozen=True)
class Past:
    """Every customer and product bought before a moment, a row each, by customer and product.

    `times` counts days, `decayed` weighs each by 2^(-age / half-life); `visits`, by customer, is
    the same of all purchase days. Ages are whole days, at least 1. `gone_customer` and
    `gone_product` are the pairs of which nothing was kept: bought once, and sent back.
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
        """Only those customers' rows; customers keep their numbers."""
        rows, gone = customers[self.customer], customers[self.gone_customer]
        names = ("customer", "product", "times", "first_age", "last_age", "decayed")
        kept = {name: getattr(self, name)[rows] for name in names}
        without = {name: getattr(self, name)[gone] for name in ("gone_customer", "gone_product")}
        return replace(self, **kept, **without)


@dataclass(frozen=True)
class Purchases:
    """A row for each customer, product and day on which it was bought, and when it was known.

    Customers are numbered as they stand in `customer_ids`, `products` of them as in a catalogue.
    """

    customer_ids: pa.Array
    products: int
    customer: Ints
    product: Ints
    day: Ints
    known: tuple[Floats, Floats] | None

    @classmethod
    def of(cls, rows: pa.Table, product_ids: pa.Array) -> Self:
        """The rows of `product_days`; those of products outside the catalogue fall away."""
        place = pc.index_in(rows["product"], value_set=product_ids)
        rows = rows.append_column("place", place).filter(pc.is_valid(place)).combine_chunks()
        customer_ids = pc.unique(rows["customer_id"]).cast(pa.string())
        arrivals = [np.asarray(rows[name]) for name in KNOWN if name in rows.column_names]
        return cls(
            customer_ids=customer_ids,
            products=len(product_ids),
            customer=np.asarray(pc.index_in(rows["customer_id"], customer_ids), dtype=np.int64),
            product=np.asarray(rows["place"], dtype=np.int64),
            day=np.asarray(rows[KEYS[-1]], dtype=np.int64),
            known=(arrivals[0], arrivals[1]) if arrivals else None,
        )

    def before(self, at: Moment, *, half_life_days: float) -> Past:
        """What each customer had bought strictly before the moment, as it was known then."""
        rows = self._known(at) & (self.day < at.day)
        customer, age = self.customer[rows], at.day - self.day[rows]
        pairs, ages = _distinct(customer * self.products + self.product[rows], age)
        pair, first, times = np.unique(pairs, return_index=True, return_counts=True)
        visitor, visit_age = _distinct(customer, age)
        gone = np.setdiff1d(self._let_go(at), pair)
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
        """The pairs (customer x products + product) bought in the days from a moment on, in order,
        as they were known at a later one.
        """
        inside = (self.day >= since.day) & (self.day < since.day + days)
        rows = inside & self._known(known)
        return np.unique(self.customer[rows] * self.products + self.product[rows])

    def _let_go(self, at: Moment) -> Ints:
        """The pairs (customer x products + product) with a row that no longer holds."""
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
    """The distinct pairs of a key and an age, by key, the least age first."""
    both = np.unique(key * AGES_APART + age)
    return both // AGES_APART, both % AGES_APART


def whole_customers(batches: Iterable[pa.RecordBatch], *, rows: int) -> Iterator[pa.Table]:
    """Batches sorted by customer, as tables of some `rows` that part no customer."""
    held: list[pa.Table] = []
    wanted = rows
    for batch in batches:
        held.append(pa.Table.from_batches([batch]))
        if sum(one.num_rows for one in held) >= wanted:
            table = pa.concat_tables(held).combine_chunks()
            cut = pc.index(table["customer_id"], table["customer_id"][-1]).as_py()
            if cut:
                yield table.slice(0, cut)
            held = [table.slice(cut)]
            wanted = rows + held[0].num_rows  # a customer with more rows is not looked at each time
    if held:
        yield pa.concat_tables(held)
