"""The churn model: LightGBM heads, their calibration, the baselines and the fallback rates."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import replace
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils.validation import check_is_fitted

from churn.data.cutoffs import Cutoffs
from churn.errors import ConfigError, ModelError, check_type
from churn.features.clock import FeatureClock
from churn.modeling.amounts import (
    choose_amounts,
    lapsed_shares,
    level_of_sums,
    tail_factor,
)
from churn.modeling.baselines import BASELINES, RENEWALS, fit_baselines, fit_fallback
from churn.modeling.blend import fit_blend, fit_level
from churn.modeling.boosting import BoosterSettings, fit_booster, predict_booster
from churn.modeling.calibration import IDENTITY, choose_calibration
from churn.modeling.dataset import (
    AMOUNTS,
    WEIGHT,
    Dataset,
    canary_rows,
    check_amounts,
    check_classes,
    reference_rows,
    row_weights,
)
from churn.modeling.panel import Fold, separate_folds
from churn.modeling.portable import NO_LEVEL, PortableModel, RowsError, blended, corrected
from churn.modeling.unlabelled import (
    can_forecast,
    forecast_outcomes,
    lifetime_alone,
    without_labels,
)
from churn.modeling.win_back import fit_win_back

HEADS = ("lapse", "decline", "orders", "spend")
MOST_LEAVES = 31


class ChurnModel(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Predicts lapse, decline, orders and spend of retained customers, and win-back.

    P(lapse) is the average, in log-odds, of BG/NBD, a logistic regression on recency, frequency and
    monetary value, and trees, which weigh more the more outcomes there are; its mean is moved
    to that of BG/NBD. All heads train on eligible customers, and a separate model on
    lapsed ones if there are enough; all others get the lapse rate of their group. Class weights are
    never used. The defaults performed best on forward folds of real purchases
    (benchmarks/README.md). `margin_rate` converts net spend into margin; `stand_in` names a
    baseline that is active instead of the model. The same `seed` gives the same model with any
    number of `threads` (0: all).
    """

    def __init__(  # noqa: PLR0913 - scikit-learn's contract: one argument per parameter
        self,
        *,
        seed: int = 0,
        num_leaves: int = 15,
        rounds: int = 200,
        learning_rate: float = 0.02,
        min_rows_in_leaf: int = 50,
        feature_share: float = 0.3,
        row_share: float = 0.8,
        l2: float = 1.0,
        margin_rate: float = 0.3,
        stand_in: str | None = None,
        threads: int = 0,
    ) -> None:
        self.seed = seed
        self.num_leaves = num_leaves
        self.rounds = rounds
        self.learning_rate = learning_rate
        self.min_rows_in_leaf = min_rows_in_leaf
        self.feature_share = feature_share
        self.row_share = row_share
        self.l2 = l2
        self.margin_rate = margin_rate
        self.stand_in = stand_in
        self.threads = threads

    def fit(self, dataset: Dataset) -> Self:
        """Trains on every row of the dataset. Raises GateError if a class has too few rows."""
        self._check_parameters()
        check_is_dataset(dataset)
        rows = dataset.eligible
        check_classes(rows["lapse"])
        self.feature_names_ = list(dataset.feature_names)
        self.clock_: FeatureClock = dataset.clock
        self.cutoffs_: Cutoffs = dataset.cutoffs
        self.heads_ = {name: self._fit_head(name, rows) for name in HEADS}
        self._fit_lapse(dataset)
        self.calibration_["decline"] = self._calibrate("decline", dataset)
        self.amounts_ = self._amounts(dataset)
        self._fit_win_back(dataset)
        weight = row_weights(rows)
        self.base_rate_ = float(
            rows["lapse"].mean() if weight is None else np.average(rows["lapse"], weights=weight)
        )
        buyers = dataset.rows[dataset.rows["purchase_days"] > 0]
        self.baselines_ = fit_baselines(rows, buyers, dataset.clock)
        self.fallback_ = self._fit_fallback(dataset)
        self.classes_ = np.array([0, 1])
        self._samples_: dict[str, pd.DataFrame] | None = {
            "canaries": canary_rows(dataset),
            "reference": reference_rows(dataset),
        }
        self._folder_: Path | None = None
        self._portable_: PortableModel | None = None
        self.amounts_["level"] = self._level_of_sums(dataset)
        self._portable_ = None
        return self

    def fit_without_labels(self, dataset: Dataset) -> Self:
        """BG/NBD and Gamma-Gamma alone, fitted on the newest histories: what can be said before
        the first label window has closed. `stand_in` becomes `bg_nbd`.

        Raises GateError if nobody has bought, or the features of the lifetime models are missing.
        """
        self._check_parameters()
        check_is_dataset(dataset)
        self.stand_in = "bg_nbd"
        self.feature_names_ = list(dataset.feature_names)
        self.clock_, self.cutoffs_ = dataset.clock, dataset.cutoffs
        self.heads_ = {}
        self.calibration_: dict[str, dict[str, Any]] = {}
        self.blend_: dict[str, Any] | None = None
        self.win_back_ = {"kind": "rate", "rows": 0, "back": 0}
        rows = forecast_outcomes(dataset)
        eligible = rows[rows["status"] == "eligible"]
        self.baselines_ = {"bg_nbd": without_labels(dataset)}
        self.base_rate_ = float(eligible["lapse"].mean())
        self.fallback_ = fit_fallback(rows, dataset.clock)
        self.amounts_ = lifetime_alone(eligible)
        self.classes_ = np.array([0, 1])
        newest = replace(dataset, rows=dataset.newest)
        self._samples_ = {"canaries": canary_rows(newest), "reference": reference_rows(newest)}
        self._folder_, self._portable_ = None, None
        return self

    def save(self, path: Path | str, *, signing_key: str | None = None) -> Path:
        """Writes the fitted model as a bundle, a new folder that `churn.load_model` reads.

        Nothing in it is pickled; it holds a few rows of features without ids, against which a
        loaded model is checked. Returns the folder. Raises ConfigError if it exists already.
        """
        from churn.modeling.bundle import save_bundle

        check_is_fitted(self, "heads_")
        check_type(path, Path, str, name="path", fix='Pass a folder, e.g. "models/mine".')
        return save_bundle(self, Path(path), signing_key=signing_key)

    def predict_proba(self, rows: pd.DataFrame) -> np.ndarray:
        """P(retained) and P(lapse) of every row of features, shape (rows, 2)."""
        lapse = self.predict_frame(rows)["churn_probability"].to_numpy()
        return np.column_stack([1 - lapse, lapse])

    def predict(self, rows: pd.DataFrame) -> np.ndarray:
        """1 where P(lapse) is above one half, else 0, shape (rows,)."""
        return np.asarray((self.predict_proba(rows)[:, 1] > 0.5).astype(int))

    def predict_frame(self, rows: pd.DataFrame) -> pd.DataFrame:
        """All outputs of the model for every row of features: `portable.OUTPUTS`.

        Raises ModelError for unusable rows: missing or unexpected features, values other than
        numbers, an unknown status.
        """
        try:
            return self.portable().predict(rows)
        except RowsError as failure:
            raise ModelError(str(failure)) from None

    def predict_columns(self, columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The same as arrays, from one array for each feature and for `status`."""
        try:
            return self.portable().predict_columns(columns)
        except RowsError as failure:
            raise ModelError(str(failure)) from None

    def forecast_lapse(self, learnt: Dataset, later: pd.DataFrame) -> np.ndarray:
        """P(lapse) of eligible rows by a fit of the lapse head alone on `learnt`, shape (rows,).

        The model itself is unchanged.
        """
        model = clone(self)
        model.feature_names_, model.clock_ = list(learnt.feature_names), learnt.clock
        model.heads_ = {"lapse": model._fit_head("lapse", learnt.eligible)}
        model._fit_lapse(learnt)
        raw = predict_booster(model.heads_["lapse"], model._matrix(later))
        return corrected(model.calibration_["lapse"], blended(model.blend_, later, raw))

    def portable(self) -> PortableModel:
        """The predictor that also runs in other services."""
        check_is_fitted(self, "heads_")
        if self._portable_ is None:
            self._portable_ = PortableModel(self.spec(), self.heads_, self.threads)
        return self._portable_

    @property
    def samples(self) -> dict[str, pd.DataFrame]:
        """`canaries` and `reference` of the rows that the model was fitted on, without ids."""
        check_is_fitted(self, "_samples_")
        return dict(self._samples_ or {})

    def with_baseline(self, rule: str | None) -> Self:
        """The same fitted model with that baseline active instead; None: the model itself.

        >>> ChurnModel(seed=7).with_baseline("recency").stand_in
        'recency'
        """
        other = copy(self)
        other.stand_in, other._portable_ = rule, None
        return other

    def spec(self) -> dict[str, Any]:
        """Everything except the trees, as plain JSON."""
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
            "blend": self.blend_,
        }

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_portable_": None}

    def _fit_lapse(self, dataset: Dataset) -> None:
        """The blend around the trees of the lapse head, and its level.

        Renewals of subscriptions are not purchases at a rate, so in contractual mode the trees
        predict alone, with a calibration chosen on forward folds.
        """
        self.blend_ = None
        if dataset.clock.is_contractual:
            self.calibration_ = {"lapse": self._calibrate("lapse", dataset)}
            return
        blend = self.blend_ = fit_blend(dataset, seed=self.seed)
        newest = dataset.newest[dataset.newest["status"] == "eligible"]
        trees = predict_booster(self.heads_["lapse"], self._matrix(newest))
        level = fit_level(blend, newest, trees) if len(newest) else dict(IDENTITY)
        self.calibration_ = {"lapse": level}

    def _calibrate(self, head: str, dataset: Dataset) -> dict[str, Any]:
        """The calibration of a head, chosen on forward folds without shared outcomes."""
        folds = [fold for fold in separate_folds(dataset.cutoffs) if _varies(head, dataset, fold)]
        if not folds:
            return dict(IDENTITY)
        seen = pd.concat([self._forecast(head, dataset, fold) for fold in folds])
        return choose_calibration(
            seen[head].to_numpy(),
            seen["probability"].to_numpy(),
            seen["customer_id"],
            seed=self.seed,
            fold=seen["cutoff"].to_numpy(),
            weight=row_weights(seen),
        )

    def _forecast(self, head: str, dataset: Dataset, fold: Fold) -> pd.DataFrame:
        """The trees' forecast of a fold's cutoff, fitted on its past: eligible rows with the label
        and `probability`.
        """
        learnt, later = dataset.only(fold.learn).eligible, dataset.only(fold.judge).eligible
        later = later[later[head].notna()]
        said = predict_booster(self._fit_head(head, learnt), self._matrix(later))
        kept = [name for name in ("customer_id", "cutoff", head, WEIGHT) if name in later]
        return later[kept].assign(probability=said)

    def _fit_win_back(self, dataset: Dataset) -> None:
        found = fit_win_back(dataset, self._settings("win_back"), seed=self.seed)
        self.win_back_ = found.spec
        if found.calibration is not None:
            self.calibration_["win_back"] = found.calibration
        if found.text is not None:
            self.heads_["win_back"] = found.text

    def _fit_fallback(self, dataset: Dataset) -> dict[str, Any]:
        """The rates of groups; for lapsed customers by BG/NBD if none of them has been observed."""
        found = fit_fallback(dataset.rows, dataset.clock)
        seen = (dataset.rows["status"] == "lapsed").any()
        if seen or dataset.clock.is_contractual or not can_forecast(dataset):
            return found
        forecast = fit_fallback(forecast_outcomes(dataset), dataset.clock)["groups"]
        return found | {"groups": forecast | found["groups"]}

    def _amounts(self, dataset: Dataset) -> dict[str, Any]:
        """Which model predicts the amounts of whom, and the share of lapsing customers."""

        def predicted(name: str, learnt: pd.DataFrame, asked: pd.DataFrame) -> np.ndarray:
            return predict_booster(self._fit_head(name, learnt), self._matrix(asked))

        def fitted(name: str) -> np.ndarray:
            raw = predict_booster(self.heads_[name], self._matrix(dataset.eligible))
            return np.asarray(chosen["scale"][name] * raw)

        chosen = choose_amounts(dataset, self.feature_names_, predicted)
        shares = lapsed_shares(dataset.eligible, fitted)
        return chosen | {"lapsed_share": shares, "tail_factor": tail_factor(dataset.rows)}

    def _level_of_sums(self, dataset: Dataset) -> dict[str, float]:
        """`amounts.level_of_sums` for the eligible of the newest date."""
        newest = dataset.newest[dataset.newest["status"] == "eligible"]
        if newest.empty or self.clock_.is_contractual:
            return dict(NO_LEVEL)
        said = self.predict_frame(newest[["customer_id", "status", *self.feature_names_]])
        whole = self.margin_rate * self.amounts_["tail_factor"] or 1.0
        totals = {
            "orders": float(said["expected_orders"].sum()),
            "spend": float(said["expected_margin"].sum()) / whole,
        }
        return level_of_sums(self.amounts_, dataset.season(dataset.newest), newest, totals)

    def _fit_head(self, name: str, rows: pd.DataFrame) -> str:
        """LightGBM's text of one head: probabilities fitted on all rows, amounts on retained
        ones.
        """
        if name in AMOUNTS:
            rows = rows[rows["lapse"] == 0]
            target = rows[AMOUNTS[name]].clip(lower=0)
            check_amounts(target)
        else:
            rows = rows[rows[name].notna()]
            target = rows[name]
        settings, weight = self._settings(name), row_weights(rows)
        return fit_booster(self._matrix(rows), target.to_numpy(), settings, weight=weight)

    def _settings(self, head: str) -> BoosterSettings:
        objective = {"orders": "poisson", "spend": "tweedie"}.get(head, "binary")
        return BoosterSettings(
            objective=objective,
            feature_names=tuple(self.feature_names_),
            rounds=self.rounds,
            num_leaves=self.num_leaves,
            learning_rate=self.learning_rate,
            min_rows_in_leaf=self.min_rows_in_leaf,
            feature_share=self.feature_share,
            row_share=self.row_share,
            l2=self.l2,
            seed=self.seed,
            threads=self.threads,
        )

    def _matrix(self, rows: pd.DataFrame) -> np.ndarray:
        return rows[self.feature_names_].to_numpy(dtype="float32", na_value=np.nan)

    def _check_parameters(self) -> None:
        for name in ("seed", "num_leaves", "rounds", "min_rows_in_leaf", "threads"):
            check_type(getattr(self, name), Integral, name=name, fix="Pass a whole number.")
        for name in ("learning_rate", "feature_share", "row_share", "l2", "margin_rate"):
            check_type(getattr(self, name), Real, name=name, fix="Pass a number.")
        if not 2 <= self.num_leaves <= MOST_LEAVES:
            rule = f"num_leaves must be between 2 and {MOST_LEAVES}"
            raise ConfigError(rule, got=self.num_leaves, fix="Pass e.g. 15.")
        if self.rounds < 1:
            raise ConfigError("rounds must be >= 1", got=self.rounds, fix="Pass e.g. 200.")
        for name in ("feature_share", "row_share"):
            share = getattr(self, name)
            if not 0 < share <= 1:
                rule = f"{name} must be above 0 and at most 1"
                raise ConfigError(rule, got=share, fix="Pass e.g. 0.5.")
        if self.learning_rate <= 0 or self.l2 < 0:
            rule = "learning_rate must be above 0 and l2 at least 0"
            got = f"{self.learning_rate} and {self.l2}"
            raise ConfigError(rule, got=got, fix="Pass e.g. 0.02 and 1.0.")
        rules = [*BASELINES, RENEWALS]
        if self.stand_in is not None and self.stand_in not in rules:
            fix = f"Pass one of {rules} or None."
            raise ConfigError("stand_in must name a baseline", got=self.stand_in, fix=fix)


def _varies(head: str, dataset: Dataset, fold: Fold) -> bool:
    """Whether both classes occur in the training rows and in the test rows of a fold."""
    parts = (dataset.only(fold.learn), dataset.only(fold.judge))
    return all(part.eligible[head].nunique() == 2 for part in parts)


def check_is_dataset(dataset: object) -> None:
    """Raises ConfigError unless it is a Dataset."""
    if not isinstance(dataset, Dataset):
        rule = "a model must be fitted on a Dataset"
        fix = "Make one with build_dataset(tables, cutoffs)."
        raise ConfigError(rule, got=type(dataset).__name__, fix=fix)
