"""The churn model: LightGBM heads, their calibration, the baselines and the fallback, as one."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils.validation import check_is_fitted

from churn.data.cutoffs import Cutoffs
from churn.errors import ConfigError, GateError, ModelError, check_type
from churn.features.clock import FeatureClock
from churn.modeling.amounts import choose_amounts, lapsed_shares, tail_factor
from churn.modeling.baselines import BASELINES, RENEWALS, fit_baselines, fit_fallback
from churn.modeling.boosting import BoosterSettings, fit_booster, predict_booster
from churn.modeling.calibration import IDENTITY, choose_calibration
from churn.modeling.dataset import (
    AMOUNTS,
    WEIGHT,
    Dataset,
    canary_rows,
    reference_rows,
    row_weights,
)
from churn.modeling.panel import Fold, separate_folds
from churn.modeling.portable import PortableModel, RowsError, corrected
from churn.modeling.win_back import fit_win_back

HEADS = ("lapse", "decline", "orders", "spend")
CALIBRATED = ("lapse", "decline")
LEAST_PER_CLASS = 30
MOST_LEAVES = 31


class ChurnModel(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Learns who lapses, who declines, what the retained will order and spend, who comes back.

    `fit` first forecasts up to three earlier cutoffs from their past to choose a calibration, then
    learns from all rows. The eligible are learnt from, and the lapsed by a model of their own where
    they are enough; all others get the lapse rate of their group. Class weights are never used. The
    defaults are what won on forward folds of real purchases (benchmarks/README.md). `margin_rate`
    turns net spend into margin; `stand_in` names a baseline that speaks in the model's place. The
    same `seed` gives the same model on any number of `threads` (0: all).
    """

    def __init__(  # noqa: PLR0913 - scikit-learn's contract: every knob an argument of its own
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
        weight = row_weights(rows)
        self.base_rate_ = float(
            rows["lapse"].mean() if weight is None else np.average(rows["lapse"], weights=weight)
        )
        buyers = dataset.rows[dataset.rows["purchase_days"] > 0]
        self.baselines_ = fit_baselines(rows, buyers, dataset.clock)
        self.fallback_ = fit_fallback(dataset.rows, dataset.clock)
        self.classes_ = np.array([0, 1])
        self._samples_: dict[str, pd.DataFrame] | None = {
            "canaries": canary_rows(dataset),
            "reference": reference_rows(dataset),
        }
        self._folder_: Path | None = None
        self._portable_: PortableModel | None = None
        return self

    def save(self, path: Path | str, *, signing_key: str | None = None) -> Path:
        """Writes the fitted model as a bundle, a new folder that `churn.load_model` reads.

        Nothing in it is pickled; it holds a few rows of features without names, by which a loaded
        model proves itself. Returns the folder. Raises ConfigError where it exists already.
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

    def forecast(self, head: str, dataset: Dataset, fold: Fold) -> pd.DataFrame:
        """What `lapse` or `decline`, fitted on a fold's past and not calibrated, says of the
        eligible at its cutoff: customer_id, cutoff, the label, `weight` where rows have one,
        `probability`. The model stays as it is.
        """
        learnt, later = dataset.only(fold.learn).eligible, dataset.only(fold.judge).eligible
        later = later[later[head].notna()]
        once = clone(self)
        once.feature_names_ = list(dataset.feature_names)
        said = predict_booster(once._fit_head(head, learnt), once._matrix(later))
        kept = [name for name in ("customer_id", "cutoff", head, WEIGHT) if name in later]
        return later[kept].assign(probability=said)

    def forecast_lapse(self, learnt: Dataset, later: pd.DataFrame) -> np.ndarray:
        """P(lapse) of eligible rows as a fit on `learnt` would say it, calibrated, by the lapse
        head alone; shape (rows,). The model itself stays as it is.
        """
        model = clone(self)
        model.feature_names_ = list(learnt.feature_names)
        line = model._calibrate(learnt, heads=("lapse",))["lapse"]
        raw = predict_booster(model._fit_head("lapse", learnt.eligible), model._matrix(later))
        return corrected(line, raw)

    def portable(self) -> PortableModel:
        """The predictor that also runs in other services, ready to use."""
        check_is_fitted(self, "heads_")
        if self._portable_ is None:
            self._portable_ = PortableModel(self.spec(), self.heads_, self.threads)
        return self._portable_

    def speaking_by(self, rule: str | None) -> Self:
        """The same fitted model with that baseline speaking in its place; None: the model itself.

        >>> ChurnModel(seed=7).speaking_by("recency").stand_in
        'recency'
        """
        other = copy(self)
        other.stand_in, other._portable_ = rule, None
        return other

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

    def _calibrate(
        self, dataset: Dataset, *, heads: Sequence[str] = CALIBRATED
    ) -> dict[str, dict[str, Any]]:
        """The calibration of the probabilities, chosen on forward folds that share no outcome."""
        folds = separate_folds(dataset.cutoffs)
        return {name: self._calibrate_head(name, dataset, folds) for name in heads}

    def _calibrate_head(self, name: str, dataset: Dataset, folds: Sequence[Fold]) -> dict[str, Any]:
        usable = [fold for fold in folds if _varies(name, dataset, fold)]
        if not usable:
            return dict(IDENTITY)
        seen = pd.concat([self.forecast(name, dataset, fold) for fold in usable])
        return choose_calibration(
            seen[name].to_numpy(),
            seen["probability"].to_numpy(),
            seen["customer_id"],
            seed=self.seed,
            fold=seen["cutoff"].to_numpy(),
            weight=row_weights(seen),
        )

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
        shares = lapsed_shares(dataset.eligible, fitted)
        return chosen | {"lapsed_share": shares, "tail_factor": tail_factor(dataset.rows)}

    def _fit_head(self, name: str, rows: pd.DataFrame) -> str:
        """LightGBM's text of one head: the probabilities on all, the amounts on the retained."""
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
    """Whether both classes are among what a fold learns from and among what it judges."""
    parts = (dataset.only(fold.learn), dataset.only(fold.judge))
    return all(part.eligible[head].nunique() == 2 for part in parts)


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
