"""What is said of customers whom the model does not speak for: the lapse rate of their group."""

from __future__ import annotations

from typing import Any

import pandas as pd

from churn.features.clock import FeatureClock
from churn.modeling.portable import fallback_group

__all__ = ["fit_fallback"]

PRIOR_ROWS = 20.0


def fit_fallback(rows: pd.DataFrame, clock: FeatureClock) -> dict[str, Any]:
    """Smoothed lapse rate, and orders and net spend when retained, by status and recency bin.

    Bins end at half a lookback, one, two and four. Each rate is pulled towards that of its
    status, and a status towards all, by 20 rows' worth.
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
    retained = rows[rows["lapse"] == 0]
    lapse = (rows["lapse"].sum() + prior_rows * prior["lapse"]) / (len(rows) + prior_rows)
    weight = len(retained) + prior_rows
    orders = (retained["horizon_orders"].sum() + prior_rows * prior["orders"]) / weight
    spend = (retained["horizon_net_spend"].sum() + prior_rows * prior["spend"]) / weight
    return {"lapse": float(lapse), "orders": float(orders), "spend": float(max(spend, 0.0))}
