"""The churn model: LightGBM heads, their calibration, the baselines and the fallback, as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils.validation import check_is_fitted

from churn.data.cutoffs import Cutoffs
from churn.errors import ConfigError, GateError, ModelError
from churn.features.clock import FeatureClock
from churn.modeling.baselines import BASELINES, fit_baselines
from churn.modeling.boosting import BoosterSettings, fit_booster, predict_booster
from churn.modeling.calibration import IDENTITY, choose_calibration
from churn.modeling.dataset import Dataset
from churn.modeling.fallback import fit_fallback
from churn.modeling.portable import PortableModel, logit, sigmoid

__all__ = ["HEADS", "ChurnModel", "check_classes", "has_classes"]

HEADS = ("lapse", "decline", "orders", "spend")
CALIBRATED = ("lapse", "decline")
LEAST_PER_CLASS = 30
MOST_LEAVES = 31


class ChurnModel(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Learns who lapses, who declines, and what the retained will order and spend.

    `fit` holds the newest admissible cutoff back to choose a calibration, then fits again on all
    rows. Only eligible rows are learnt from; the others get the lapse rate of their group. Class
    weights are never used. `margin_rate` turns net spend into margin; `stand_in` names a baseline
    that speaks in the model's place. The same `seed` gives the same model on any number of
    `threads` (0: all).
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        num_leaves: int = 15,
        rounds: int = 150,
        learning_rate: float = 0.05,
        min_rows_in_leaf: int = 50,
        margin_rate: float = 0.3,
        stand_in: str | None = None,
        threads: int = 0,
    ) -> None:
        self.seed = seed
        self.num_leaves = num_leaves
        self.rounds = rounds
        self.learning_rate = learning_rate
        self.min_rows_in_leaf = min_rows_in_leaf
        self.margin_rate = margin_rate
        self.stand_in = stand_in
        self.threads = threads

    def fit(self, dataset: Dataset) -> Self:
        """Learns from every row of the dataset. Raises GateError on too few of a class."""
        self._check_parameters()
        rows = dataset.eligible
        check_classes(rows["lapse"])
        self.feature_names_ = list(dataset.feature_names)
        self.clock_: FeatureClock = dataset.clock
        self.cutoffs_: Cutoffs = dataset.cutoffs
        self.calibration_ = self._calibrate(dataset)
        self.heads_ = {name: self._fit_head(name, rows) for name in HEADS}
        self.base_rate_ = float(rows["lapse"].mean())
        buyers = dataset.rows[dataset.rows["purchase_days"] > 0]
        self.baselines_ = fit_baselines(rows, buyers, dataset.clock)
        self.fallback_ = fit_fallback(dataset.rows, dataset.clock)
        self.classes_ = np.array([0, 1])
        self._portable_: PortableModel | None = None
        return self

    def predict_proba(self, rows: pd.DataFrame) -> np.ndarray:
        """P(retained) and P(lapse) of every row of features, shape (rows, 2)."""
        lapse = self.predict_frame(rows)["churn_probability"].to_numpy()
        return np.column_stack([1 - lapse, lapse])

    def predict(self, rows: pd.DataFrame) -> np.ndarray:
        """1 where lapsing is likelier than not, else 0, shape (rows,)."""
        return np.asarray((self.predict_proba(rows)[:, 1] > 0.5).astype(int))

    def predict_frame(self, rows: pd.DataFrame) -> pd.DataFrame:
        """All that the model says of every row of features: `portable.OUTPUTS`.

        Raises ModelError naming the features that are missing or nobody asked for.
        """
        try:
            return self.portable().predict(rows)
        except ValueError as failure:
            if "expects its own" not in str(failure):
                raise
            raise ModelError(str(failure)) from None

    def forecast_lapse(self, learnt: Dataset, later: pd.DataFrame) -> np.ndarray:
        """P(lapse) of eligible rows as a fit on `learnt` would say it, by the lapse head alone;
        shape (rows,). The model itself stays as it is.
        """
        model = clone(self)
        model.feature_names_ = list(learnt.feature_names)
        line = model._calibrate(learnt, heads=("lapse",))["lapse"]
        raw = predict_booster(model._fit_head("lapse", learnt.eligible), model._matrix(later))
        return sigmoid(line["intercept"] + line["slope"] * logit(raw))

    def portable(self) -> PortableModel:
        """The predictor that also runs in other services, ready to use."""
        check_is_fitted(self, "heads_")
        if self._portable_ is None:
            self._portable_ = PortableModel(self.spec(), self.heads_, self.threads)
        return self._portable_

    def spec(self) -> dict[str, Any]:
        """Everything but the trees, as plain JSON."""
        return {
            "features": self.feature_names_,
            "horizon_days": self.clock_.horizon_days,
            "margin_rate": self.margin_rate,
            "base_rate": self.base_rate_,
            "stand_in": self.stand_in,
            "calibration": self.calibration_,
            "baselines": self.baselines_,
            "fallback": self.fallback_,
        }

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_portable_": None}

    def _calibrate(
        self, dataset: Dataset, *, heads: Sequence[str] = CALIBRATED
    ) -> dict[str, dict[str, Any]]:
        """The calibration of the probabilities, chosen on the newest cutoff, unseen by its fit."""
        newest = dataset.cutoffs.dates[-1:]
        earlier = dataset.cutoffs.before(newest[0])
        if not earlier.dates:
            return {name: dict(IDENTITY) for name in heads}
        learnt = dataset.only(earlier).eligible
        unseen = dataset.only(dataset.cutoffs.only(newest)).eligible
        return {name: self._calibrate_head(name, learnt, unseen) for name in heads}

    def _calibrate_head(
        self, name: str, learnt: pd.DataFrame, unseen: pd.DataFrame
    ) -> dict[str, Any]:
        unseen = unseen[unseen[name].notna()]
        if learnt[name].nunique() < 2 or unseen[name].nunique() < 2:
            return dict(IDENTITY)
        text = self._fit_head(name, learnt)
        probability = predict_booster(text, self._matrix(unseen))
        target = unseen[name].to_numpy()
        return choose_calibration(target, probability, unseen["customer_id"], seed=self.seed)

    def _fit_head(self, name: str, rows: pd.DataFrame) -> str:
        """LightGBM's text of one head: the probabilities on all, the amounts on the retained."""
        if name in ("orders", "spend"):
            rows = rows[rows["lapse"] == 0]
            column = "horizon_orders" if name == "orders" else "horizon_net_spend"
            target = rows[column].clip(lower=0)
        else:
            rows = rows[rows[name].notna()]
            target = rows[name]
        return fit_booster(self._matrix(rows), target.to_numpy(), self._settings(name))

    def _settings(self, head: str) -> BoosterSettings:
        objective = {"orders": "poisson", "spend": "tweedie"}.get(head, "binary")
        return BoosterSettings(
            objective=objective,
            feature_names=tuple(self.feature_names_),
            rounds=self.rounds,
            num_leaves=self.num_leaves,
            learning_rate=self.learning_rate,
            min_rows_in_leaf=self.min_rows_in_leaf,
            seed=self.seed,
            threads=self.threads,
        )

    def _matrix(self, rows: pd.DataFrame) -> np.ndarray:
        return rows[self.feature_names_].to_numpy(dtype="float32", na_value=np.nan)

    def _check_parameters(self) -> None:
        if not 2 <= self.num_leaves <= MOST_LEAVES:
            rule = f"num_leaves must be between 2 and {MOST_LEAVES}"
            raise ConfigError(rule, got=self.num_leaves, fix="Pass e.g. 15.")
        if self.rounds < 1:
            raise ConfigError("rounds must be >= 1", got=self.rounds, fix="Pass e.g. 150.")
        if self.stand_in is not None and self.stand_in not in BASELINES:
            fix = f"Pass one of {list(BASELINES)} or None."
            raise ConfigError("stand_in must name a baseline", got=self.stand_in, fix=fix)


def has_classes(lapse: pd.Series[float]) -> bool:
    """Whether each class has the 30 rows that it takes to learn from."""
    lapsed = int(lapse.sum())
    return min(lapsed, len(lapse) - lapsed) >= LEAST_PER_CLASS


def check_classes(lapse: pd.Series[float]) -> None:
    """Nothing, or GateError when either class has fewer than 30 rows."""
    if not has_classes(lapse):
        lapsed = int(lapse.sum())
        raise GateError(
            f"a model needs {LEAST_PER_CLASS} eligible rows that lapsed and as many that did not",
            got=f"{lapsed:,} lapsed and {len(lapse) - lapsed:,} retained",
            fix="Pass a longer history or another horizon_days.",
        )
