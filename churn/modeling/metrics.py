"""Ranking and accuracy of probabilities, with confidence intervals clustered by customer.

Every metric takes weights, so that drawing a customer twice is a weight of 2 and no row is copied.
An undefined metric (no rows, or an outcome that never varies) is NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from churn.arrays import Floats
from churn.errors import ConfigError, DataError

_CLIP = 1e-15
_LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """An estimate and the 95 % bounds of the bootstrap (percentile method)."""

    estimate: float
    low: float
    high: float

    @classmethod
    def of(cls, estimate: float, replicates: ArrayLike) -> Self:
        """The bounds from the defined replicates; NaN if there are none."""
        values = np.asarray(replicates, dtype=np.float64)
        defined = values[np.isfinite(values)]
        if not defined.size:
            return cls(estimate, float("nan"), float("nan"))
        low, high = np.quantile(defined, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
        return cls(estimate, float(low), float(high))


def roc_auc(y: ArrayLike, p: ArrayLike, *, weights: ArrayLike | None = None) -> float:
    """Probability that a positive outranks a negative, ties counting half; NaN for one class.

    >>> roc_auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    0.75
    """
    return _Ranking.of(y, p).roc_auc(_weights(weights, y))


def average_precision(y: ArrayLike, p: ArrayLike, *, weights: ArrayLike | None = None) -> float:
    """Precision averaged over the increases in recall, ties grouped; NaN for one class."""
    return _Ranking.of(y, p).average_precision(_weights(weights, y))


def lift_at(
    y: ArrayLike, p: ArrayLike, share: float = 0.1, *, weights: ArrayLike | None = None
) -> float:
    """Outcome rate in the `share` ranked highest divided by the overall rate; NaN for one class.

    Ties at the edge count at their mean, as a random order gives on average; so does the fraction
    of a row that completes the share.

    >>> lift_at([1, 0, 1, 0], [0.9, 0.5, 0.5, 0.1], share=0.5)
    1.5
    """
    if not 0 < share <= 1:
        raise ConfigError("share must be above 0 and at most 1", got=share, fix="Pass e.g. 0.1.")
    return _Ranking.of(y, p).lift_at(share, _weights(weights, y))


def share_caught(
    y: ArrayLike, p: ArrayLike, shares: ArrayLike, *, weights: ArrayLike | None = None
) -> Floats:
    """Share of all outcomes found in the `shares` ranked highest; NaN for one class.

    Ties at the edge count at their mean, as in `lift_at`.

    >>> share_caught([1, 0, 1, 0], [0.9, 0.5, 0.5, 0.1], [0.25, 0.5, 1.0]).tolist()
    [0.5, 0.75, 1.0]
    """
    return _Ranking.of(y, p).share_caught(np.asarray(shares), _weights(weights, y))


def classes_by_tie(
    y: ArrayLike, p: ArrayLike, *, weights: ArrayLike | None = None
) -> tuple[Floats, Floats]:
    """Weight of positives and of negatives at each distinct score, highest first."""
    return _Ranking.of(y, p).classes_by_tie(_weights(weights, y))


def row_log_losses(y: ArrayLike, p: ArrayLike) -> Floats:
    """-ln(probability of what happened) of every row, clipped as in `log_loss`."""
    return _log_losses(*_outcomes(y, p))


def log_loss(y: ArrayLike, p: ArrayLike, *, weights: ArrayLike | None = None) -> float:
    """Mean of -ln(probability of what happened), the probability clipped to 1e-15 at both ends."""
    return _mean(_log_losses(*_outcomes(y, p)), _weights(weights, y))


def brier(y: ArrayLike, p: ArrayLike, *, weights: ArrayLike | None = None) -> float:
    """Mean squared distance between probability and outcome."""
    outcome, probability = _outcomes(y, p)
    return _mean((probability - outcome) ** 2, _weights(weights, y))


def score_all(y: ArrayLike, p: ArrayLike) -> dict[str, float]:
    """`roc_auc`, `average_precision`, `lift_at_10_percent`, `log_loss` and `brier` by name."""
    return _scorer(y, p)(_weights(None, y))


def bootstrap_metrics(
    y: ArrayLike,
    p: ArrayLike,
    customer: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    replicates: int = 200,
    seed: int,
) -> dict[str, Interval]:
    """The metrics of `score_all` with intervals from resampling customers with all their rows.

    `weights` are sample weights. Replicates in which a metric is undefined are left out of its
    interval.
    """
    score, weight = _scorer(y, p), _weights(weights, y)
    estimates = score(weight)
    draws = [score(w * weight) for w in customer_draws(customer, y, replicates, seed)]
    return {
        name: Interval.of(estimate, [draw[name] for draw in draws])
        for name, estimate in estimates.items()
    }


def paired_log_loss_difference(
    y: ArrayLike,
    p_model: ArrayLike,
    p_other: ArrayLike,
    customer: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    replicates: int = 1000,
    seed: int,
) -> Interval:
    """Mean log loss of the model minus that of the other on the same rows: negative is better.

    The interval comes from resampling customers with all their rows. `weights` are sample weights.
    """
    difference = row_log_losses(y, p_model) - row_log_losses(y, p_other)
    return paired_mean_difference(
        difference, customer, weights=weights, replicates=replicates, seed=seed
    )


def paired_mean_difference(
    difference: ArrayLike,
    customer: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    replicates: int = 1000,
    seed: int,
) -> Interval:
    """The mean of a row-wise difference; its interval resamples customers with all their rows."""
    values, weight = np.asarray(difference, dtype=np.float64), _weights(weights, difference)
    columns = np.column_stack([weight * values, weight])
    total, drawn = resampled_sums(columns, customer, replicates, seed).T
    draws = np.divide(total, drawn, out=np.full_like(total, np.nan), where=drawn > 0)
    return Interval.of(_mean(values, weight), draws)


@dataclass(frozen=True)
class _Ranking:
    """Outcomes sorted once by descending score, so that each weighting takes linear time."""

    order: NDArray[np.intp]
    outcome: Floats  # in that order
    starts: NDArray[np.intp]  # start of each run of tied scores

    @classmethod
    def of(cls, y: ArrayLike, scores: ArrayLike) -> Self:
        outcome, score = _columns(y, scores)
        order = np.argsort(-score, kind="stable")
        score = score[order]
        starts = np.flatnonzero(np.r_[score.size > 0, score[1:] != score[:-1]])
        return cls(order, outcome[order], starts)

    def roc_auc(self, weights: Floats) -> float:
        positive, negative = self.classes_by_tie(weights)
        pairs = positive.sum() * negative.sum()
        beaten = negative.sum() - np.cumsum(negative) + 0.5 * negative
        return float(positive @ beaten / pairs) if pairs > 0 else float("nan")

    def average_precision(self, weights: Floats) -> float:
        positive, negative = self.classes_by_tie(weights)
        if not _has_both(positive, negative):
            return float("nan")
        hits, listed = np.cumsum(positive), np.cumsum(positive + negative)
        precision = np.divide(hits, listed, out=np.zeros_like(hits), where=listed > 0)
        return float(positive @ precision / hits[-1])

    def lift_at(self, share: float, weights: Floats) -> float:
        return float(self.share_caught(np.array([share]), weights)[0] / share)

    def share_caught(self, shares: Floats, weights: Floats) -> Floats:
        positive, negative = self.classes_by_tie(weights)
        if not _has_both(positive, negative):
            return np.full(shares.shape, np.nan)
        listed, hits = np.cumsum(positive + negative), np.cumsum(positive)
        caught = np.interp(shares * listed[-1], np.r_[0.0, listed], np.r_[0.0, hits])
        return np.asarray(caught / hits[-1])

    def classes_by_tie(self, weights: Floats) -> tuple[Floats, Floats]:
        """Weight of positives and of negatives in each run of ties, highest score first."""
        weight = weights[self.order]
        positive = np.add.reduceat(weight * self.outcome, self.starts)
        negative = np.add.reduceat(weight * (1.0 - self.outcome), self.starts)
        return positive, negative


def _has_both(positive: Floats, negative: Floats) -> bool:
    return bool(positive.sum() > 0 and negative.sum() > 0)


def _scorer(y: ArrayLike, p: ArrayLike) -> Callable[[Floats], dict[str, float]]:
    """The five metrics as a function of the weights."""
    outcome, probability = _outcomes(y, p)
    ranking = _Ranking.of(outcome, probability)
    log_losses, squares = _log_losses(outcome, probability), (probability - outcome) ** 2

    def score(weights: Floats) -> dict[str, float]:
        return {
            "roc_auc": ranking.roc_auc(weights),
            "average_precision": ranking.average_precision(weights),
            "lift_at_10_percent": ranking.lift_at(0.1, weights),
            "log_loss": _mean(log_losses, weights),
            "brier": _mean(squares, weights),
        }

    return score


def _log_losses(outcome: Floats, probability: Floats) -> Floats:
    happened = np.where(outcome == 1, probability, 1.0 - probability)
    return np.asarray(-np.log(np.clip(happened, _CLIP, 1.0 - _CLIP)))


def _mean(values: Floats, weights: Floats) -> float:
    total = weights.sum()
    return float(values @ weights / total) if total > 0 else float("nan")


def customer_draws(
    customer: ArrayLike, y: ArrayLike, replicates: int, seed: int
) -> Iterator[Floats]:
    """For each replicate, how often each row's customer was drawn, with replacement.

    `y` is any column of the same rows. Raises DataError if the two differ in length.
    """
    yield from draws_of(_codes(customer, y), replicates, seed)


def draws_of(code: NDArray[np.int64], replicates: int, seed: int) -> Iterator[Floats]:
    """For each replicate, how often the customer of each row was drawn; codes count from 0."""
    for drawn in _drawn(int(code.max(initial=-1)) + 1, replicates, seed):
        yield drawn[code]


def resampled_sums(values: Floats, customer: ArrayLike, replicates: int, seed: int) -> Floats:
    """For each replicate, the sum of each column over the rows of the customers drawn, shape
    (replicates, columns); the draws are those of `customer_draws`.
    """
    code = _codes(customer, values[:, 0])
    count = int(code.max(initial=-1)) + 1
    totals = np.column_stack([np.bincount(code, column, count) for column in values.T])
    sums = [drawn @ totals for drawn in _drawn(count, replicates, seed)]
    return np.array(sums).reshape(-1, values.shape[1])


def _codes(customer: ArrayLike, y: ArrayLike) -> NDArray[np.intp]:
    _, code = np.unique(np.asarray(customer), return_inverse=True)
    if code.shape != np.shape(y):
        raise DataError(
            "customer must be as long as y",
            got=[code.shape, np.shape(y)],
            fix="Pass the customer of each row.",
        )
    return code


def _drawn(customers: int, replicates: int, seed: int) -> Iterator[Floats]:
    rng = np.random.default_rng(seed)
    for _ in range(replicates if customers else 0):
        drawn = np.bincount(rng.integers(customers, size=customers), minlength=customers)
        yield drawn.astype(np.float64)


def bootstrap(
    statistic: Callable[[Floats], float],
    customer: ArrayLike,
    *,
    replicates: int = 200,
    seed: int = 0,
) -> Interval:
    """Any statistic of row weights with its 95 % interval from resampling customers."""
    rows = np.asarray(customer)
    draws = customer_draws(rows, rows, replicates, seed)
    return Interval.of(statistic(np.ones(rows.size)), [statistic(weights) for weights in draws])


def _weights(weights: ArrayLike | None, y: ArrayLike) -> Floats:
    if weights is None:
        return np.ones(np.shape(y))
    weight = np.asarray(weights, dtype=np.float64)
    if weight.shape != np.shape(y) or not (np.isfinite(weight) & (weight >= 0)).all():
        raise DataError(
            "weights must be finite, >= 0 and as long as y",
            got=f"shape {weight.shape} for {np.shape(y)}",
            fix="Pass one weight a row, or None.",
        )
    return weight


def _outcomes(y: ArrayLike, p: ArrayLike) -> tuple[Floats, Floats]:
    outcome, probability = _columns(y, p)
    if not ((probability >= 0) & (probability <= 1)).all():
        raise DataError(
            "probabilities must lie in [0, 1]",
            got=f"{probability.min()} to {probability.max()}",
            fix="Calibrate the scores first; roc_auc, average_precision and lift_at accept any.",
        )
    return outcome, probability


def _columns(y: ArrayLike, scores: ArrayLike) -> tuple[Floats, Floats]:
    """Both as floats. Raises DataError unless every y is 0 or 1 and every score a number."""
    outcome, score = np.asarray(y, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    if outcome.ndim != 1 or outcome.shape != score.shape:
        raise DataError(
            "y and its scores must have the same length",
            got=[outcome.shape, score.shape],
            fix="Pass two columns of one table.",
        )
    unusable = ~np.isin(outcome, (0.0, 1.0)) | np.isnan(score)
    if unusable.any():
        raise DataError(
            "y must be 0 or 1, and its score must not be missing",
            got=f"{np.count_nonzero(unusable)} of {unusable.size} rows otherwise",
            fix="Drop rows whose label window is open and fill missing scores.",
        )
    return outcome, score
