"""Which products go together: what having one says for another, learnt in closed form (EASE)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from churn.retention.recommend.arrays import Floats, Ints, Singles
from churn.retention.recommend.purchases import Past

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

__all__ = ["CoPurchase", "weights_of"]

MOST_PRODUCTS = 2_000
WINDOW_DAYS = 365
RIDGE = 3.0
CUSTOMERS_AT_ONCE = 4_000


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
