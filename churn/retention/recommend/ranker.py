"""How likely a customer buys a product in the horizon: one line for own products, one for new."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from churn.retention.recommend.arrays import Bools, Floats
from churn.retention.recommend.candidates import Candidates

__all__ = ["LEAST_OF_EACH", "Line", "Ranker"]

LEAST_OF_EACH = 50


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
