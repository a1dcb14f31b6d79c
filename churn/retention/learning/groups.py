"""For whom an offer works and whom it harms, as rules that a person can read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm

from churn.retention.learning.average import mean_by_customer

__all__ = ["Group", "telling_groups"]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

LEAST_CUSTOMERS = 200
MOST_SHOWN = 3
MOST_VALUES = 8
LEVEL = 0.95


@dataclass(frozen=True)
class Group:
    """Customers by one feature's range, and the average effect among them with its interval."""

    feature: str
    rule: str
    customers: int
    effect: float
    low: float
    high: float

    def to_dict(self) -> dict[str, object]:
        """The same as plain JSON."""
        return dict(vars(self))


def telling_groups(
    features: pd.DataFrame, pseudo: Floats, customer: ArrayLike
) -> Mapping[str, tuple[Group, ...]]:
    """`works`: groups whose effect is above zero and above that of all; `harms`: below zero.

    Each feature is cut into thirds, one of few values into these, and what is missing is a group,
    too. The intervals hold for all the groups that were looked at together, at 95 % (Bonferroni).
    The three of most telling bounds are kept.
    """
    customers, average = np.asarray(customer), float(np.mean(pseudo))
    cells = [cell for name in features.columns for cell in _cells(str(name), features[name])]
    kept = [cell for cell in cells if cell[2].sum() >= LEAST_CUSTOMERS]
    wide = float(norm.ppf(1 - (1 - LEVEL) / 2 / max(len(kept), 1)))
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
    """The feature, a rule, and who it holds for."""
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
