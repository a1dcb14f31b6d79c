"""Predictions whose labels have closed: log loss, AUC, and calibration over time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Literal

import numpy as np
import pandas as pd
from scipy.stats import norm

from churn.arrays import Floats
from churn.modeling.metrics import log_loss, roc_auc

State = Literal["ok", "alarm", "too few"]

LEAST_LAPSED = 100
LEAST_DEVIATION = 0.05
FAMILY_ERROR = 0.01
LEVEL = 0.95


@dataclass(frozen=True)
class Matured:
    """One cutoff: its predictions and their outcomes.

    `forecast` and `lapsed` are the mean probability and the share that lapsed. `expected_log_loss`
    is the log loss that the probabilities would have if they were right: their mean entropy.
    `deviation` is lapsed over forecast minus 1, `half` half of its 95 % interval.
    """

    cutoff: date
    closed: date
    customers: int
    forecast: float
    lapsed: float
    deviation: float
    half: float
    log_loss: float
    expected_log_loss: float
    roc_auc: float
    state: State

    def sentence(self) -> str:
        """The finding in one line."""
        if self.state == "too few":
            return f"Too few to say: {self.lapsed * self.customers:.0f} of {LEAST_LAPSED} lapsed."
        return (
            f"Of {self.customers:,} customers, {self.forecast:.1%} were forecast to lapse by "
            f"{self.closed} and {self.lapsed:.1%} did."
        )


def matured(rows: pd.DataFrame, cutoff: date, closed: date, *, looks: int = 1) -> Matured:
    """The result of a cutoff: `probability` and `lapse` (0 or 1) of each customer.

    Customers are independent at one cutoff. An alarm needs a deviation of the lapsed from the
    forecast of at least 5 % that is certain at 99 % over all `looks`.
    """
    probability = rows["probability"].to_numpy(dtype=np.float64)
    lapse = rows["lapse"].to_numpy(dtype=np.float64)
    expected = float(probability.sum())
    error = float(np.sqrt((probability * (1 - probability)).sum())) / max(expected, 1e-12)
    deviation = float(lapse.sum()) / max(expected, 1e-12) - 1
    both = 0 < lapse.sum() < len(lapse)
    return Matured(
        cutoff=cutoff,
        closed=closed,
        customers=len(rows),
        forecast=float(probability.mean()),
        lapsed=float(lapse.mean()),
        deviation=deviation,
        half=float(norm.ppf((1 + LEVEL) / 2)) * error,
        log_loss=log_loss(lapse, probability),
        expected_log_loss=float(_entropy(probability).mean()),
        roc_auc=roc_auc(lapse, probability) if both else float("nan"),
        state=_state(lapse, deviation, error, looks),
    )


def _entropy(probability: Floats) -> Floats:
    p = np.clip(probability, 1e-15, 1 - 1e-15)
    return np.asarray(-(p * np.log(p) + (1 - p) * np.log1p(-p)))


def _state(lapse: Floats, deviation: float, error: float, looks: int) -> State:
    if lapse.sum() < LEAST_LAPSED:
        return "too few"
    certain = abs(deviation) > norm.ppf(1 - FAMILY_ERROR / (2 * looks)) * error
    return "alarm" if certain and abs(deviation) >= LEAST_DEVIATION else "ok"
