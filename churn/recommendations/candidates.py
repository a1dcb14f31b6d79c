"""Candidate products of a customer and their purchase probability in the horizon."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from churn.arrays import Bools, Floats, Ints
from churn.recommendations.copurchase import Shop
from churn.recommendations.purchases import Past, Singles

NEW_PER_CUSTOMER = 50
MIN_ROWS_PER_OUTCOME = 50


@dataclass(frozen=True)
class Candidates:
    """A row for each customer and product, with the features of its purchase probability."""

    customer: Ints
    product: Ints
    features: Floats

    def of(self, rows: Bools) -> Self:
        """These rows only."""
        return type(self)(self.customer[rows], self.product[rows], self.features[rows])


def candidates(past: Past, shop: Shop) -> tuple[Candidates, Candidates]:
    """Products that each customer bought before, and the 50 new ones with the highest co-purchase
    score; only products on sale that the customer did not return.
    """
    own_score = np.zeros(past.product.size)
    best: list[tuple[Ints, Ints, Singles]] = []
    place = shop.together.place[past.product]
    for batch, scores in shop.together.scores(past):
        first, last = np.searchsorted(past.customer, (batch[0], batch[-1] + 1))
        rows = first + np.flatnonzero(place[first:last] >= 0)
        line = np.searchsorted(batch, past.customer[rows])
        own_score[rows] = scores[line, place[rows]]
        scores[line, place[rows]] = -np.inf
        best.append(_best(batch, scores, shop))
    return _own(past, shop, own_score), _new(past, shop, best)


def _best(customers: Ints, scores: Singles, shop: Shop) -> tuple[Ints, Ints, Singles]:
    """Each customer's products with the highest scores; ties are ordered by number of buyers."""
    products = shop.together.products
    width = min(NEW_PER_CUSTOMER, products.size)
    if not width:
        return products, products, np.zeros(0, dtype=np.float32)
    scores[:, ~shop.on_sale[products]] = -np.inf
    most = np.lexsort((shop.tie[products], -shop.buyers[products]))
    nudge = np.empty(products.size, dtype=np.float32)
    nudge[most] = np.linspace(1e-6, 0, products.size)
    place = np.argpartition(-(scores + nudge), width - 1, axis=1)[:, :width]
    score = np.take_along_axis(scores, place, axis=1)
    possible = np.isfinite(score)
    return np.repeat(customers, width)[possible.ravel()], products[place[possible]], score[possible]


def _own(past: Past, shop: Shop, score: Floats) -> Candidates:
    gap = (past.first_age - past.last_age + shop.gap_days[past.product]) / past.times
    due = np.minimum(past.last_age / np.maximum(gap, 1.0), 1.0)
    features = np.column_stack(
        [
            np.log(past.times),
            np.log(past.last_age),
            np.log(due + 0.05),
            np.log1p(shop.buyers[past.product]),
            np.log(shop.repeat_rate[past.product] + 0.001),
            score,
            np.log(past.visits[past.customer] + 0.05),
        ]
    )
    return Candidates(past.customer, past.product, features).of(shop.on_sale[past.product])


def _new(past: Past, shop: Shop, best: list[tuple[Ints, Ints, Singles]]) -> Candidates:
    none = np.zeros(0, dtype=np.int64)
    customer, product = (np.concatenate([none, *(batch[k] for batch in best)]) for k in (0, 1))
    score = np.concatenate([np.zeros(0), *(scores for _, _, scores in best)])
    features = np.column_stack(
        [score, np.log1p(shop.buyers[product]), np.log(past.visits[customer] + 0.05)]
    )
    pairs = customer * shop.tie.size + product
    returned = past.gone_customer * shop.tie.size + past.gone_product
    return Candidates(customer, product, features).of(~np.isin(pairs, returned))


@dataclass(frozen=True)
class LogisticModel:
    """A logistic regression on standardised features."""

    centre: Floats
    scale: Floats
    coefficients: Floats
    intercept: float

    @classmethod
    def fit(cls, features: Floats, bought: Bools) -> Self | None:
        """Fits with an L2 penalty; None with fewer than 50 rows of either outcome."""
        from sklearn.linear_model import LogisticRegression

        if min(bought.sum(), (~bought).sum()) < MIN_ROWS_PER_OUTCOME:
            return None
        centre, spread = features.mean(axis=0), features.std(axis=0)
        scale = np.where(spread > 0, spread, 1.0)
        model = LogisticRegression(max_iter=500).fit((features - centre) / scale, bought)
        return cls(centre, scale, model.coef_[0], float(model.intercept_[0]))

    def probability(self, features: Floats) -> Floats:
        """P(bought) of each row, rounded to six decimals so that ties do not depend on noise."""
        logit = ((features - self.centre) / self.scale) @ self.coefficients + self.intercept
        return np.asarray(np.round(1 / (1 + np.exp(-logit)), 6))


@dataclass(frozen=True)
class Ranker:
    """The models of own and new products, fitted at an earlier moment on the horizon after it."""

    own: LogisticModel
    new: LogisticModel | None

    @classmethod
    def fit(
        cls, own: Candidates, new: Candidates, own_bought: Bools, new_bought: Bools
    ) -> Self | None:
        """Fits both models; None with too few repeat purchases."""
        model = LogisticModel.fit(own.features, own_bought)
        if model is None:
            return None
        return cls(model, LogisticModel.fit(new.features, new_bought))
