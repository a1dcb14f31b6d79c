"""Average effects of offers, overall and by group of customers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm

from churn.arrays import Bools, Floats
from churn.uplift.experiment import customer_codes

LEVEL = 0.9
Z = 1.6448536269514722  # standard normal quantile, 5 % on either side

MIN_GROUP_CUSTOMERS = 200
MAX_GROUPS = 3
MAX_VALUES = 8
GROUP_LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """An estimate and its standard error, with the interval of `LEVEL`, 90 %."""

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


def mean_by_customer(
    values: ArrayLike, customer: ArrayLike, weight: Floats | None = None
) -> Estimate:
    """The mean over rows, weighted if asked, with its standard error clustered by customer.

    >>> mean_by_customer([0.0, 1.0, 0.0, 1.0], ["a", "b", "c", "d"]).estimate
    0.5
    """
    value = np.asarray(values, dtype=float)
    if not len(value):
        return Estimate(float("nan"), float("nan"))
    weight = np.ones(len(value)) if weight is None else weight
    total = float(weight.sum())
    mean = float((weight * value).sum()) / total
    return Estimate(mean, float(np.sqrt(_clustered(weight * (value - mean), customer))) / total)


def _clustered(residual: Floats, customer: ArrayLike) -> float:
    """Sum over customers of their squared summed residuals, with the finite-sample correction."""
    codes = customer_codes(customer)
    sums = np.bincount(codes, residual)
    return float((sums**2).sum() * len(sums) / max(len(sums) - 1, 1))


@dataclass(frozen=True)
class EffectLine:
    """average + slope x (prediction - centre): the learner's prediction, shrunk.

    The best linear predictor of the effect from out-of-fold predictions (Chernozhukov, Demirer,
    Duflo and Fernandez-Val 2018). `slope` is 0 for uninformative predictions and never above 1;
    it is shrunk by its own uncertainty (James and Stein 1961).
    """

    average: Estimate
    slope: float
    slope_error: float
    centre: float

    @classmethod
    def fit(
        cls, pseudo: Floats, predicted: Floats, customer: ArrayLike, weight: Floats | None = None
    ) -> Self:
        """The line from pseudo-outcomes and out-of-fold predictions of the same rows."""
        weight = np.ones(len(pseudo)) if weight is None else weight
        average = mean_by_customer(pseudo, customer, weight)
        centre = float(np.average(predicted, weights=weight))
        deviation = predicted - centre
        spread = float((weight * deviation) @ deviation)
        if not spread > 0:
            return cls(average, 0.0, 0.0, centre)
        raw = float((weight * deviation) @ pseudo) / spread
        residual = pseudo - average.estimate - raw * deviation
        error = np.sqrt(_clustered(weight * deviation * residual, customer)) / spread
        shrinkage = max(0.0, 1 - (error / raw) ** 2) if raw > 0 else 0.0
        return cls(average, min(raw * shrinkage, 1.0), float(error), centre)

    def mean(self, predicted: Floats) -> Floats:
        """The effect of each row."""
        return np.asarray(self.average.estimate + self.slope * (predicted - self.centre))

    def half_width(self, predicted: Floats) -> Floats:
        """Half of the 90 % interval: of the average and of the slope, not of single customers."""
        slope = self.slope_error * (predicted - self.centre) if self.slope else 0.0
        return np.asarray(Z * np.sqrt(self.average.error**2 + slope**2) + np.zeros_like(predicted))


@dataclass(frozen=True)
class Group:
    """Customers defined by the range of one feature, and their average effect with interval."""

    feature: str
    rule: str
    customers: int
    effect: float
    low: float
    high: float

    def to_dict(self) -> dict[str, object]:
        """The same as plain JSON."""
        return dict(vars(self))


def responsive_groups(
    features: pd.DataFrame, pseudo: Floats, customer: ArrayLike, weight: Floats | None = None
) -> Mapping[str, tuple[Group, ...]]:
    """`works`: groups whose effect is above zero and above the average; `harms`: below zero.

    Each feature is split into thirds, one with few values into these values; missing values are a
    group of their own. The intervals hold simultaneously for all groups examined, at 95 %
    (Bonferroni). Of each kind, the three groups with the most extreme bounds are returned.
    """
    customers, weight = np.asarray(customer), np.ones(len(pseudo)) if weight is None else weight
    average = float(np.average(pseudo, weights=weight))
    cells = [cell for name in features.columns for cell in _cells(str(name), features[name])]
    large = [cell for cell in cells if cell[2].sum() >= MIN_GROUP_CUSTOMERS]
    z = float(norm.ppf(1 - (1 - GROUP_LEVEL) / 2 / max(len(large), 1)))
    groups = [
        _group(name, rule, (pseudo[some], customers[some], weight[some]), z)
        for name, rule, some in large
    ]
    works = [group for group in groups if group.low > max(average, 0.0)]
    harms = [group for group in groups if group.high < 0]
    return {
        "works": tuple(sorted(works, key=lambda group: -group.low)[:MAX_GROUPS]),
        "harms": tuple(sorted(harms, key=lambda group: group.high)[:MAX_GROUPS]),
    }


def _group(feature: str, rule: str, rows: tuple[Floats, NDArray[Any], Floats], z: float) -> Group:
    """The group of those pseudo-outcomes, customers and weights."""
    mean = mean_by_customer(*rows)
    half = z * mean.error
    count = len(np.unique(rows[1]))
    return Group(feature, rule, count, mean.estimate, mean.estimate - half, mean.estimate + half)


def _cells(name: str, column: pd.Series[float]) -> Iterator[tuple[str, str, Bools]]:
    """The feature, a rule as text, and the rows that satisfy it."""
    values = column.to_numpy(dtype="float64", na_value=np.nan)
    known = ~np.isnan(values)
    if 0 < known.sum() < len(values):
        yield name, f"{name} is not known", ~known
    distinct = np.unique(values[known])
    if len(distinct) <= 1:
        return
    if len(distinct) <= MAX_VALUES:
        yield from ((name, f"{name} is {value:.4g}", values == value) for value in distinct)
        return
    edges = np.unique(np.quantile(values[known], [1 / 3, 2 / 3]))
    for low, high in pairwise([-np.inf, *edges[edges < distinct[-1]], np.inf]):
        yield name, _rule(name, low, high), known & (values > low) & (values <= high)


def _rule(name: str, low: float, high: float) -> str:
    if not np.isfinite(low):
        return f"{name} at most {high:.4g}"
    if not np.isfinite(high):
        return f"{name} above {low:.4g}"
    return f"{name} above {low:.4g}, at most {high:.4g}"
