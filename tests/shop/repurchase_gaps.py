"""The repurchase gap by its definition, from single gaps instead of the engine's aggregates."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from churn.modeling.panel import quantile_of_votes


def repurchase_gap_quantile(
    gap_days: ArrayLike, is_event: ArrayLike, customer_code: ArrayLike, q: float = 0.8
) -> float:
    """`quantile_of_votes` of gaps that share one vote a customer."""
    _, customer, gaps = np.unique(customer_code, return_inverse=True, return_counts=True)
    days, ended = np.asarray(gap_days, dtype=np.float64), np.asarray(is_event, dtype=bool)
    return quantile_of_votes(days, ended, 1.0 / gaps[customer], q)
