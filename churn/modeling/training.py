"""Training: build the panel, evaluate the recipe on later cutoffs, refit on all."""

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
from churn.modeling.apart import Apart, customers_apart
from churn.modeling.audit import (
    Leak,
    audit_alone,
    audit_days,
    is_of,
    purchase_days_ahead,
    sample_customers,
)
from churn.modeling.baselines import predict_baseline
from churn.modeling.capacity import Rank
from churn.modeling.dataset import Dataset, build_dataset, has_classes
from churn.modeling.evaluate import Evaluation, evaluate
from churn.modeling.feasible import check_can_judge, check_feasible
from churn.modeling.forward import JudgedFold, judge_folds
from churn.modeling.gate import (
    Forecasts,
    Gate,
    forecast_champion,
    judge,
    tables_of_baseline,
    why_not_comparable,
)
from churn.modeling.judgement.judgement import Judgement, judge_run
from churn.modeling.judgement.pooled import forward_forecasts
from churn.modeling.model import ChurnModel
from churn.modeling.panel import Panel
from churn.modeling.sampling import MOST_ROWS
from churn.modeling.slices import slices_of
from churn.modeling.tuning import Tuned, tune
from churn.modeling.untreated import Untreated, treatments, untreated

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Trained:
    """A model refitted on all mature cutoffs, and the evaluation of its recipe on the test cutoffs.

    `folds` evaluates earlier cutoffs, oldest first; `tuned` describes the tuning of the recipe, if
    any. `judgement` is `evaluation` with everything else in the report. `campaigns` counts the rows
    with offers, see `untreated`; it is empty without randomisation. `candidate` is the recipe as
    evaluated, fitted on the past of the test cutoffs.

    In a history too short for the gate, `evaluation` is the forward test of `panel.trial`, whose
    rows are `tested`, and `apart` the comparison on customers apart, if a label window has closed.
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
    tested: Dataset | None = None
    apart: Apart | None = None

    @property
    def judged_rows(self) -> Dataset:
        """The rows on which the recipe was evaluated."""
        return self.dataset if self.tested is None else self.tested


def train_model(  # noqa: PLR0913 - independent settings
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
    """Evaluates the recipe on cutoffs after its training data, then refits it on everything.

    `names` selects the features (default: all that the connected tables allow). `champion` is the
    active model, to which the new one must not be inferior. `tune_trials` searches for a better
    recipe first, on data before the test cutoffs. A panel of more than `most_rows` rows is limited
    to a sample of customers. `capacity` and `rank` are the contact capacity and ranking for the
    backtest of the list. If offers were randomised, rows with an offer are excluded, see
    `churn.modeling.untreated`. Raises GateError if a class has too few rows for training, or the
    test cutoffs have only one outcome.
    """
    chosen = feature_names(tables.connected()) if names is None else tuple(names)
    judged = panel.judged
    unlike = why_not_comparable(champion, judged, tables.connected())
    rival = champion if unlike is None and panel.trial is None else None
    progress("building features and labels")

    def built(of: Panel, features: Sequence[str]) -> Untreated:
        rows = build_dataset(tables, of.cutoffs, of.clock, names=features, most_rows=most_rows)
        return untreated(rows, treatments(tables))

    without_us = built(judged, _union(chosen, rival))
    wide = without_us.dataset
    tested = replace(wide, feature_names=chosen)
    if panel.trial is None:
        check_feasible(tested, judged)
    else:
        check_can_judge(tested.only(judged.blocks.test))
    test = tested.only(judged.blocks.test)
    development = tested.before(judged.blocks.test.dates[0])
    tuned = None
    if tune_trials and panel.trial is None:
        tuned = tune(recipe, development, trials=tune_trials, progress=progress)
        recipe = tuned.recipe
    progress("fitting on data before the test cutoffs")
    candidate = _fitted(clone(recipe), development)
    progress("evaluating on the test cutoffs")
    evaluation = evaluate(candidate, test, seed=recipe.seed)
    progress("evaluating on earlier cutoffs")
    folds = judge_folds(recipe, development)
    progress("comparing with the champion, auditing for leakage")
    gate = judge(
        evaluation,
        forecasts_of(candidate, test, evaluation.best_baseline),
        champion=None if rival is None else forecast_champion(rival, candidate, wide, judged),
        leaks=find_leaks(tables, tested, judged, evaluation),
        seed=recipe.seed,
        provisional=panel.trial is not None,
    )
    if unlike is not None and panel.trial is None:
        gate = replace(gate, warnings=(*gate.warnings, f"not compared with the champion: {unlike}"))
    judgement = judge_run(
        candidate,
        test,
        evaluation,
        history=tested,
        forecasts=pd.concat([fold.rows for fold in folds]) if folds else None,
        capacity=capacity,
        rank=rank,
        seed=recipe.seed,
    )
    dataset = tested
    if panel.trial is not None:
        progress("building features and labels for the whole horizon")
        without_us = built(panel, chosen)
        dataset = without_us.dataset
    progress("fitting on all mature cutoffs")
    model = _fitted(clone(recipe), dataset)
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
        None if panel.trial is None else tested,
        None if panel.trial is None else customers_apart(recipe, dataset),
    )


def _fitted(recipe: ChurnModel, dataset: Dataset) -> ChurnModel:
    """The recipe fitted on everything; on the newest histories alone if too few labels are closed,
    which happens only in a short history.
    """
    if not dataset.clock.is_contractual and not has_classes(dataset.eligible["lapse"]):
        return recipe.fit_without_labels(dataset)
    return recipe.fit(dataset)


def with_fallback(trained: Trained, rule: str) -> Trained:
    """The same training with a baseline as fallback model, and the evaluation of the baseline as
    its `judgement`; `evaluation` and `gate` remain those of the rejected model.

    If features leak, the model behind the baseline is fitted only on features of the tables that
    the baseline uses, so that nothing in it, including amounts, depends on a leak.
    """
    if trained.gate.leaking:
        trained = _without_leaks(trained, tables_of_baseline(rule))
    panel, dataset = trained.panel.judged, trained.judged_rows
    candidate, seed = trained.candidate.with_baseline(rule), trained.model.seed
    test = dataset.only(panel.blocks.test)
    development = dataset.before(panel.blocks.test.dates[0])
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
    model = trained.model.with_baseline(rule)
    return replace(trained, model=model, candidate=candidate, judgement=judgement)


def _without_leaks(trained: Trained, tables: Collection[str]) -> Trained:
    names = tuple(name for name in trained.dataset.feature_names if is_of(name, tables))
    dataset = replace(trained.dataset, feature_names=names)
    judged = replace(trained.judged_rows, feature_names=names)
    known = judged.before(trained.panel.judged.blocks.test.dates[0])
    return replace(
        trained,
        dataset=dataset,
        tested=None if trained.tested is None else judged,
        candidate=_fitted(clone(trained.candidate), known),
        model=_fitted(clone(trained.candidate), dataset),
    )


def find_leaks(
    tables: Tables, dataset: Dataset, panel: Panel, evaluation: Evaluation
) -> tuple[Leak, ...]:
    """Features that leak, each listed once."""
    rule = evaluation.of(evaluation.best_baseline).metrics["roc_auc"].estimate
    learnt, later = dataset.only(panel.development), dataset.only(panel.blocks.test)
    alone = audit_alone(learnt, later, rule_auc=rule)
    some = sample_customers(dataset)
    days = audit_days(some, purchase_days_ahead(tables, some))
    named = {leak.feature for leak in alone}
    return (*alone, *(leak for leak in days if leak.feature not in named))


def forecasts_of(model: ChurnModel, test: Dataset, baseline: str) -> Forecasts:
    """Predictions of the model and of one of its baselines for eligible rows of `test`, with
    slices.
    """
    rows = test.eligible
    said = model.predict_proba(rows[["status", *model.feature_names_]])[:, 1]
    rule = predict_baseline(model.baselines_[baseline], rows)
    return Forecasts(rows, np.asarray(said), rule, slices_of(rows, test.clock))


def _union(chosen: Sequence[str], rival: ChurnModel | None) -> tuple[str, ...]:
    """The chosen features, followed by those that only the rival uses."""
    theirs = () if rival is None else rival.feature_names_
    return tuple(dict.fromkeys((*chosen, *theirs)))
