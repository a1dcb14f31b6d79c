"""What is said of customers whom the model does not speak for: the lapse rate of their group."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from churn.features.clock import FeatureClock
from churn.modeling.dataset import AMOUNTS, row_weights
from churn.modeling.portable import fallback_group

__all__ = ["fit_fallback"]

PRIOR_ROWS = 20.0


def fit_fallback(rows: pd.DataFrame, clock: FeatureClock) -> dict[str, Any]:
    """Smoothed lapse rate, and orders and net spend when retained, by status and recency bin.

    Bins end at half a lookback, one, two and four. Each rate is pulled towards that of its
    status, and a status towards all, by 20 rows' worth. Rows count as often as `row_weights` says.
    """
    edges = [clock.lookback_days * factor for factor in (0.5, 1.0, 2.0, 4.0)]
    everyone = _smoothed(rows, {"lapse": 0.5, "orders": 1.0, "spend": 0.0}, prior_rows=1.0)
    groups: dict[str, dict[str, float]] = {}
    others = rows[rows["status"] != "eligible"]
    for status, members in others.groupby("status", observed=True):
        of_status = _smoothed(members, everyone)
        for bin_of, part in members.groupby(members["recency_days"].map(_bin(edges, str(status)))):
            groups[str(bin_of)] = _smoothed(part, of_status)
    return {"edges_days": edges, "groups": groups, "default": everyone}


def _bin(edges: list[float], status: str) -> Any:
    return lambda days: fallback_group(edges, status, days)


def _smoothed(
    rows: pd.DataFrame, prior: dict[str, float], *, prior_rows: float = PRIOR_ROWS
) -> dict[str, float]:
    weight = row_weights(rows)
    weight = np.ones(len(rows)) if weight is None else weight
    stayed = weight * (rows["lapse"] == 0).to_numpy()
    lapse = (rows["lapse"] @ weight + prior_rows * prior["lapse"]) / (weight.sum() + prior_rows)
    retained = stayed.sum() + prior_rows
    orders = (rows["horizon_orders"] @ stayed + prior_rows * prior["orders"]) / retained
    spend = (rows[AMOUNTS["spend"]] @ stayed + prior_rows * prior["spend"]) / retained
    return {"lapse": float(lapse), "orders": float(orders), "spend": float(max(spend, 0.0))}
