"""Average effects of offers, overall and by group of customers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import norm

from churn.arrays import Bools, Floats
from churn.uplift.experiment import customer_codes

LEVEL = 0.9
Z = 1.6448536269514722  # of the normal, 5 % on either side

LEAST_CUSTOMERS = 200
MOST_SHOWN = 3
MOST_VALUES = 8
GROUP_LEVEL = 0.95


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
    """average + slope x (prediction - centre): the learner's prediction, shrunk.

    The best linear predictor of the effect from a learner that had not seen the customer
    (Chernozhukov, Demirer, Duflo and Fernandez-Val 2018). `slope` is 0 if the prediction is
    worthless and never above 1; it is shrunk by its own uncertainty (James and Stein 1961).
    """

    average: Estimate
    slope: float
    slope_error: float
    centre: float

    @classmethod
    def fit(cls, pseudo: Floats, predicted: Floats, customer: ArrayLike) -> Self:
        """The line from the pseudo-outcomes and the learner's out-of-fold predictions, by row."""
        average, centre = mean_by_customer(pseudo, customer), float(predicted.mean())
        away = predicted - centre
        spread = float(away @ away)
        if not spread > 0:
            return cls(average, 0.0, 0.0, centre)
        raw = float(away @ pseudo) / spread
        residual = pseudo - average.estimate - raw * away
        error = np.sqrt(_clustered(away * residual, customer)) / spread
        trust = max(0.0, 1 - (error / raw) ** 2) if raw > 0 else 0.0
        return cls(average, min(raw * trust, 1.0), float(error), centre)

    def mean(self, predicted: Floats) -> Floats:
        """The effect of each row."""
        return np.asarray(self.average.estimate + self.slope * (predicted - self.centre))

    def half_width(self, predicted: Floats) -> Floats:
        """Half of the 90 % interval: of the average and of the slope, not of single customers."""
        slope = self.slope_error * (predicted - self.centre) if self.slope else 0.0
        return np.asarray(Z * np.sqrt(self.average.error**2 + slope**2) + np.zeros_like(predicted))


@dataclass(frozen=True)
class Group:
    """Customers within a range of one feature, and their average effect with its interval."""

    feature: str
    rule: str
    customers: int
    effect: float
    low: float
    high: float

    def to_dict(self) -> dict[str, object]:
        """All fields, as plain JSON."""
        return dict(vars(self))


def telling_groups(
    features: pd.DataFrame, pseudo: Floats, customer: ArrayLike
) -> Mapping[str, tuple[Group, ...]]:
    """`works`: groups whose effect is above zero and above the average; `harms`: below zero.

    Each feature is cut into thirds, or by value if it has few; missing values are a group, too. The
    intervals hold for all examined groups together, at 95 % (Bonferroni). The three groups with the
    clearest bounds are kept.
    """
    customers, average = np.asarray(customer), float(np.mean(pseudo))
    cells = [cell for name in features.columns for cell in _cells(str(name), features[name])]
    kept = [cell for cell in cells if cell[2].sum() >= LEAST_CUSTOMERS]
    wide = float(norm.ppf(1 - (1 - GROUP_LEVEL) / 2 / max(len(kept), 1)))
    groups = [
        _group(name, rule, pseudo[inside], customers[inside], wide) for name, rule, inside in kept
    ]
    works = [group for group in groups if group.low > max(average, 0.0)]
    harms = [group for group in groups if group.high < 0]
    return {
        "works": tuple(sorted(works, key=lambda group: -group.low)[:MOST_SHOWN]),
        "harms": tuple(sorted(harms, key=lambda group: group.high)[:MOST_SHOWN]),
    }


def _group(feature: str, rule: str, pseudo: Floats, customer: ArrayLike, wide: float) -> Group:
    mean = mean_by_customer(pseudo, customer)
    half = wide * mean.error
    count = len(np.unique(np.asarray(customer)))
    return Group(feature, rule, count, mean.estimate, mean.estimate - half, mean.estimate + half)


def _cells(name: str, column: pd.Series[float]) -> Iterator[tuple[str, str, Bools]]:
    """The feature, a rule, and the rows to which it applies."""
    value = column.to_numpy(dtype="float64", na_value=np.nan)
    known = ~np.isnan(value)
    if 0 < known.sum() < len(value):
        yield name, f"{name} is not known", ~known
    found = np.unique(value[known])
    if len(found) <= 1:
        return
    if len(found) <= MOST_VALUES:
        yield from ((name, f"{name} is {one:.4g}", value == one) for one in found)
        return
    edges = np.unique(np.quantile(value[known], [1 / 3, 2 / 3]))
    for low, high in pairwise([-np.inf, *edges[edges < found[-1]], np.inf]):
        yield name, _rule(name, low, high), known & (value > low) & (value <= high)


def _rule(name: str, low: float, high: float) -> str:
    if not np.isfinite(low):
        return f"{name} at most {high:.4g}"
    if not np.isfinite(high):
        return f"{name} above {low:.4g}"
    return f"{name} above {low:.4g}, at most {high:.4g}"
