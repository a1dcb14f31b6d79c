"""Calibration: ten bins, the expected calibration error, and its noise floor.

Even a perfect model has an error above zero, because outcomes are random. The floor is the error of
a model whose probabilities are true, simulated by drawing outcomes from them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from churn.arrays import Floats
from churn.modeling.metrics import Interval, customer_draws

BINS = 10
FLOOR_DRAWS = 500
Z = 1.959963984540054


@dataclass(frozen=True)
class Bin:
    """Customers of similar probability: their number, mean probability and observed rate."""

    rows: int
    predicted: float
    observed: Interval


@dataclass(frozen=True)
class Floor:
    """The calibration error of a perfect model at this size: its mean and 95 % quantile.

    Rows are drawn independently. The same customer at neighbouring cutoffs is not independent, so
    the true floor of pooled cutoffs is slightly higher.
    """

    mean: float
    high: float


@dataclass(frozen=True)
class Reliability:
    """One group of rows: predicted and observed rates, and the error with its noise floor."""

    group: str
    rows: int
    predicted: float
    observed: float
    error: Interval
    floor: Floor
    bins: tuple[Bin, ...]

    @property
    def within_floor(self) -> bool:
        """Whether the error is within the 95 % quantile of a perfect model."""
        return self.error.estimate <= self.floor.high


def reliability(
    group: str,
    outcome: ArrayLike,
    probability: ArrayLike,
    customer: ArrayLike,
    *,
    replicates: int = 200,
    seed: int = 0,
) -> Reliability:
    """Calibration of a group's probabilities, in at most ten bins of equal size.

    The interval resamples customers within fixed bins. Resampling adds noise to noise, so the error
    of a resample is larger on average: the interval is mirrored around the estimate (basic
    bootstrap) and cut at zero. It covers the true error: if the estimate is mostly noise, the
    interval may lie below it, and its lower end slightly above the truth; rely on the floor then.
    """
    binned = _Binned.of(outcome, probability)
    error = binned.error(np.ones(binned.size))
    resamples = customer_draws(customer, outcome, replicates, seed)
    return Reliability(
        group=group,
        rows=binned.size,
        predicted=float(binned.probability.mean()),
        observed=float(binned.outcome.mean()),
        error=_mirrored(error, [binned.error(weights) for weights in resamples]),
        floor=floor_of(probability, seed=seed),
        bins=tuple(binned.bins()),
    )


def calibration_error(outcome: ArrayLike, probability: ArrayLike) -> float:
    """Mean over ten equal bins of |mean probability - rate|, weighted by rows; equal
    probabilities share a bin.

    >>> round(calibration_error([0, 1, 0, 1], [0.1, 0.8, 0.1, 0.8]), 3)
    0.15
    """
    binned = _Binned.of(outcome, probability)
    return binned.error(np.ones(binned.size))


def floor_of(probability: ArrayLike, *, draws: int = FLOOR_DRAWS, seed: int = 0) -> Floor:
    """The noise floor of the calibration error if these probabilities are true."""
    probability = np.sort(np.asarray(probability, dtype=np.float64))
    binned = _Binned.of(np.zeros(len(probability)), probability)
    rng = np.random.default_rng(seed)
    ones = np.ones(binned.size)
    errors = [
        binned.error(ones, (rng.random(binned.size) < binned.probability).astype(np.float64))
        for _ in range(draws)
    ]
    return Floor(float(np.mean(errors)), float(np.quantile(errors, 0.95)))


@dataclass(frozen=True)
class _Binned:
    """Rows with their bin number: bins are fixed, so a resample only changes weights."""

    outcome: Floats
    probability: Floats
    code: NDArray[np.intp]

    @classmethod
    def of(cls, outcome: ArrayLike, probability: ArrayLike) -> _Binned:
        values = np.asarray(probability, dtype=np.float64)
        edges = np.unique(np.quantile(values, np.linspace(0, 1, BINS + 1)[1:-1]))
        code = np.searchsorted(edges, values, side="right")
        return cls(np.asarray(outcome, dtype=np.float64), values, code)

    @property
    def size(self) -> int:
        return len(self.outcome)

    def error(self, weights: Floats, outcome: Floats | None = None) -> float:
        came = self.outcome if outcome is None else outcome
        gaps = np.bincount(self.code, weights * (self.probability - came))
        return float(np.abs(gaps).sum() / weights.sum())

    def bins(self) -> Iterator[Bin]:
        for number in np.unique(self.code):
            chosen = self.code == number
            rows = int(chosen.sum())
            observed = share_interval(float(self.outcome[chosen].sum()), rows)
            yield Bin(rows, float(self.probability[chosen].mean()), observed)


def share_interval(count: float, rows: int) -> Interval:
    """A share of independent rows with its 95 % interval (Wilson 1927).

    >>> share_interval(0, 10).high < 0.3
    True
    """
    if rows == 0:
        return Interval(float("nan"), float("nan"), float("nan"))
    share, widening = count / rows, Z**2 / rows
    middle = (share + widening / 2) / (1 + widening)
    half = Z * np.sqrt(share * (1 - share) / rows + widening / (4 * rows)) / (1 + widening)
    # Rounding may move a bound past a share of exactly 0 or 1, or outside [0, 1].
    low, high = max(0.0, float(middle - half)), min(1.0, float(middle + half))
    return Interval(share, min(share, low), max(share, high))


def _mirrored(estimate: float, draws: list[float]) -> Interval:
    percentile = Interval.of(estimate, draws)
    low, high = (max(0.0, 2 * estimate - bound) for bound in (percentile.high, percentile.low))
    return Interval(estimate, low, high)
