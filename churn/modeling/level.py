"""The level of a probability: how often customers lapse on average, apart from who does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import brentq

from churn.features.lifetime import BGNBD
from churn.modeling.portable import logit, sigmoid

FARTHEST = 8.0
"""No correction exceeds this, in log-odds or in the logarithm of a hazard factor."""


def fit_bg_nbd(rows: pd.DataFrame) -> dict[str, float]:
    """BG/NBD's parameters, in days, of the customers with a purchase among the rows of one cutoff.

    It needs no labels, so it can be fitted on the newest histories.
    """
    buyers = rows[rows["purchase_days"] > 0]
    age = buyers["tenure_days"].to_numpy()
    repeats = buyers["purchase_days"].to_numpy() - 1
    return BGNBD.fit(repeats, age - buyers["recency_days"].to_numpy(), age).to_dict()


def shift_to_level(
    blend: np.ndarray, trees: np.ndarray, bg_nbd: np.ndarray, *, share: float
) -> dict[str, Any]:
    """The intercept shift that moves the mean of the blended probabilities to BG/NBD's, which has a
    weight of `share`, and the trees', all for the same customers.

    The trees know the past level, BG/NBD extrapolates the newest histories.
    """
    target = share * float(bg_nbd.mean()) + (1 - share) * float(trees.mean())
    line = logit(blend)
    intercept = _root(lambda shift: float(sigmoid(line + shift).mean()) - target)
    return {"kind": "shift", "intercept": intercept, "slope": 1.0, "slope_stay": 1.0}


def hazard_factor(silent: np.ndarray, lapsed: float) -> float:
    """The factor by which the hazard of a purchase must be multiplied, so that the mean probability
    of no purchase becomes `lapsed`: the mean of `silent` to the power of the factor.
    """
    inside = np.clip(silent, 1e-7, 1.0)
    return float(np.exp(_root(lambda log: lapsed - float((inside ** np.exp(log)).mean()))))


def _root(increasing: Any) -> float:
    """The root of an increasing function, to 12 digits; the nearer end if there is none."""
    if increasing(-FARTHEST) >= 0:
        return -FARTHEST
    if increasing(FARTHEST) <= 0:
        return FARTHEST
    return float(f"{brentq(increasing, -FARTHEST, FARTHEST, xtol=1e-13):.12g}")
