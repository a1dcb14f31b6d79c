"""From tables to a judged model: the panel, the judgement on later cutoffs, the refit on all."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone

from churn.data.tables import Tables
from churn.features.builder import newest_population
from churn.features.catalogue import feature_names
from churn.modeling.audit import (
    Leak,
    audit_alone,
    audit_days,
    is_of,
    purchase_days_ahead,
    some_customers,
)
from churn.modeling.baselines import predict_baseline
from churn.modeling.capacity import Rank
from churn.modeling.dataset import Dataset, build_dataset
from churn.modeling.evaluate import Evaluation, evaluate
from churn.modeling.feasible import check_feasible
from churn.modeling.forward import JudgedFold, judge_folds
from churn.modeling.gate import (
    Forecasts,
    Gate,
    forecast_champion,
    judge,
    tables_of_rule,
    why_not_comparable,
)
from churn.modeling.judgement.judgement import Judgement, judge_run
from churn.modeling.judgement.pooled import forward_forecasts
from churn.modeling.model import ChurnModel
from churn.modeling.panel import Panel
from churn.modeling.sampling import MOST_ROWS
from churn.modeling.slices import slices_of
from churn.modeling.tuning import Tuned, tune
from churn.modeling.untreated import treatments, untreated

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Trained:
    """A model refitted on all mature cutoffs, and the judgement of its recipe on the test ones;
    `folds` judges it on the cutoffs before those, oldest first; `tuned` tells how that recipe was
    found, where it was looked for. `judgement` is `evaluation` and all that a report tells beyond.
    `campaigns` counts the rows that offers touched, as `untreated` does; empty without a lot.
    `candidate` is the recipe as it was judged, fitted on the past of the test cutoffs.
    """

    model: ChurnModel
    candidate: ChurnModel
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
    rank: Rank = "probability",
    progress: Progress = lambda _: None,
) -> Trained:
    """The recipe judged on cutoffs whose past it was fitted on, then fitted again on everything.

    `names` chooses the features (default: all that the connected tables give). `champion` is
    the model that speaks today, which the new one must not fall behind. `tune_trials` looks for a
    better recipe first, in the past of the test cutoffs. A panel of more than `most_rows` rows is
    that of a sample of its customers. `capacity` is how many can be looked after, and `rank`
    by what they are ranked, for the look back on what a list would have been worth. Where a lot
    decided who gets an offer, rows that an offer touched are left out, see
    `churn.modeling.untreated`.
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
        rank=rank,
        seed=recipe.seed,
    )
    progress("fitting on all mature cutoffs")
    model = clone(recipe).fit(dataset)
    population = newest_population(tables, panel.cutoffs.until, panel.clock, dataset.feature_names)
    return Trained(
        model,
        candidate,
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


def standing_in(trained: Trained, rule: str) -> Trained:
    """The same training with that rule speaking in the model's place, and the judgement of the
    rule as its `judgement`; `evaluation` and `gate` stay those of the model that was refused.

    Where features leak, the model behind the rule is fitted on features of the rule's own tables
    alone: nothing of it, amounts included, hangs on what leaks elsewhere.
    """
    if trained.gate.leaking:
        trained = _without_leaks(trained, tables_of_rule(rule))
    panel, dataset = trained.panel, trained.dataset
    candidate, seed = trained.candidate.speaking_by(rule), trained.model.seed
    development, test = dataset.only(panel.development), dataset.only(panel.blocks.test)
    judgement = judge_run(
        candidate,
        test,
        evaluate(candidate, test, seed=seed),
        history=dataset,
        forecasts=forward_forecasts(candidate, development),
        capacity=trained.judgement.capacity,
        rank=trained.judgement.rank,
        seed=seed,
    )
    model = trained.model.speaking_by(rule)
    return replace(trained, model=model, candidate=candidate, judgement=judgement)


def _without_leaks(trained: Trained, tables: Collection[str]) -> Trained:
    names = tuple(name for name in trained.dataset.feature_names if is_of(name, tables))
    dataset = replace(trained.dataset, feature_names=names)
    candidate = clone(trained.model).fit(dataset.only(trained.panel.development))
    model = clone(trained.model).fit(dataset)
    return replace(trained, dataset=dataset, candidate=candidate, model=model)


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
