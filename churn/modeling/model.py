"""The churn model: LightGBM heads, their calibration, the baselines and the fallback, as one."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from churn.data.cutoffs import Cutoffs
from churn.errors import ConfigError, GateError, ModelError
from churn.features.clock import FeatureClock
from churn.modeling.amounts import AMOUNTS, choose_amounts, lapsed_shares
from churn.modeling.baselines import BASELINES, RENEWALS, fit_baselines
from churn.modeling.boosting import BoosterSettings, fit_booster, predict_booster
from churn.modeling.calibration import IDENTITY, choose_calibration
from churn.modeling.dataset import Dataset
from churn.modeling.fallback import fit_fallback
from churn.modeling.portable import PortableModel, RowsError
from churn.modeling.win_back import fit_win_back

__all__ = ["HEADS", "ChurnModel", "check_classes"]

HEADS = ("lapse", "decline", "orders", "spend")
LEAST_PER_CLASS = 30
MOST_LEAVES = 31


class ChurnModel(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Learns who lapses, who declines, what the retained will order and spend, who comes back.

    `fit` holds the newest admissible cutoff back to choose a calibration, then fits again on all
    rows. The eligible are learnt from, and the lapsed by a model of their own where they are
    enough; all others get the lapse rate of their group. Class
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
        check_is_dataset(dataset)
        rows = dataset.eligible
        check_classes(rows["lapse"])
        self.feature_names_ = list(dataset.feature_names)
        self.clock_: FeatureClock = dataset.clock
        self.cutoffs_: Cutoffs = dataset.cutoffs
        self.calibration_ = self._calibrate(dataset)
        self.heads_ = {name: self._fit_head(name, rows) for name in HEADS}
        self.amounts_ = self._amounts(dataset)
        self._fit_win_back(dataset)
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

        Raises ModelError for what it cannot be asked: features that are missing or nobody asked
        for, other things than numbers, an unknown status.
        """
        try:
            return self.portable().predict(rows)
        except RowsError as failure:
            raise ModelError(str(failure)) from None

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
            "win_back": self.win_back_,
            "amounts": self.amounts_,
        }

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_portable_": None}

    def _calibrate(self, dataset: Dataset) -> dict[str, dict[str, Any]]:
        """The calibration of both probabilities, chosen on the newest cutoff, unseen by its fit."""
        newest = dataset.cutoffs.dates[-1:]
        earlier = dataset.cutoffs.before(newest[0])
        heads = ("lapse", "decline")
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

    def _fit_win_back(self, dataset: Dataset) -> None:
        found = fit_win_back(dataset, self._settings("win_back"), seed=self.seed)
        self.win_back_ = found.spec
        if found.calibration is not None:
            self.calibration_["win_back"] = found.calibration
        if found.text is not None:
            self.heads_["win_back"] = found.text

    def _amounts(self, dataset: Dataset) -> dict[str, Any]:
        """Who tells the amounts of the thin, and what the lapsing still bring."""

        def heard(name: str, learnt: pd.DataFrame, asked: pd.DataFrame) -> np.ndarray:
            return predict_booster(self._fit_head(name, learnt), self._matrix(asked))

        def fitted(name: str) -> np.ndarray:
            raw = predict_booster(self.heads_[name], self._matrix(dataset.eligible))
            return np.asarray(chosen["scale"][name] * raw)

        chosen = choose_amounts(dataset, self.feature_names_, heard)
        return chosen | {"lapsed_share": lapsed_shares(dataset.eligible, fitted)}

    def _fit_head(self, name: str, rows: pd.DataFrame) -> str:
        """LightGBM's text of one head: the probabilities on all, the amounts on the retained."""
        if name in AMOUNTS:
            rows = rows[rows["lapse"] == 0]
            target = rows[AMOUNTS[name]].clip(lower=0)
            check_amounts(target)
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
        if self.stand_in is not None and self.stand_in not in (*BASELINES, RENEWALS):
            fix = f"Pass one of {list(BASELINES)} or None."
            raise ConfigError("stand_in must name a baseline", got=self.stand_in, fix=fix)


def check_classes(lapse: pd.Series[float]) -> None:
    """Nothing, or GateError when either class has fewer than 30 rows."""
    lapsed = int(lapse.sum())
    retained = len(lapse) - lapsed
    if min(lapsed, retained) < LEAST_PER_CLASS:
        raise GateError(
            f"a model needs {LEAST_PER_CLASS} eligible rows that lapsed and as many that did not",
            got=f"{lapsed:,} lapsed and {retained:,} retained",
            fix="Pass a longer history or another horizon_days.",
        )


def check_amounts(target: pd.Series[float]) -> None:
    """Nothing, or GateError where those who stayed ordered nothing: there is no value to learn."""
    if not target.sum() > 0:
        rule = "those who stay must have ordered something in their horizons"
        raise GateError(rule, got=f"{len(target):,} rows with 0", fix="Check the orders' amounts.")


def check_is_dataset(dataset: object) -> None:
    """Nothing, or ConfigError where a model is given something else to learn from."""
    if not isinstance(dataset, Dataset):
        rule = "a model learns from a Dataset"
        fix = "Make one with build_dataset(tables, cutoffs)."
        raise ConfigError(rule, got=type(dataset).__name__, fix=fix)
