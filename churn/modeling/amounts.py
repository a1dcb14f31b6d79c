"""How much those who stay will order and spend: trees, or the lifetime models for the thin.

Of a customer with few purchase days the trees know little that BG/NBD and Gamma-Gamma do not. Their
expectations, given that the customer buys at all, take the place of the trees where they earn it.
And amounts drift, as a cohort ages or prices rise: the level is corrected where that is plain.
All that is learnt of spend is fenced, order by order; `tail_factor` makes sums whole again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from churn.modeling.dataset import AMOUNTS, Dataset, row_weights
from churn.modeling.portable import LIFETIME_FEATURES, lifetime_amounts

THIN_DAYS = 3
LEAST_ROWS = 30
MOST_DRIFT = 1.25
MOST_EXCESS = 0.02
SPEND_POWER = 1.5  # LightGBM's own for its Tweedie loss

Head = Callable[[str, pd.DataFrame, pd.DataFrame], np.ndarray]


def choose_amounts(dataset: Dataset, feature_names: list[str], predict: Head) -> dict[str, Any]:
    """How the trees' amounts are corrected, and which of them the lifetime models tell instead.

    All is tried on the retained of the newest cutoff, with what was learnt before it; `predict`
    gives what a head that learnt from the first rows says of the second. `scale` corrects the
    level, `lifetime` names the amounts of the thin that BG/NBD and Gamma-Gamma tell better.
    """
    buying = dataset.eligible
    per_day = float(buying["orders_count"].sum() / max(buying["purchase_days"].sum(), 1.0))
    spec: dict[str, Any] = {"thin_days": THIN_DAYS, "orders_per_day": per_day}
    spec |= {"lifetime": [], "scale": dict.fromkeys(AMOUNTS, 1.0)}
    learnt, unseen = _held_back(dataset)
    if not len(learnt) or len(unseen) < LEAST_ROWS:
        return spec
    trees = {name: predict(name, learnt, unseen) for name in AMOUNTS}
    spec["scale"] = {name: _scale(_actual(unseen, name), trees[name]) for name in AMOUNTS}
    if set(LIFETIME_FEATURES) <= set(feature_names):
        scaled = {name: spec["scale"][name] * trees[name] for name in AMOUNTS}
        spec["lifetime"] = _told_by_lifetime(spec, unseen, scaled)
    return spec


def lapsed_shares(rows: pd.DataFrame, predict: Callable[[str], np.ndarray]) -> dict[str, float]:
    """What the lapsing still order and spend in the horizon, as a share of what staying would mean.

    Nothing where a lapse is no purchase; where it is a subscription that ends, it may end late.
    """
    gone = (rows["lapse"] == 1).to_numpy()
    shares = {}
    for name in AMOUNTS:
        total = float(_actual(rows[gone], name).sum())
        shares[name] = total / float(predict(name)[gone].sum()) if total > 0 else 0.0
    return shares


def tail_factor(rows: pd.DataFrame) -> float:
    """What the retained spent over what of it lies within the fences: 1 without giant orders.

    Heads and groups learn from fenced spend; this factor makes their sums whole again. At each
    cutoff what a customer spent beyond the fence counts at most 2 % of what all spent within it.
    So one giant order moves nobody by more than that, and tails of many orders count in full.
    """
    kept = rows[rows["lapse"] == 0]
    weight = row_weights(kept)
    weight = np.ones(len(kept)) if weight is None else weight
    fenced = kept[AMOUNTS["spend"]].clip(lower=0)
    excess = kept["horizon_net_spend"].clip(lower=0) - fenced
    within = (weight * fenced).groupby(kept["cutoff"]).transform("sum")
    total = float(weight @ fenced)
    bounded = np.minimum(weight * excess, MOST_EXCESS * within)
    return 1.0 + float(bounded.sum()) / total if total > 0 else 1.0


def _held_back(dataset: Dataset) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Eligible rows of what had closed by the newest cutoff, and its retained ones."""
    newest = dataset.cutoffs.dates[-1:]
    learnt = dataset.only(dataset.cutoffs.before(newest[0])).eligible
    unseen = dataset.only(dataset.cutoffs.only(newest)).eligible
    enough = learnt[learnt["lapse"] == 0][list(AMOUNTS.values())].sum().gt(0).all()
    return learnt if enough else learnt.head(0), unseen[unseen["lapse"] == 0]


def _scale(actual: np.ndarray, expected: np.ndarray) -> float:
    """The sum that came over the sum expected; 1 where its 95 % interval holds 1, and where it is
    further off than a trend takes it in a horizon: that is the season's, and will not last.
    """
    ratio = float(actual.sum() / expected.sum())
    error = float(np.std(actual - ratio * expected, ddof=1) / np.sqrt(len(actual)))
    is_chance = abs(ratio - 1) * float(expected.mean()) <= 1.96 * error
    is_season = not 1 / MOST_DRIFT <= ratio <= MOST_DRIFT
    return 1.0 if is_chance or is_season else ratio


def _told_by_lifetime(
    spec: dict[str, Any], rows: pd.DataFrame, trees: dict[str, np.ndarray]
) -> list[str]:
    """The amounts of which the difference in mean deviance, Poisson of orders and Tweedie of
    spend, is below 0 beyond chance among the thin.
    """
    thin = (rows["purchase_days"] <= THIN_DAYS).to_numpy()
    if thin.sum() < LEAST_ROWS:
        return []
    expected = dict(zip(AMOUNTS, lifetime_amounts(spec, rows[thin]), strict=True))
    return [
        name
        for name in AMOUNTS
        if _wins(name, _actual(rows[thin], name), expected[name], trees[name][thin])
    ]


def _actual(rows: pd.DataFrame, name: str) -> np.ndarray:
    return rows[AMOUNTS[name]].clip(lower=0).to_numpy()


def _wins(name: str, actual: np.ndarray, lifetime: np.ndarray, trees: np.ndarray) -> bool:
    """Whether the mean difference in deviance is below 0 beyond chance; a customer is one row."""
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
