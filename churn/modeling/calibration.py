"""Calibration: the simplest correction that significantly improves on later, unseen rows."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import minimize

from churn.arrays import one_blas_thread
from churn.modeling.metrics import log_loss, paired_log_loss_difference
from churn.modeling.portable import corrected, log_odds_terms, sigmoid

IDENTITY = {"kind": "none", "intercept": 0.0, "slope": 1.0, "slope_stay": 1.0}
# From no free parameter to intercept, slope and slope_stay; Platt scaling keeps the slopes equal.
KINDS = ("none", "shift", "platt", "beta")

Mask = NDArray[np.bool_]


def choose_calibration(
    target: np.ndarray,
    probability: np.ndarray,
    customer: pd.Series[str],
    *,
    seed: int,
    fold: np.ndarray | None = None,
    weight: np.ndarray | None = None,
) -> dict[str, Any]:
    """The correction of the log-odds: none, an intercept shift, Platt scaling, or beta calibration
    (Kull, Silva Filho, Flach 2017), with a separate slope at each end.

    `fold` numbers the forecasts by cutoff, oldest first. A candidate is fitted on the folds before
    each fold and evaluated on it; it replaces a simpler one only if it wins on every fold and the
    interval of its log loss difference over all of them lies below zero. So one lucky cutoff, or a
    single fold, never changes anything. Without `fold` a candidate is cross-fitted on two halves of
    the customers. `weight` is the weight of each forecast.
    """
    weight = np.ones(len(target)) if weight is None else weight
    trials = halves(customer) if fold is None else _forward(fold)
    if not trials:
        return dict(IDENTITY)
    tried = np.any([asked for _, asked in trials], axis=0)
    best, best_unseen = "none", probability
    for kind in KINDS[1:]:
        unseen = _unseen(kind, target, probability, trials, weight)
        if _wins(target, unseen, best_unseen, trials, weight) and (
            paired_log_loss_difference(
                target[tried],
                unseen[tried],
                best_unseen[tried],
                customer.to_numpy()[tried],
                weights=weight[tried],
                seed=seed,
            ).high
            < 0
        ):
            best, best_unseen = kind, unseen
    return fit_calibration(best, target, probability, weight)


def halves(customer: pd.Series[str]) -> list[tuple[Mask, Mask]]:
    """Two splits of the rows by a hash of the customer: known and asked, and the reverse."""
    half = np.array([zlib.crc32(str(name).encode()) % 2 for name in customer], dtype=bool)
    return [(~half, half), (half, ~half)]


def _forward(fold: np.ndarray) -> list[tuple[Mask, Mask]]:
    return [(fold < later, fold == later) for later in np.unique(fold)[1:]]


def _unseen(
    kind: str,
    target: np.ndarray,
    probability: np.ndarray,
    trials: list[tuple[Mask, Mask]],
    weight: np.ndarray,
) -> np.ndarray:
    """Out-of-sample corrected probabilities."""
    found = probability.astype("float64")
    for known, asked in trials:
        line = fit_calibration(kind, target[known], probability[known], weight[known])
        found[asked] = corrected(line, probability[asked])
    return found


def _wins(
    target: np.ndarray,
    one: np.ndarray,
    other: np.ndarray,
    trials: list[tuple[Mask, Mask]],
    weight: np.ndarray,
) -> bool:
    def lost(said: np.ndarray, asked: Mask) -> float:
        return log_loss(target[asked], said[asked], weights=weight[asked])

    return all(lost(one, asked) < lost(other, asked) for _, asked in trials)


def fit_calibration(
    kind: str, target: np.ndarray, probability: np.ndarray, weight: np.ndarray | None = None
) -> dict[str, Any]:
    """The maximum-likelihood correction of that kind; none if only one class occurs."""
    weight = np.ones(len(target)) if weight is None else weight
    if kind == "none" or len(np.unique(target)) < 2:
        return dict(IDENTITY)
    lapse, stay = log_odds_terms(probability)
    one, score = np.ones_like(lapse), lapse + stay
    free = {"shift": [one], "platt": [one, score], "beta": [one, lapse, stay]}[kind]
    terms, fixed = np.column_stack(free), score if kind == "shift" else np.zeros_like(score)

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        line = fixed + terms @ parameters
        wrong = weight * (sigmoid(line) - target)
        value = float(np.average(np.logaddexp(0.0, line) - target * line, weights=weight))
        return value, np.asarray(wrong @ terms / weight.sum())

    start = np.array([0.0, 1.0, 1.0][: terms.shape[1]])
    bounds = [(None, None), (0.0, None), (0.0, None)][
        : terms.shape[1]
    ]  # the ranking must not change
    with one_blas_thread():
        found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    slopes = found[1:] if len(found) > 1 else np.ones(1)
    return {
        "kind": kind,
        "intercept": float(found[0]),
        "slope": float(slopes[0]),
        "slope_stay": float(slopes[-1]),
    }
