"""Candidate products of a customer and their purchase probability in the horizon."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from churn.arrays import Bools, Floats, Ints
from churn.recommendations.copurchase import Shop
from churn.recommendations.purchases import Past, Singles

NEW_EACH = 50

LEAST_OF_EACH = 50


@dataclass(frozen=True)
class Candidates:
    """A row for each customer and product, and the numbers that tell how likely it is bought."""

    customer: Ints
    product: Ints
    features: Floats

    def of(self, rows: Bools) -> Self:
        """Only those rows."""
        return type(self)(self.customer[rows], self.product[rows], self.features[rows])


def candidates(past: Past, shop: Shop) -> tuple[Candidates, Candidates]:
    """What each customer bought before, and the 50 new products for which that speaks most; only
    what is on sale, and nothing that they sent back.
    """
    own_score = np.zeros(past.product.size)
    found: list[tuple[Ints, Ints, Singles]] = []
    place = shop.together.place[past.product]
    for some, scores in shop.together.scores(past):
        first, last = np.searchsorted(past.customer, (some[0], some[-1] + 1))
        rows = first + np.flatnonzero(place[first:last] >= 0)
        line = np.searchsorted(some, past.customer[rows])
        own_score[rows] = scores[line, place[rows]]
        scores[line, place[rows]] = -np.inf
        found.append(_best(some, scores, shop))
    return _own(past, shop, own_score), _new(past, shop, found)


def _best(customers: Ints, scores: Singles, shop: Shop) -> tuple[Ints, Ints, Singles]:
    """Each customer's products with the highest scores; where nothing speaks for any, those with
    most buyers.
    """
    products = shop.together.products
    width = min(NEW_EACH, products.size)
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


def _new(past: Past, shop: Shop, found: list[tuple[Ints, Ints, Singles]]) -> Candidates:
    none = np.zeros(0, dtype=np.int64)
    customer, product = (np.concatenate([none, *(one[k] for one in found)]) for k in (0, 1))
    score = np.concatenate([np.zeros(0), *(one[2] for one in found)])
    features = np.column_stack(
        [score, np.log1p(shop.buyers[product]), np.log(past.visits[customer] + 0.05)]
    )
    pairs, gone = (
        who * shop.tie.size + what
        for who, what in ((customer, product), (past.gone_customer, past.gone_product))
    )
    return Candidates(customer, product, features).of(~np.isin(pairs, gone))


@dataclass(frozen=True)
class Line:
    """A logistic line over features that are centred and scaled."""

    centre: Floats
    scale: Floats
    slopes: Floats
    level: float

    @classmethod
    def fit(cls, features: Floats, bought: Bools) -> Self | None:
        """The likeliest line, slightly held back; None under 50 rows of either outcome."""
        from sklearn.linear_model import LogisticRegression

        if min(bought.sum(), (~bought).sum()) < LEAST_OF_EACH:
            return None
        centre, spread = features.mean(axis=0), features.std(axis=0)
        scale = np.where(spread > 0, spread, 1.0)
        line = LogisticRegression(max_iter=500).fit((features - centre) / scale, bought)
        return cls(centre, scale, line.coef_[0], float(line.intercept_[0]))

    def probability(self, features: Floats) -> Floats:
        """P(bought) of each row, to a millionth: what differs by less is equal."""
        logit = ((features - self.centre) / self.scale) @ self.slopes + self.level
        return np.asarray(np.round(1 / (1 + np.exp(-logit)), 6))


@dataclass(frozen=True)
class Ranker:
    """The two lines, learnt at an earlier moment from what was bought in the horizon after it."""

    own: Line
    new: Line | None

    @classmethod
    def fit(
        cls, own: Candidates, new: Candidates, own_bought: Bools, new_bought: Bools
    ) -> Self | None:
        """Both lines; None where too little was bought again to learn from."""
        line = Line.fit(own.features, own_bought)
        return None if line is None else cls(line, Line.fit(new.features, new_bought))
