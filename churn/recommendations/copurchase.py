"""Co-purchase weights, and popularity of products at a moment."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from churn.arrays import Bools, Floats, Ints
from churn.recommendations.purchases import Past, Singles

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

MAX_PRODUCTS = 2_000
WINDOW_DAYS = 365
RIDGE = 3.0
CUSTOMERS_AT_ONCE = 4_000

PRIOR_BUYERS = 5.0  # average buyers added to each product for shrinkage


@dataclass(frozen=True)
class CoPurchase:
    """Co-purchase weights between the products with most buyers.

    `products` are their numbers in the catalogue, in order; `place` is the position of each
    catalogue product among them, or -1; `weights[i, j]` is what owning the i-th adds to the score
    of the j-th.
    """

    products: Ints
    place: Ints
    weights: Singles

    @classmethod
    def fit(cls, past: Past, tie: Ints, *, least_buyers: int) -> Self:
        """Fits on the purchases of the last year, each pair counted once, for the 2,000 products
        with most buyers among those with at least `least_buyers`.
        """
        recent = past.last_age <= WINDOW_DAYS
        buyers = np.bincount(past.product[recent], minlength=tie.size)
        most = np.lexsort((tie, -buyers))[:MAX_PRODUCTS]
        products = np.sort(most[buyers[most] >= least_buyers])
        place = np.full(tie.size, -1, dtype=np.int64)
        place[products] = np.arange(products.size)
        bought = _matrix(past, place, products.size, recent.astype(np.float64))
        together = np.asarray((bought.T @ bought).toarray(), dtype=np.float64)
        return cls(products, place, weights_of(together))

    def scores(self, past: Past) -> Iterator[tuple[Ints, Singles]]:
        """Scores of all products, in batches of customers, in order.

        Each product of a customer counts by the square root of its decayed count.
        """
        strength = self.strength(past)
        customers = np.unique(past.customer)
        for begin in range(0, customers.size, CUSTOMERS_AT_ONCE):
            batch = customers[begin : begin + CUSTOMERS_AT_ONCE]
            yield batch, np.asarray(strength[batch] @ self.weights)

    def strength(self, past: Past) -> csr_matrix[Any]:
        """The weight of each product of each customer, customers by products."""
        return _matrix(past, self.place, self.products.size, np.sqrt(past.decayed))


def weights_of(together: Floats) -> Singles:
    """The weights of EASE (Steck 2019) from the counts G of customers who bought both.

    With P the inverse of G + ridge they are -P / diag(P), with a zero diagonal: the ridge
    regression of each product on all others. The ridge is 3 times the mean of G's diagonal, so
    that its relative strength does not depend on the size of the shop.
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
    """Per product of the catalogue: `buyers` in the last horizon, whether it is `on_sale`,
    `repeat_rate` (share of buyers who bought it again), and `gap_days` between two purchases by a
    customer, both shrunk towards the average of all products. `tie` breaks ties.
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
        """The shop from its customers' past; products bought in `within_days` are on sale."""
        spans = past.first_age - past.last_age
        return cls(
            buyers=_sums(past, past.last_age <= horizon_days, tie.size).astype(np.int64),
            on_sale=_sums(past, past.last_age <= within_days, tie.size) > 0,
            repeat_rate=_shrunk(
                _sums(past, past.times > 1, tie.size),
                _sums(past, np.ones(past.times.size), tie.size),
            ),
            gap_days=_shrunk(_sums(past, spans, tie.size), _sums(past, past.times - 1, tie.size)),
            tie=tie,
            together=CoPurchase.fit(past, tie, least_buyers=least_buyers),
        )


def _sums(past: Past, values: Bools | Ints | Floats, size: int) -> Floats:
    """Sum of the values over the customers of each product."""
    return np.bincount(past.product, values.astype(np.float64), size).astype(np.float64)


def _shrunk(sums: Floats, counts: Floats) -> Floats:
    """Sums divided by counts, shrunk towards the overall ratio."""
    average = sums.sum() / max(1.0, counts.sum())
    return np.asarray((sums + PRIOR_BUYERS * average) / (counts + PRIOR_BUYERS))
