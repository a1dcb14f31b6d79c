"""Walk-forward evaluation of the recipe: each forward fold, compared with the best baseline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from math import isfinite

import numpy as np
import pandas as pd

from churn.modeling.baselines import fit_baselines, predict_baseline
from churn.modeling.dataset import WEIGHT, Dataset, has_classes, row_weights
from churn.modeling.metrics import log_loss, roc_auc
from churn.modeling.model import ChurnModel
from churn.modeling.panel import Fold, forward_folds

KNOWN = ("customer_id", "cutoff")


@dataclass(frozen=True)
class JudgedFold:
    """One earlier cutoff, forecast by a fit on labels that had closed before it.

    `rows`: customer_id, cutoff, lapse, and the probability of `model` and of each baseline, for
    eligible customers. `metrics`: roc_auc and log_loss by predictor.
    """

    cutoff: date
    learnt_cutoffs: int
    rows: pd.DataFrame
    metrics: Mapping[str, Mapping[str, float]]

    @property
    def best_baseline(self) -> str:
        """The baseline with the lowest log loss at this cutoff."""
        rules = [name for name in self.metrics if name != "model"]
        return min(rules, key=lambda name: self.metrics[name]["log_loss"])

    def to_dict(self) -> dict[str, object]:
        """Plain JSON, of the model and the best baseline only."""
        shown = {"model": self.metrics["model"], "baseline": self.metrics[self.best_baseline]}
        return {
            "cutoff": str(self.cutoff),
            "learnt_cutoffs": self.learnt_cutoffs,
            "rows": len(self.rows),
            "base_rate": float(np.average(self.rows["lapse"], weights=row_weights(self.rows))),
            "best_baseline": self.best_baseline,
            **{
                f"{who}_{name}": value if isfinite(value) else None
                for who, found in shown.items()
                for name, value in found.items()
            },
        }


def judge_folds(recipe: ChurnModel, dataset: Dataset) -> tuple[JudgedFold, ...]:
    """The newest forward folds of the dataset, oldest first, for the lapse head only.

    A fold with too few rows of a class to train on, or nobody to evaluate on, is left out.
    """
    folds = [_judged(recipe, dataset, fold) for fold in forward_folds(dataset.cutoffs)]
    return tuple(fold for fold in folds if fold is not None)


def _judged(recipe: ChurnModel, dataset: Dataset, fold: Fold) -> JudgedFold | None:
    learnt, later = dataset.before(fold.judge.dates[0]), dataset.only(fold.judge).eligible
    if later.empty or not has_classes(learnt.eligible["lapse"]):
        return None
    rows = _forecast(recipe, learnt, later)
    metrics = {
        name: {
            "roc_auc": roc_auc(rows["lapse"], rows[name], weights=row_weights(rows)),
            "log_loss": log_loss(rows["lapse"], rows[name], weights=row_weights(rows)),
        }
        for name in rows.columns.drop([*KNOWN, "lapse", WEIGHT], errors="ignore")
    }
    return JudgedFold(fold.judge.dates[0], len(fold.learn), rows, metrics)


def _forecast(recipe: ChurnModel, learnt: Dataset, later: pd.DataFrame) -> pd.DataFrame:
    kept = [name for name in (*KNOWN, "lapse", WEIGHT) if name in later]
    rows = later[kept].reset_index(drop=True)
    rows["model"] = recipe.forecast_lapse(learnt, later)
    buyers = learnt.rows[learnt.rows["purchase_days"] > 0]
    for name, spec in fit_baselines(learnt.eligible, buyers, learnt.clock).items():
        rows[name] = predict_baseline(spec, later)
    return rows
