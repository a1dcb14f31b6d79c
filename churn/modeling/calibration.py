"""Probabilities that hold: the simplest correction that earns its place on later, unseen rows."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import minimize

from churn.modeling.metrics import paired_log_loss_difference
from churn.modeling.portable import logit, sigmoid

__all__ = ["IDENTITY", "choose_calibration"]

IDENTITY = {"kind": "none", "intercept": 0.0, "slope": 1.0}
KINDS = ("none", "shift", "platt")


def choose_calibration(
    target: np.ndarray, probability: np.ndarray, customer: pd.Series[str], *, seed: int
) -> dict[str, Any]:
    """The intercept and slope on the log-odds: none, an intercept shift, or Platt's line.

    A candidate is fitted on one half of the customers and judged on the other, both ways; it
    replaces a simpler one only when the interval of its log loss difference is below zero.
    """
    score = logit(probability)
    half = np.array([zlib.crc32(str(name).encode()) % 2 for name in customer], dtype=bool)
    best, best_held_out = "none", probability
    for kind in KINDS[1:]:
        held_out = np.empty_like(score)
        for part in (half, ~half):
            line = _fit(kind, target[~part], score[~part])
            held_out[part] = sigmoid(line["intercept"] + line["slope"] * score[part])
        gain = paired_log_loss_difference(
            target, held_out, best_held_out, customer.to_numpy(), seed=seed
        )
        if gain.high < 0:
            best, best_held_out = kind, held_out
    return _fit(best, target, score)


def _fit(kind: str, target: np.ndarray, score: np.ndarray) -> dict[str, Any]:
    if kind == "none" or len(np.unique(target)) < 2:
        return dict(IDENTITY)
    free_slope = kind == "platt"

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        slope = parameters[1] if free_slope else 1.0
        line = parameters[0] + slope * score
        wrong = sigmoid(line) - target
        value = float(np.mean(np.logaddexp(0.0, line) - target * line))
        gradient = [wrong.mean(), (wrong * score).mean()] if free_slope else [wrong.mean()]
        return value, np.array(gradient)

    start = np.array([0.0, 1.0] if free_slope else [0.0])
    found = minimize(loss, start, jac=True, method="BFGS").x
    slope = float(found[1]) if free_slope else 1.0
    return {"kind": kind, "intercept": float(found[0]), "slope": slope}
