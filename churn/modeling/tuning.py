"""Hyperparameter tuning on forward folds of the development block."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.base import clone

from churn.errors import ConfigError, GateError, check_extra
from churn.modeling.dataset import WEIGHT, Dataset, row_weights
from churn.modeling.metrics import Interval, log_loss, paired_log_loss_difference
from churn.modeling.model import ChurnModel
from churn.modeling.panel import Fold, forward_folds

if TYPE_CHECKING:
    import optuna


TUNED = (
    "num_leaves",
    "rounds",
    "learning_rate",
    "min_rows_in_leaf",
    "feature_share",
    "row_share",
    "l2",
)
MOST_LEAVES, MOST_ROUNDS = 15, 450  # beyond that, explaining 10,000 customers takes too long
FIRST_TRIALS = 5  # no trial is pruned before this many have completed

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Tuned:
    """The tuned recipe, the number of trials and of pruned trials.

    `difference` is the log loss of the best trial minus that of the initial recipe, on the same
    forward folds; `parameters` are the chosen values of `TUNED`.
    """

    recipe: ChurnModel
    trials: int
    given_up: int
    parameters: dict[str, Any]
    difference: Interval

    @property
    def changed(self) -> bool:
        """Whether the best trial was significantly better and replaced the recipe."""
        return self.difference.high < 0

    def to_dict(self) -> dict[str, object]:
        """Plain JSON."""
        gap = self.difference
        return {
            "trials": self.trials,
            "given_up": self.given_up,
            "changed": self.changed,
            "parameters": self.parameters,
            "log_loss_difference": [gap.estimate, gap.low, gap.high],
        }


def tune(
    recipe: ChurnModel,
    development: Dataset,
    *,
    trials: int,
    progress: Progress = lambda _: None,
) -> Tuned:
    """The best of `trials` recipes by the mean log loss of the lapse head over forward folds.

    The first trial is the recipe itself; Optuna's TPE, seeded by the recipe's seed, proposes the
    others, and a trial worse than the median after a fold is pruned. The best replaces the recipe
    only if the interval of their difference lies below zero. Pass only rows of the development
    block: all rows passed are used.
    """
    if trials < 1:
        raise ConfigError("tuning needs trials >= 1", got=trials, fix="Pass e.g. 20.")
    search = _Search(recipe, development, trials, progress)
    with _quiet() as optuna:
        study = optuna.create_study(
            sampler=optuna.samplers.TPESampler(seed=recipe.seed, n_startup_trials=FIRST_TRIALS),
            pruner=optuna.pruners.MedianPruner(n_startup_trials=FIRST_TRIALS),
        )
        study.enqueue_trial({name: getattr(recipe, name) for name in TUNED})
        study.optimize(search.loss, n_trials=trials)
        pruned = optuna.trial.TrialState.PRUNED
        given_up = sum(trial.state == pruned for trial in study.trials)
    return search.chosen(study.best_trial.number, given_up)


class _Search:
    """One tuning: the fold predictions of every trial, by trial number."""

    def __init__(
        self, recipe: ChurnModel, development: Dataset, trials: int, progress: Progress
    ) -> None:
        self._recipe = recipe
        self._development = development
        self._trials = trials
        self._progress = progress
        self._folds = _usable(forward_folds(development.cutoffs), development)
        self._heard: dict[int, pd.DataFrame] = {}
        self._tried: dict[int, dict[str, Any]] = {}

    def loss(self, trial: optuna.Trial) -> float:
        """The mean log loss of a trial's recipe over the folds; raises if it is pruned."""
        import optuna

        parameters = _drawn(trial, self._recipe)
        candidate = clone(self._recipe).set_params(**parameters)
        told, losses = [], list[float]()
        for step, fold in enumerate(self._folds):
            told.append(_forecast(candidate, self._development, fold))
            weight = row_weights(told[-1])
            losses.append(log_loss(told[-1]["lapse"], told[-1]["probability"], weights=weight))
            trial.report(float(np.mean(losses)), step)
            if step < len(self._folds) - 1 and trial.should_prune():
                self._report(trial, f"pruned after {step + 1} of {len(self._folds)} folds")
                raise optuna.TrialPruned
        self._heard[trial.number], self._tried[trial.number] = pd.concat(told), parameters
        self._report(trial, f"log loss {np.mean(losses):.4f}")
        return float(np.mean(losses))

    def chosen(self, best: int, given_up: int) -> Tuned:
        """The best trial if it is significantly better than the first, else the first."""
        first, other = self._heard[0], self._heard[best]
        gap = paired_log_loss_difference(
            first["lapse"],
            other["probability"],
            first["probability"],
            first["customer_id"],
            weights=row_weights(first),
            seed=self._recipe.seed,
        )
        parameters = self._tried[best if gap.high < 0 else 0]
        recipe = clone(self._recipe).set_params(**parameters)
        return Tuned(recipe, self._trials, given_up, parameters, gap)

    def _report(self, trial: optuna.Trial, outcome: str) -> None:
        self._progress(f"tuning: trial {trial.number + 1} of {self._trials}, {outcome}")


def _forecast(candidate: ChurnModel, development: Dataset, fold: Fold) -> pd.DataFrame:
    """customer_id, lapse and `probability` of eligible rows at the fold's cutoff."""
    later = development.only(fold.judge).eligible
    said = candidate.forecast_lapse(development.before(fold.judge.dates[0]), later)
    kept = [name for name in ("customer_id", "lapse", WEIGHT) if name in later]
    return later[kept].assign(probability=said)


def _drawn(trial: optuna.Trial, recipe: ChurnModel) -> dict[str, Any]:
    """A trial's parameters; the number of rounds is between half and three times the recipe's."""
    fewest = max(1, min(recipe.rounds, MOST_ROUNDS) // 2)
    most = max(recipe.rounds, min(3 * recipe.rounds, MOST_ROUNDS))
    leaves = max(recipe.num_leaves, MOST_LEAVES)
    return {
        "num_leaves": trial.suggest_int("num_leaves", min(4, recipe.num_leaves), leaves),
        "rounds": trial.suggest_int("rounds", fewest, most),
        "learning_rate": trial.suggest_float("learning_rate", 0.005, 0.1, log=True),
        "min_rows_in_leaf": trial.suggest_int("min_rows_in_leaf", 10, 400, log=True),
        "feature_share": trial.suggest_float("feature_share", 0.1, 0.9),
        "row_share": trial.suggest_float("row_share", 0.4, 1.0),
        "l2": trial.suggest_float("l2", 0.1, 100.0, log=True),
    }


def _usable(folds: tuple[Fold, ...], development: Dataset) -> tuple[Fold, ...]:
    """The folds with both classes in training and test. Raises GateError if there are none."""
    both = tuple(
        fold
        for fold in folds
        if all(
            development.only(part).eligible["lapse"].nunique() == 2
            for part in (fold.learn, fold.judge)
        )
    )
    if not both:
        rule = "tuning needs a forward fold with lapsed and retained customers"
        raise GateError(rule, got=f"{len(folds)} folds without", fix="Set tune_trials = 0.")
    return both


@contextmanager
def _quiet() -> Iterator[Any]:
    """Optuna, with its logging silenced."""
    check_extra("tune", "optuna", what="tuning")
    import optuna

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        yield optuna
    finally:
        optuna.logging.set_verbosity(before)
