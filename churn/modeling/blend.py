"""The blend of the lapse probability: BG/NBD and a logistic regression on recency, frequency and
monetary value, averaged with the trees in log-odds.

The fewer outcomes and label windows a shop has seen, the more the two simple models weigh.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
import pandas as pd

from churn.data.cutoffs import Cutoffs
from churn.modeling.baselines import LINEAR_TERMS, fit_line
from churn.modeling.dataset import Dataset, row_weights
from churn.modeling.level import fit_bg_nbd, shift_to_level
from churn.modeling.metrics import paired_log_loss_difference
from churn.modeling.portable import bg_nbd_in_season, bg_nbd_no_purchase, blended, simple_parts

HALF_WEIGHT_OUTCOMES = 500
"""With so many outcomes of the rarer class, the trees have half of the weight."""
HALF_WEIGHT_WINDOWS = 1
"""With so many label windows that do not overlap, the trees have half of the weight at most:
customers of one window share its season."""
SEASON_POWER = 0.7
"""How much of last year's deviation of the hazard is expected again."""


def fit_blend(dataset: Dataset, *, seed: int) -> dict[str, Any]:
    """The blend as plain JSON; BG/NBD is fitted on the newest histories, without labels."""
    rows = dataset.eligible
    target = rows["lapse"].to_numpy()
    rarer = min(int(target.sum()), len(target) - int(target.sum()))
    spec = {
        "weight": max(
            HALF_WEIGHT_OUTCOMES / (HALF_WEIGHT_OUTCOMES + rarer),
            HALF_WEIGHT_WINDOWS / (HALF_WEIGHT_WINDOWS + windows_closed(dataset.cutoffs)),
        ),
        "bg_nbd": fit_bg_nbd(dataset.newest),
        "horizon_days": dataset.clock.horizon_days,
        "season": _season(dataset, seed),
        "logistic_rfm": fit_line({"terms": LINEAR_TERMS["logistic_rfm"]}, rows, target),
    }
    return spec | {"centre": _centre(spec, rows)}


def _centre(spec: dict[str, Any], rows: pd.DataFrame) -> dict[str, float]:
    """The mean log-odds of each part, to which explanations refer."""
    whole = spec | {"weight": 2.0, "centre": defaultdict(float)}
    return {name: float(part.mean()) for name, part in simple_parts(whole, rows).items()}


def windows_closed(cutoffs: Cutoffs) -> float:
    """How many label windows fit between the first cutoff and the end of the last label window.

    >>> windows_closed(Cutoffs.every(14, until="2017-11-01", horizon_days=28, count=4))
    2.5
    """
    return 1 + (cutoffs.dates[-1] - cutoffs.dates[0]).days / cutoffs.horizon_days


def fit_level(spec: dict[str, Any], rows: pd.DataFrame, trees: np.ndarray) -> dict[str, Any]:
    """The level on eligible rows of the newest date, given what the trees say of them: BG/NBD's in
    this season, or halfway to it if last year is known but not followed.
    """
    share = 0.5 if is_out_of_season(spec) else 1.0
    return shift_to_level(
        blended(spec, rows, trees), trees, bg_nbd_in_season(spec, rows), share=share
    )


def is_out_of_season(spec: dict[str, Any]) -> bool:
    """Whether last year is known, but was too odd to be followed or did harm."""
    season = spec["season"]
    return season["last_year"] is not None and season["factor"] == 1.0


def _season(dataset: Dataset, seed: int) -> dict[str, Any]:
    """`factor`, the power of BG/NBD's probability of no purchase, and where it comes from.

    It is 1 if last year is unknown or odd, or if following the year before did harm at the newest
    cutoff whose outcome is known, beyond chance.
    """
    season = dataset.season(dataset.newest)
    if season is None:
        return {"factor": 1.0, "last_year": None, "because": "less than a year of history"}
    found = {"last_year": season.to_dict(), "factor": 1.0}
    if season.is_odd:
        return found | {"because": "last year deviated by more than a factor of two"}
    if _harmed(dataset, seed):
        return found | {"because": "the year before did harm at the newest known outcome"}
    return found | {"factor": season.hazard**SEASON_POWER, "because": "last year"}


def _harmed(dataset: Dataset, seed: int) -> bool:
    newest = dataset.only(dataset.cutoffs.only(dataset.cutoffs.dates[-1:]))
    season, rows = dataset.season(newest.rows), newest.eligible
    if season is None or season.is_odd or rows.empty:
        return False
    silent = bg_nbd_no_purchase(fit_bg_nbd(newest.rows), dataset.clock.horizon_days, rows)
    gap = paired_log_loss_difference(
        rows["lapse"].to_numpy(),
        np.clip(silent, 1e-7, 1) ** (season.hazard**SEASON_POWER),
        silent,
        rows["customer_id"].to_numpy(),
        weights=row_weights(rows),
        seed=seed,
    )
    return gap.low > 0
