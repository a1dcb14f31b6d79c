"""Expected orders and spend of retained customers: from the trees, or from BG/NBD and Gamma-Gamma
for customers with little history.

For a customer with few purchase days the trees know little that BG/NBD and Gamma-Gamma do not. The
expectations of these lifetime models, conditional on a purchase, replace those of the trees if they
are significantly better. Amounts also drift as a cohort ages or prices rise: the level is corrected
if the drift is significant. Models learn from spend that is capped per order; `tail_factor`
restores the totals.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from churn.modeling.dataset import AMOUNTS, Dataset, row_weights
from churn.modeling.portable import LIFETIME_FEATURES, NO_LEVEL, lifetime_amounts
from churn.modeling.seasons import Season

THIN_DAYS = 3
LEAST_ROWS = 30
MOST_DRIFT = 1.25
MOST_EXCESS = 0.02
SPEND_POWER = 1.5  # LightGBM's default for its Tweedie loss

Head = Callable[[str, pd.DataFrame, pd.DataFrame], np.ndarray]


def choose_amounts(dataset: Dataset, feature_names: list[str], predict: Head) -> dict[str, Any]:
    """How the trees' amounts are corrected, and which of them the lifetime models predict instead.

    Everything is evaluated on retained customers at the newest cutoff, with models fitted before
    it; `predict` fits a head on the first rows and predicts the second. `checked` tells whether
    there are such rows, `scale` corrects the level, and `lifetime` names the amounts that BG/NBD
    and Gamma-Gamma predict better for customers with little history.
    """
    buying = dataset.eligible
    per_day = float(buying["orders_count"].sum() / max(buying["purchase_days"].sum(), 1.0))
    spec: dict[str, Any] = {"thin_days": THIN_DAYS, "orders_per_day": per_day}
    spec |= {"lifetime": [], "scale": dict.fromkeys(AMOUNTS, 1.0), "checked": False}
    learnt, unseen = _held_back(dataset)
    if not len(learnt) or len(unseen) < LEAST_ROWS:
        return spec
    spec["checked"] = True
    trees = {name: predict(name, learnt, unseen) for name in AMOUNTS}
    spec["scale"] = {name: _scale(_actual(unseen, name), trees[name]) for name in AMOUNTS}
    if set(LIFETIME_FEATURES) <= set(feature_names):
        scaled = {name: spec["scale"][name] * trees[name] for name in AMOUNTS}
        spec["lifetime"] = _better_by_lifetime(spec, unseen, scaled)
    return spec


def level_of_sums(
    spec: Mapping[str, Any],
    season: Season | None,
    rows: pd.DataFrame,
    totals: Mapping[str, float],
) -> dict[str, float]:
    """The factors on the amounts that move the model's `totals` of these rows to the expected sums;
    the model only distributes them among customers. 1 if the lifetime features are missing.

    The sum is that of BG/NBD and Gamma-Gamma, times what came of their forecast one year earlier.
    Without a season it is the geometric mean with the model's own sum, if that could be checked on
    a later cutoff.
    """
    if not set(LIFETIME_FEATURES) <= set(rows.columns) or min(totals.values()) <= 0:
        return dict(NO_LEVEL)
    days, spend = (float(rows[name].sum()) for name in LIFETIME_FEATURES[:2])
    expected = {"orders": spec["orders_per_day"] * days, "spend": spend}
    if min(expected.values()) <= 0:
        return dict(NO_LEVEL)
    power = 0.5 if spec["checked"] else 1.0
    if season is not None and not season.is_odd:
        expected = {name: getattr(season, name) * total for name, total in expected.items()}
        power = 1.0
    return {name: (expected[name] / totals[name]) ** power for name in totals}


def lapsed_shares(rows: pd.DataFrame, predict: Callable[[str], np.ndarray]) -> dict[str, float]:
    """Orders and spend of lapsing customers in the horizon, as a share of those of retained ones.

    Zero if a lapse is the absence of a purchase; a subscription may end late in the horizon.
    """
    gone = (rows["lapse"] == 1).to_numpy()
    shares = {}
    for name in AMOUNTS:
        total = float(_actual(rows[gone], name).sum())
        shares[name] = total / float(predict(name)[gone].sum()) if total > 0 else 0.0
    return shares


def tail_factor(rows: pd.DataFrame) -> float:
    """Spend of retained customers divided by the part within the fences: 1 without giant orders.

    Heads and groups learn from fenced spend; this factor restores their totals. At each cutoff, a
    customer's spend beyond the fence counts up to 2 % of everyone's spend within it, so that one
    giant order moves nobody by more than that, and tails of many orders count in full.
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
    """Eligible rows with labels closed by the newest cutoff, and retained rows at that cutoff."""
    newest = dataset.cutoffs.dates[-1:]
    learnt = dataset.only(dataset.cutoffs.before(newest[0])).eligible
    unseen = dataset.only(dataset.cutoffs.only(newest)).eligible
    enough = learnt[learnt["lapse"] == 0][list(AMOUNTS.values())].sum().gt(0).all()
    return learnt if enough else learnt.head(0), unseen[unseen["lapse"] == 0]


def _scale(actual: np.ndarray, expected: np.ndarray) -> float:
    """Observed over expected total; 1 if its 95 % interval contains 1, and if it is further from 1
    than a trend can move it within a horizon: that is seasonal and will not last.
    """
    ratio = float(actual.sum() / expected.sum())
    error = float(np.std(actual - ratio * expected, ddof=1) / np.sqrt(len(actual)))
    is_chance = abs(ratio - 1) * float(expected.mean()) <= 1.96 * error
    is_season = not 1 / MOST_DRIFT <= ratio <= MOST_DRIFT
    return 1.0 if is_chance or is_season else ratio


def _better_by_lifetime(
    spec: dict[str, Any], rows: pd.DataFrame, trees: dict[str, np.ndarray]
) -> list[str]:
    """The amounts whose difference in mean deviance (Poisson for orders, Tweedie for spend) is
    significantly below 0 for customers with little history.
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
    """Whether the mean difference in deviance is significantly below 0; a customer is one row."""
    deviance = _poisson_deviance if name == "orders" else _tweedie_deviance
    gap = deviance(actual, lifetime) - deviance(actual, trees)
    return bool(gap.mean() + 1.96 * gap.std(ddof=1) / np.sqrt(len(gap)) < 0)


def _poisson_deviance(actual: np.ndarray, expected: np.ndarray) -> np.ndarray:
    mean = np.maximum(expected, 1e-9)
    log_ratio = np.log(np.where(actual > 0, actual, mean) / mean)
    return np.asarray(2 * (actual * log_ratio - actual + mean))


def _tweedie_deviance(actual: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Source: Jorgensen (1987), with a variance equal to the mean to the power of 1.5."""
    p, mean = SPEND_POWER, np.maximum(expected, 1e-9)
    own = actual ** (2 - p) / ((1 - p) * (2 - p))
    return np.asarray(2 * (own - actual * mean ** (1 - p) / (1 - p) + mean ** (2 - p) / (2 - p)))
