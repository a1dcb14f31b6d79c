"""How much those who stay will order and spend: trees, or the lifetime models for the thin.

Of a customer with few purchase days the trees know little that BG/NBD and Gamma-Gamma do not. Their
expectations, given that the customer buys at all, take the place of the trees where they earn it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from churn.modeling.dataset import Dataset
from churn.modeling.portable import LIFETIME_FEATURES, lifetime_amounts

__all__ = ["AMOUNTS", "choose_amounts", "lapsed_shares"]

AMOUNTS = {"orders": "horizon_orders", "spend": "horizon_net_spend"}
THIN_DAYS = 3
LEAST_THIN_ROWS = 30
SPEND_POWER = 1.5  # LightGBM's own for its Tweedie loss

Head = Callable[[str, pd.DataFrame, pd.DataFrame], np.ndarray]


def choose_amounts(dataset: Dataset, feature_names: list[str], predict: Head) -> dict[str, Any]:
    """Which amounts of customers with at most `thin_days` purchase days the lifetime models tell.

    Both are tried on the retained of the newest cutoff: the lifetime models speak where the 95 %
    interval of the difference in deviance (Poisson of orders, Tweedie of spend) lies below 0.
    `predict` gives what a head that learnt from the first rows says of the second.
    """
    buying = dataset.eligible
    per_day = float(buying["orders_count"].sum() / max(buying["purchase_days"].sum(), 1.0))
    spec: dict[str, Any] = {"thin_days": THIN_DAYS, "orders_per_day": per_day, "lifetime": []}
    newest = dataset.cutoffs.dates[-1:]
    earlier = dataset.cutoffs.before(newest[0]) if newest else dataset.cutoffs
    if not earlier.dates or not set(LIFETIME_FEATURES) <= set(feature_names):
        return spec
    learnt = dataset.only(earlier).eligible
    thin = _thin_and_retained(dataset.only(dataset.cutoffs.only(newest)).eligible)
    if len(thin) < LEAST_THIN_ROWS or learnt["lapse"].min() > 0:
        return spec
    expected = dict(zip(AMOUNTS, lifetime_amounts(spec, thin), strict=True))
    won = [n for n in AMOUNTS if _wins(n, thin, expected[n], predict(n, learnt, thin))]
    return spec | {"lifetime": won}


def lapsed_shares(rows: pd.DataFrame, predict: Callable[[str], np.ndarray]) -> dict[str, float]:
    """What the lapsing still order and spend in the horizon, as a share of what staying would mean.

    Nothing where a lapse is no purchase; where it is a subscription that ends, it may end late.
    """
    gone = (rows["lapse"] == 1).to_numpy()
    shares = {}
    for name, column in AMOUNTS.items():
        total = float(rows.loc[gone, column].clip(lower=0).sum())
        shares[name] = total / float(predict(name)[gone].sum()) if total > 0 else 0.0
    return shares


def _thin_and_retained(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[(rows["purchase_days"] <= THIN_DAYS) & (rows["lapse"] == 0)]


def _wins(name: str, rows: pd.DataFrame, lifetime: np.ndarray, trees: np.ndarray) -> bool:
    """Whether the mean difference in deviance is below 0 beyond chance; a customer is one row."""
    actual = rows[AMOUNTS[name]].clip(lower=0).to_numpy()
    deviance = _poisson_deviance if name == "orders" else _tweedie_deviance
    gap = deviance(actual, lifetime) - deviance(actual, trees)
    return bool(gap.mean() + 1.96 * gap.std(ddof=1) / np.sqrt(len(gap)) < 0)


def _poisson_deviance(actual: np.ndarray, expected: np.ndarray) -> np.ndarray:
    mean = np.maximum(expected, 1e-9)
    log_ratio = np.log(np.where(actual > 0, actual, mean) / mean)
    return np.asarray(2 * (actual * log_ratio - actual + mean))


def _tweedie_deviance(actual: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Source: Jorgensen (1987), for a variance that is the mean to the power of 1.5."""
    p, mean = SPEND_POWER, np.maximum(expected, 1e-9)
    own = actual ** (2 - p) / ((1 - p) * (2 - p))
    return np.asarray(2 * (own - actual * mean ** (1 - p) / (1 - p) + mean ** (2 - p) / (2 - p)))
