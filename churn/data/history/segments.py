"""Rows sorted by customer, and what they add up to for each."""

from __future__ import annotations

from typing import Any

import numpy as np

from churn.arrays import Bools, Floats, Ints
from churn.data.history.columns import Column


class Segments:
    """Rows sorted by customer, oldest first; `customer` holds each row's place among `customers`.

    Every method reduces one value a row to one a customer, in the order of the rows, so that a sum
    does not depend on which customers are computed together. Shapes: (rows,) in, (customers,) out.
    """

    def __init__(self, customer: Ints, customers: int) -> None:
        self.customer = customer
        self.customers = customers
        begins = np.ones(len(customer), dtype=bool)
        begins[1:] = customer[1:] != customer[:-1]
        self._starts = np.flatnonzero(begins)
        self._with_rows = customer[self._starts]

    def __len__(self) -> int:
        return len(self.customer)

    @property
    def has_rows(self) -> Bools:
        """Which customers have a row."""
        found = np.zeros(self.customers, dtype=bool)
        found[self._with_rows] = True
        return found

    def total(self, values: Column, where: Bools | None = None) -> Floats:
        """The sum of the values, or of those where a condition holds; 0 without any."""
        if where is None:
            return np.asarray(self._reduced(np.add, values.astype(np.float64, copy=False), 0.0))
        rows = np.flatnonzero(where)
        return np.asarray(np.bincount(self.customer[rows], values[rows], self.customers))

    def count(self, where: Bools | None = None) -> Floats:
        """The number of rows, or of those where a condition holds."""
        counted = self.customer if where is None else self.customer[np.flatnonzero(where)]
        return np.bincount(counted, minlength=self.customers).astype(np.float64)

    def least(self, values: Column, where: Bools | None = None) -> Floats:
        """The smallest value; NaN without any. A NaN among the values counts as none."""
        return _finite(self._reduced(np.fmin, _chosen(values, where, np.inf), np.inf))

    def most(self, values: Column, where: Bools | None = None) -> Floats:
        """The largest value; NaN without any. A NaN among the values counts as none."""
        return _finite(self._reduced(np.fmax, _chosen(values, where, -np.inf), -np.inf))

    def mean(self, values: Column, where: Bools | None = None) -> Floats:
        """The mean of the values; NaN without any."""
        count = self.count(where)
        nothing = np.full(self.customers, np.nan)
        return np.asarray(np.divide(self.total(values, where), count, out=nothing, where=count > 0))

    def last(self, values: Column, where: Bools | None = None) -> Floats:
        """The value of the newest row, or of the newest where a condition holds; NaN without."""
        return self._picked(values, self._reduced(np.maximum, self._places(where, -1), -1))

    def first(self, values: Column, where: Bools | None = None) -> Floats:
        """The value of the oldest row, or of the oldest where a condition holds; NaN without."""
        late = len(self)
        places = self._reduced(np.minimum, self._places(where, late), late)
        return self._picked(values, np.where(places == late, -1, places))

    def _places(self, where: Bools | None, otherwise: int) -> Ints:
        places = np.arange(len(self), dtype=np.int64)
        return places if where is None else np.where(where, places, otherwise)

    def _picked(self, values: Column, places: Ints) -> Floats:
        found = np.full(self.customers, np.nan)
        some = places >= 0
        found[some] = values[places[some]]
        return found

    def _reduced(self, function: np.ufunc, values: Column, otherwise: float) -> Any:
        found = np.full(self.customers, otherwise, dtype=values.dtype)
        if len(self._starts):
            found[self._with_rows] = function.reduceat(values, self._starts)
        return found


class Pairs(Segments):
    """The pairs of a customer and something else that occur in rows, such as products bought.

    Sorted by customer. `of_rows` reduces one value a row to one a pair; the methods of `Segments`
    reduce those to one a customer.
    """

    def __init__(self, rows: Segments, codes: Column, where: Bools | None = None) -> None:
        chosen = np.arange(len(rows)) if where is None else np.flatnonzero(where)
        least = int(codes.min(initial=0))
        width = int(codes.max(initial=0)) - least + 1
        key = rows.customer[chosen].astype(np.int64) * width + (codes[chosen] - least)
        order = np.argsort(key, kind="stable")
        self._rows, key = chosen[order], key[order]
        begins = np.ones(len(key), dtype=bool)
        begins[1:] = key[1:] != key[:-1]
        self._begins = np.flatnonzero(begins)
        self._pair_of_rows = np.cumsum(begins) - 1
        self._all_rows = len(rows)
        super().__init__(key[self._begins] // width, rows.customers)

    def totals(self, values: Column) -> Floats:
        """The sum over each pair's rows, shape (pairs,)."""
        return np.asarray(self._of_rows(np.add, values.astype(np.float64, copy=False)))

    def firsts(self, values: Column) -> Any:
        """The value of each pair's oldest row."""
        return values[self._rows[self._begins]]

    def lasts(self, values: Column) -> Any:
        """The value of each pair's newest row."""
        ends = np.append(self._begins[1:], len(self._rows))
        return values[self._rows[ends - 1]] if len(self._begins) else values[:0]

    def least_of(self, values: Column) -> Any:
        """The smallest value of each pair's rows; a NaN counts as none unless all are."""
        return self._of_rows(np.fmin, values)

    def distinct(self, values: Column) -> Ints:
        """How many values each pair's rows have, where equal ones stand together."""
        ordered = values[self._rows]
        differs = np.ones(len(ordered), dtype=np.int64)
        differs[1:] = ordered[1:] != ordered[:-1]
        differs[self._begins] = 1
        return np.add.reduceat(differs, self._begins) if len(self._begins) else differs

    def on_rows(self, values: Floats) -> Floats:
        """Each pair's value on its rows; NaN on rows without a pair."""
        found = np.full(self._all_rows, np.nan)
        found[self._rows] = values[self._pair_of_rows]
        return found

    def _of_rows(self, function: np.ufunc, values: Column) -> Any:
        ordered = values[self._rows]
        return function.reduceat(ordered, self._begins) if len(self._begins) else ordered


def _chosen(values: Column, where: Bools | None, otherwise: float) -> Floats:
    values = values.astype(np.float64, copy=False)
    return values if where is None else np.where(where, values, otherwise)


def _finite(values: Floats) -> Floats:
    return np.where(np.isfinite(values), values, np.nan)
