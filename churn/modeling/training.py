"""From tables to a judged model: the panel, the judgement on later cutoffs, the refit on all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone

from churn.data.tables import Tables
from churn.features.builder import newest_population
from churn.features.catalogue import feature_names
from churn.modeling.audit import Leak, audit_alone, audit_days, purchase_days_ahead, some_customers
from churn.modeling.baselines import predict_baseline
from churn.modeling.dataset import Dataset, build_dataset
from churn.modeling.evaluate import Evaluation, evaluate
from churn.modeling.feasible import check_feasible
from churn.modeling.forward import JudgedFold, judge_folds
from churn.modeling.gate import Forecasts, Gate, judge
from churn.modeling.judgement.judgement import Judgement, judge_run
from churn.modeling.model import ChurnModel
from churn.modeling.panel import Panel
from churn.modeling.rivals import forecast_champion, why_not_comparable
from churn.modeling.sampling import MOST_ROWS
from churn.modeling.slices import slices_of
from churn.modeling.tuning import Tuned, tune
from churn.modeling.untreated import treatments, untreated

__all__ = [
    "Trained",
    "canary_rows",
    "find_leaks",
    "forecasts_of",
    "reference_rows",
    "train_model",
]

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Trained:
    """A model refitted on all mature cutoffs, and the judgement of its recipe on the test ones;
    `folds` judges it on the cutoffs before those, oldest first; `tuned` tells how that recipe was
    found, where it was looked for. `judgement` is `evaluation` and all that a report tells beyond.
    `campaigns` counts the rows that offers touched, as `untreated` does; empty without a lot.
    """

    model: ChurnModel
    evaluation: Evaluation
    gate: Gate
    panel: Panel
    dataset: Dataset
    population: dict[str, Any]
    judgement: Judgement
    folds: tuple[JudgedFold, ...] = ()
    tuned: Tuned | None = None
    campaigns: Mapping[str, int] = field(default_factory=dict)


def train_model(  # noqa: PLR0913 - each is a setting of its own
    recipe: ChurnModel,
    tables: Tables,
    panel: Panel,
    *,
    names: Sequence[str] | None = None,
    champion: ChurnModel | None = None,
    tune_trials: int = 0,
    most_rows: int = MOST_ROWS,
    capacity: float = 0.1,
    progress: Progress = lambda _: None,
) -> Trained:
    """The recipe judged on cutoffs whose past it was fitted on, then fitted again on everything.

    `names` chooses the features (default: all that the connected tables give). `champion` is
    the model that speaks today, which the new one must not fall behind. `tune_trials` looks for a
    better recipe first, in the past of the test cutoffs. A panel of more than `most_rows` rows is
    that of a sample of its customers. `capacity` is how many can be looked after, for the look
    back on what a list would have been worth. Where a lot decided who gets an offer, rows that
    an offer touched are left out, see `churn.modeling.untreated`.
    Raises GateError where a class has too few rows to learn from, or the test cutoffs have one
    outcome alone.
    """
    chosen = feature_names(tables.connected()) if names is None else tuple(names)
    unlike = why_not_comparable(champion, panel, tables.connected())
    rival = champion if unlike is None else None
    progress("building features and labels")
    built = build_dataset(
        tables,
        panel.cutoffs,
        panel.clock,
        names=_union(chosen, rival),
        most_rows=most_rows,
    )
    without_us = untreated(built, treatments(tables))
    wide = without_us.dataset
    dataset = replace(wide, feature_names=chosen)
    check_feasible(dataset, panel)
    development = dataset.only(panel.development)
    tuned = None
    if tune_trials:
        tuned = tune(recipe, development, trials=tune_trials, progress=progress)
        recipe = tuned.recipe
    progress("fitting on the past of the test cutoffs")
    candidate = clone(recipe).fit(development)
    progress("judging on the test cutoffs")
    evaluation = evaluate(candidate, dataset.only(panel.blocks.test), seed=recipe.seed)
    progress("judging on earlier cutoffs")
    folds = judge_folds(recipe, development)
    progress("comparing with the champion, looking for leaks")
    gate = judge(
        evaluation,
        forecasts_of(candidate, dataset.only(panel.blocks.test), evaluation.best_baseline),
        champion=None if rival is None else forecast_champion(rival, candidate, wide, panel),
        leaks=find_leaks(tables, dataset, panel, evaluation),
        seed=recipe.seed,
    )
    if unlike is not None:
        gate = replace(gate, warnings=(*gate.warnings, f"not compared with the champion: {unlike}"))
    judgement = judge_run(
        candidate,
        dataset.only(panel.blocks.test),
        evaluation,
        history=dataset,
        forecasts=pd.concat([fold.rows for fold in folds]) if folds else None,
        capacity=capacity,
        seed=recipe.seed,
    )
    progress("fitting on all mature cutoffs")
    model = clone(recipe).fit(dataset)
    population = newest_population(tables, panel.cutoffs.until, panel.clock, dataset.feature_names)
    return Trained(
        model,
        evaluation,
        gate,
        panel,
        dataset,
        population,
        judgement,
        folds,
        tuned,
        without_us.counts,
    )


def find_leaks(
    tables: Tables, dataset: Dataset, panel: Panel, evaluation: Evaluation
) -> tuple[Leak, ...]:
    """Features that know what only the future can tell, each named once."""
    rule = evaluation.of(evaluation.best_baseline).metrics["roc_auc"].estimate
    learnt, later = dataset.only(panel.development), dataset.only(panel.blocks.test)
    alone = audit_alone(learnt, later, rule_auc=rule)
    some = some_customers(dataset)
    days = audit_days(some, purchase_days_ahead(tables, some))
    named = {leak.feature for leak in alone}
    return (*alone, *(leak for leak in days if leak.feature not in named))


def forecasts_of(model: ChurnModel, test: Dataset, baseline: str) -> Forecasts:
    """What the model and a baseline of its own say of the eligible rows of `test`, with slices."""
    rows = test.eligible
    said = model.predict_proba(rows[["status", *model.feature_names_]])[:, 1]
    rule = predict_baseline(model.baselines_[baseline], rows)
    return Forecasts(rows, np.asarray(said), rule, slices_of(rows, test.clock))


def _union(chosen: Sequence[str], rival: ChurnModel | None) -> tuple[str, ...]:
    """The chosen features, then what only the rival asks for."""
    theirs = () if rival is None else rival.feature_names_
    return tuple(dict.fromkeys((*chosen, *theirs)))


def reference_rows(dataset: Dataset, *, rows: int = 2_000, seed: int = 0) -> pd.DataFrame:
    """A sample of the eligible at the newest cutoff, without names: what drift is measured from."""
    newest = dataset.eligible[dataset.eligible["cutoff"] == dataset.eligible["cutoff"].max()]
    sample = newest.sample(min(rows, len(newest)), random_state=seed)
    columns = list(dataset.feature_names)
    return pd.DataFrame(sample[columns].reset_index(drop=True))


def canary_rows(dataset: Dataset, *, rows: int = 30, seed: int = 0) -> pd.DataFrame:
    """A few rows of every status, without names: a loaded model must say the same of them."""
    kept = ["status", *dataset.feature_names]
    parts = [
        part.sample(min(rows, len(part)), random_state=seed)[kept]
        for _, part in dataset.rows.groupby("status")
    ]
    return pd.concat(parts, ignore_index=True)
