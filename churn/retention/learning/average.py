"""The average effect of an offer, and the line that shrinks its heterogeneity towards it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from churn.retention.learning.resample import customer_codes

__all__ = ["LEVEL", "EffectLine", "Estimate", "Z", "mean_by_customer"]

Floats = NDArray[np.float64]

LEVEL = 0.9
Z = 1.6448536269514722  # of the normal, 5 % on either side


@dataclass(frozen=True)
class Estimate:
    """A number and its standard error; the interval is that of `LEVEL`, 90 %."""

    estimate: float
    error: float

    @property
    def low(self) -> float:
        """The lower bound."""
        return self.estimate - Z * self.error

    @property
    def high(self) -> float:
        """The upper bound."""
        return self.estimate + Z * self.error

    def to_dict(self) -> dict[str, float]:
        """The estimate and its bounds, as plain JSON."""
        return {"estimate": self.estimate, "low": self.low, "high": self.high}


def mean_by_customer(values: ArrayLike, customer: ArrayLike) -> Estimate:
    """The mean over rows; its error treats a customer's rows as one draw.

    >>> mean_by_customer([0.0, 1.0, 0.0, 1.0], ["a", "b", "c", "d"]).estimate
    0.5
    """
    value = np.asarray(values, dtype=float)
    if not len(value):
        return Estimate(float("nan"), float("nan"))
    mean = float(value.mean())
    return Estimate(mean, float(np.sqrt(_clustered(value - mean, customer))) / len(value))


def _clustered(residual: Floats, customer: ArrayLike) -> float:
    """The sum over customers of the squared sum of their residuals, for finitely many of them."""
    codes = customer_codes(customer)
    sums = np.bincount(codes, residual)
    return float((sums**2).sum() * len(sums) / max(len(sums) - 1, 1))


@dataclass(frozen=True)
class EffectLine:
    """average + slope x (what the learner says - centre): the learner's word, shrunk.

    The best linear predictor of the effect from a learner that had not seen the customer
    (Chernozhukov, Demirer, Duflo and Fernandez-Val 2018). `slope` is 0 where the learner's word is
    worth nothing and never above 1; it is shrunk by its own uncertainty (James and Stein 1961).
    """

    average: Estimate
    slope: float
    slope_error: float
    centre: float

    @classmethod
    def fit(cls, pseudo: Floats, said: Floats, customer: ArrayLike) -> Self:
        """The line from pseudo-outcomes and out-of-fold words of the learner, a row each."""
        average, centre = mean_by_customer(pseudo, customer), float(said.mean())
        away = said - centre
        spread = float(away @ away)
        if not spread > 0:
            return cls(average, 0.0, 0.0, centre)
        raw = float(away @ pseudo) / spread
        residual = pseudo - average.estimate - raw * away
        error = np.sqrt(_clustered(away * residual, customer)) / spread
        trust = max(0.0, 1 - (error / raw) ** 2) if raw > 0 else 0.0
        return cls(average, min(raw * trust, 1.0), float(error), centre)

    def mean(self, said: Floats) -> Floats:
        """The effect of each row."""
        return np.asarray(self.average.estimate + self.slope * (said - self.centre))

    def half_width(self, said: Floats) -> Floats:
        """Half of the 90 % interval: of the average and of the slope, not of single customers."""
        slope = self.slope_error * (said - self.centre) if self.slope else 0.0
        return np.asarray(Z * np.sqrt(self.average.error**2 + slope**2) + np.zeros_like(said))
