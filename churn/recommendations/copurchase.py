"""Co-purchases, and popularity of products at a moment."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from churn.arrays import Bools, Floats, Ints
from churn.recommendations.purchases import Past, Singles

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

MOST_PRODUCTS = 2_000
WINDOW_DAYS = 365
RIDGE = 3.0
CUSTOMERS_AT_ONCE = 4_000

DOUBT = 5.0  # so many customers of the average are added to those of each product


@dataclass(frozen=True)
class CoPurchase:
    """For the products with most buyers, how much each of them speaks for each other one.

    `products` are their numbers in the catalogue, in order; `place` is the place among them of
    every product of the catalogue, -1 for none; `weights[i, j]` is what having the i-th adds to
    the score of the j-th.
    """

    products: Ints
    place: Ints
    weights: Singles

    @classmethod
    def fit(cls, past: Past, tie: Ints, *, least_buyers: int) -> Self:
        """Learnt from who bought what in the last year of the past, however often.

        Of the products with `least_buyers` buyers the 2,000 with most are looked at.
        """
        recent = past.last_age <= WINDOW_DAYS
        buyers = np.bincount(past.product[recent], minlength=tie.size)
        most = np.lexsort((tie, -buyers))[:MOST_PRODUCTS]
        products = np.sort(most[buyers[most] >= least_buyers])
        place = np.full(tie.size, -1, dtype=np.int64)
        place[products] = np.arange(products.size)
        bought = _matrix(past, place, products.size, recent.astype(np.float64))
        together = np.asarray((bought.T @ bought).toarray(), dtype=np.float64)
        return cls(products, place, weights_of(together))

    def scores(self, past: Past) -> Iterator[tuple[Ints, Singles]]:
        """Customers in order, some thousands at a time, with a score for each of the products.

        What a customer bought often and lately speaks louder: with the root of its decayed count.
        """
        has = self.held(past)
        customers = np.unique(past.customer)
        for begin in range(0, customers.size, CUSTOMERS_AT_ONCE):
            some = customers[begin : begin + CUSTOMERS_AT_ONCE]
            yield some, np.asarray(has[some] @ self.weights)

    def held(self, past: Past) -> csr_matrix[Any]:
        """Customers by products: how loudly each product of a customer speaks."""
        return _matrix(past, self.place, self.products.size, np.sqrt(past.decayed))


def weights_of(together: Floats) -> Singles:
    """The weights of EASE (Steck 2019) from the counts G of customers who bought both.

    With P the inverse of G + ridge they are -P / diag(P), beside a diagonal of zeros: the linear
    line that best fills in each column from all others. The ridge is 3 times the mean of G's
    diagonal, so that it is as strong in a shop of any size.
    """
    if not together.size:
        return np.zeros(together.shape, dtype=np.float32)
    ridge = RIDGE * np.trace(together) / len(together)
    inverse = np.linalg.inv(together + ridge * np.eye(len(together)))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0.0)
    return np.asarray(weights, dtype=np.float32)


def _matrix(past: Past, place: Ints, size: int, values: Floats) -> csr_matrix[Any]:
    from scipy.sparse import csr_matrix

    column = place[past.product]
    inside = (column >= 0) & (values > 0)
    cells = (past.customer[inside], column[inside])
    return csr_matrix((values[inside].astype(np.float32), cells), (past.visits.size, size))


@dataclass(frozen=True)
class Shop:
    """By number in the catalogue: `buyers` in the last horizon, whether it is `on_sale`,
    `repeat_rate` (the share of its buyers who came back for it), `gap_days` between two purchases
    of it by a customer; both drawn towards all products where few bought it. `tie` orders equals.
    """

    buyers: Ints
    on_sale: Bools
    repeat_rate: Floats
    gap_days: Floats
    tie: Ints
    together: CoPurchase

    @classmethod
    def at(
        cls, past: Past, tie: Ints, *, horizon_days: int, within_days: int, least_buyers: int
    ) -> Self:
        """The shop as its customers' past tells; on sale is what they bought in `within_days`."""
        spans = past.first_age - past.last_age
        return cls(
            buyers=_sums(past, past.last_age <= horizon_days, tie.size).astype(np.int64),
            on_sale=_sums(past, past.last_age <= within_days, tie.size) > 0,
            repeat_rate=_drawn(
                _sums(past, past.times > 1, tie.size),
                _sums(past, np.ones(past.times.size), tie.size),
            ),
            gap_days=_drawn(_sums(past, spans, tie.size), _sums(past, past.times - 1, tie.size)),
            tie=tie,
            together=CoPurchase.fit(past, tie, least_buyers=least_buyers),
        )


def _sums(past: Past, values: Bools | Ints | Floats, size: int) -> Floats:
    """The values' sum over the customers of each product."""
    return np.bincount(past.product, values.astype(np.float64), size).astype(np.float64)


def _drawn(sums: Floats, counts: Floats) -> Floats:
    """Sums by counts, drawn towards the ratio of all."""
    average = sums.sum() / max(1.0, counts.sum())
    return np.asarray((sums + DOUBT * average) / (counts + DOUBT))
