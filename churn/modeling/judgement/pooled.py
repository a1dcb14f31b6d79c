"""Pooled forward forecasts of many cutoffs: enough rows to assess calibration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from churn.data.days import date_of
from churn.modeling.baselines import fit_baselines, predict_baseline
from churn.modeling.dataset import Dataset, has_classes
from churn.modeling.judgement.predictions import TestPredictions
from churn.modeling.judgement.reliability import Reliability, reliability
from churn.modeling.model import ChurnModel
from churn.modeling.panel import LEAST_TRAINING_CUTOFFS, Fold, forward_folds
from churn.modeling.slices import slices_of

Progress = Callable[[str], None]

KEYS = ["customer_id", "cutoff"]


@dataclass(frozen=True)
class Pooled:
    """All pooled rows first, then each slice of them, largest first."""

    cutoffs: tuple[str, ...]
    calibration: tuple[Reliability, ...]


def forward_forecasts(
    recipe: ChurnModel, dataset: Dataset, *, progress: Progress = lambda _: None
) -> pd.DataFrame:
    """customer_id, cutoff and `model`: P(lapse) of every eligible row whose cutoff has at least
    three closed ones before it, by a fit of the recipe on those.

    One fit per cutoff. For a fallback model, its baseline is fitted.
    """
    folds = [
        fold
        for fold in forward_folds(dataset.cutoffs, most=len(dataset.cutoffs))
        if len(fold.learn) >= LEAST_TRAINING_CUTOFFS
    ]
    parts = [pd.DataFrame(columns=[*KEYS, "model"])]
    for number, fold in enumerate(folds, start=1):
        progress(f"forecasting cutoff {number} of {len(folds)}")
        parts.append(_forecast(recipe, dataset, fold))
    return pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)


def pool_forecasts(
    forecasts: pd.DataFrame, dataset: Dataset, tested: TestPredictions, *, seed: int = 0
) -> Pooled:
    """Calibration of the forecasts of earlier cutoffs pooled with the test, overall and by slice.

    `forecasts` has customer_id, cutoff and `model`; `dataset` has the same rows.
    """
    earlier = dataset.eligible.merge(forecasts[[*KEYS, "model"]], on=KEYS)
    rows = pd.concat([earlier, tested.rows.assign(model=tested.lapse["model"])], ignore_index=True)
    slices = sorted(slices_of(rows, tested.clock).items(), key=lambda item: -int(item[1].sum()))
    everyone = np.ones(len(rows), dtype=bool)
    return Pooled(
        cutoffs=tuple(str(date_of(int(number))) for number in sorted(rows["cutoff"].unique())),
        calibration=tuple(
            _reliability(name, rows[mask], seed)
            for name, mask in [("all pooled cutoffs", everyone), *slices]
        ),
    )


def _forecast(recipe: ChurnModel, dataset: Dataset, fold: Fold) -> pd.DataFrame:
    learnt, later = dataset.before(fold.judge.dates[0]), dataset.only(fold.judge).eligible
    if later.empty or not has_classes(learnt.eligible["lapse"]):
        return pd.DataFrame(columns=[*KEYS, "model"])
    return later[KEYS].assign(model=_probabilities(recipe, learnt, later))


def _probabilities(recipe: ChurnModel, learnt: Dataset, later: pd.DataFrame) -> NDArray[np.float64]:
    """P(lapse) by the recipe, or by the active baseline."""
    if recipe.stand_in is None:
        return np.asarray(recipe.forecast_lapse(learnt, later))
    buyers = learnt.rows[learnt.rows["purchase_days"] > 0]
    rules = fit_baselines(learnt.eligible, buyers, learnt.clock)
    return predict_baseline(rules[recipe.stand_in], later)


def _reliability(name: str, rows: pd.DataFrame, seed: int) -> Reliability:
    return reliability(
        name,
        rows["lapse"].to_numpy(),
        rows["model"].to_numpy(),
        rows["customer_id"].to_numpy(),
        seed=seed,
    )
