"""From tables to a judged model: the panel, the judgement on later cutoffs, the refit on all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from sklearn.base import clone

from churn.data.tables import Tables
from churn.features.builder import newest_population
from churn.modeling.dataset import Dataset, build_dataset
from churn.modeling.evaluate import Evaluation, evaluate
from churn.modeling.forward import JudgedFold, judge_folds
from churn.modeling.gate import Gate, judge
from churn.modeling.model import ChurnModel
from churn.modeling.panel import Panel

__all__ = ["Trained", "canary_rows", "reference_rows", "train_model"]

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Trained:
    """A model refitted on all mature cutoffs, and the judgement of its recipe on the test ones;
    `folds` judges it on the cutoffs before those, oldest first.
    """

    model: ChurnModel
    evaluation: Evaluation
    gate: Gate
    panel: Panel
    dataset: Dataset
    population: dict[str, Any]
    folds: tuple[JudgedFold, ...] = ()


def train_model(
    recipe: ChurnModel,
    tables: Tables,
    panel: Panel,
    *,
    names: Sequence[str] | None = None,
    progress: Progress = lambda _: None,
) -> Trained:
    """The recipe judged on cutoffs whose past it was fitted on, then fitted again on everything.

    `names` chooses the features (default: all that the connected tables give).
    Raises GateError where a class has too few rows to learn from.
    """
    progress("building features and labels")
    dataset = build_dataset(tables, panel.cutoffs, panel.clock, names=names)
    development = dataset.only(panel.development)
    progress("fitting on the past of the test cutoffs")
    candidate = clone(recipe).fit(development)
    progress("judging on the test cutoffs")
    evaluation = evaluate(candidate, dataset.only(panel.blocks.test), seed=recipe.seed)
    progress("judging on earlier cutoffs")
    folds = judge_folds(recipe, development)
    progress("fitting on all mature cutoffs")
    model = clone(recipe).fit(dataset)
    population = newest_population(tables, panel.cutoffs.until, panel.clock, dataset.feature_names)
    return Trained(model, evaluation, judge(evaluation), panel, dataset, population, folds)


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
