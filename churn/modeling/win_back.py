"""Win-back: a separate model for lapsed customers, if there are enough of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from churn.modeling.baselines import LINEAR_TERMS, fit_fallback, fit_line, predict_baseline
from churn.modeling.boosting import BoosterSettings, fit_booster, predict_booster
from churn.modeling.calibration import IDENTITY, choose_calibration
from churn.modeling.dataset import Dataset, row_weights
from churn.modeling.metrics import paired_log_loss_difference
from churn.modeling.portable import group_rates

LEAST_PER_CLASS = 30
LEAST_FOR_TREES = 200
MOST_LEAVES, MOST_ROUNDS = 7, 80  # lapsed customers differ little, and larger trees did worse
LEARNING_RATE = 0.05
Kind = str  # "rate", "logistic" or "trees"


@dataclass(frozen=True)
class WinBack:
    """P(buys again) of lapsed customers: `spec` is plain JSON, `text` LightGBM's, for trees.

    With kind `rate` the fixed rate of the group is used instead.
    """

    spec: dict[str, Any]
    text: str | None = None
    calibration: dict[str, Any] | None = None


def fit_win_back(dataset: Dataset, settings: BoosterSettings, *, seed: int) -> WinBack:
    """A small LightGBM from 200 rows per class on, a logistic regression from 30, else none.

    Like the main model it is first fitted on earlier cutoffs and calibrated on the newest. It is
    not used either if it is significantly worse there than the group rate.
    """
    rows = _lapsed(dataset.rows)
    back = int((1 - rows["lapse"]).sum())
    kind = _kind(min(back, len(rows) - back))
    spec: dict[str, Any] = {"kind": kind, "rows": len(rows), "back": back}
    small = _small(settings)
    calibration = None if kind == "rate" else _calibrate(kind, dataset, small, seed)
    if calibration is None:
        return WinBack(spec | {"kind": "rate"})
    line, text = _fit(kind, rows, small)
    return WinBack(spec | {"line": line}, text, calibration)


def _lapsed(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["status"] == "lapsed"]


def _kind(smaller_class: int) -> Kind:
    if smaller_class < LEAST_PER_CLASS:
        return "rate"
    return "logistic" if smaller_class < LEAST_FOR_TREES else "trees"


def _small(settings: BoosterSettings) -> BoosterSettings:
    leaves, rounds = min(settings.num_leaves, MOST_LEAVES), min(settings.rounds, MOST_ROUNDS)
    return replace(settings, num_leaves=leaves, rounds=rounds, learning_rate=LEARNING_RATE)


def _fit(
    kind: Kind, rows: pd.DataFrame, settings: BoosterSettings
) -> tuple[dict[str, Any] | None, str | None]:
    """The logistic regression or the text of the trees; the other is None."""
    target = 1 - rows["lapse"].to_numpy()
    if kind == "logistic":
        return fit_line({"terms": LINEAR_TERMS["logistic_rfm"]}, rows, target), None
    return None, fit_booster(_matrix(rows, settings), target, settings, weight=row_weights(rows))


def _calibrate(
    kind: Kind, dataset: Dataset, settings: BoosterSettings, seed: int
) -> dict[str, Any] | None:
    """The calibration chosen on the newest cutoff; None if the group rate is better."""
    newest = dataset.cutoffs.dates[-1:]
    earlier = dataset.only(dataset.cutoffs.before(newest[0]))
    learnt, unseen = _lapsed(earlier.rows), _lapsed(dataset.only(dataset.cutoffs.only(newest)).rows)
    if learnt["lapse"].nunique() < 2 or unseen["lapse"].nunique() < 2:
        return dict(IDENTITY)
    line, text = _fit(kind, learnt, settings)
    if line is not None:
        again = predict_baseline(line, unseen)
    else:
        again = predict_booster(str(text), _matrix(unseen, settings))
    target, customer = 1 - unseen["lapse"].to_numpy(), unseen["customer_id"]
    rates = group_rates(fit_fallback(earlier.rows, dataset.clock), unseen)
    rate = 1 - rates["lapse"]
    weight = row_weights(unseen)
    worse = paired_log_loss_difference(
        target, again, rate, customer.to_numpy(), weights=weight, seed=seed
    )
    if worse.low > 0:
        return None
    return choose_calibration(target, again, customer, seed=seed, weight=weight)


def _matrix(rows: pd.DataFrame, settings: BoosterSettings) -> np.ndarray:
    return rows[list(settings.feature_names)].to_numpy(dtype="float32", na_value=np.nan)
