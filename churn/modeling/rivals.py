"""Whom a new model has to stand beside: the champion, on rows that it has not learnt from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import pandas as pd
from sklearn.base import clone

from churn.data.cutoffs import Cutoffs
from churn.features.catalogue import CATALOGUE
from churn.features.clock import FeatureClock
from churn.modeling.baselines import predict_baseline
from churn.modeling.dataset import Dataset
from churn.modeling.model import ChurnModel
from churn.modeling.panel import Panel

__all__ = ["Rival", "forecast_champion", "why_not_comparable"]

LEAST_CUTOFFS = 2
WHEN = ("dates", "until", "arrival_lag_days")
NOT_RECIPE = ("threads", "stand_in", "margin_rate")


@dataclass(frozen=True)
class Rival:
    """What the champion says of eligible test rows: P(lapse), and how it came to say it.

    `chosen` marks those of the test rows that it can be compared on.
    """

    name: str
    how: str
    chosen: np.ndarray
    probability: np.ndarray
    stand_in: str | None = None


def why_not_comparable(
    champion: ChurnModel | None, panel: Panel, connected: frozenset[str]
) -> str | None:
    """None, or in words why the champion answers another question or can no longer be asked."""
    if champion is None:
        return None
    theirs = _question(champion.clock_, champion.cutoffs_)
    ours = _question(panel.clock, panel.cutoffs)
    differ = [name for name in ours if theirs.get(name) != ours[name]]
    if differ:
        told = ", ".join(f"{name} {theirs.get(name)} for {ours[name]}" for name in differ)
        return f"it answers another question: {told}"
    gone = [name for name in champion.feature_names_ if not _is_there(name, connected)]
    if gone:
        return f"its features can no longer be built: {', '.join(gone)}"
    return None


def _question(clock: FeatureClock, cutoffs: Cutoffs) -> dict[str, object]:
    """What decides who is asked about, and what counts as a lapse."""
    label = {name: value for name, value in asdict(cutoffs).items() if name not in WHEN}
    return {**label, **asdict(clock)}


def _is_there(name: str, connected: frozenset[str]) -> bool:
    if name not in CATALOGUE:
        return False
    # an event type may not have happened yet, and counts as zero
    needs = {one for one in CATALOGUE[name].needs if not one.startswith("events.")}
    return needs <= connected


def forecast_champion(
    champion: ChurnModel, candidate: ChurnModel, dataset: Dataset, panel: Panel
) -> Rival:
    """The champion on the eligible test rows, none of which it may have seen.

    Itself on the test cutoffs from the end of its own labels on, where there are two or more.
    Else it has seen too much, and its recipe speaks, fitted on what `candidate` was fitted on.
    `dataset` has the features of both.
    """
    name = str(champion.manifest_["model_id"])
    stand_in = champion.stand_in
    rows = dataset.only(panel.blocks.test).eligible
    fair = panel.blocks.test.since(champion.cutoffs_.until)
    if len(fair) >= LEAST_CUTOFFS:
        chosen = rows["cutoff"].isin(dataset.only(fair).rows["cutoff"].unique()).to_numpy()
        said = _said(champion, rows[chosen])
        return Rival(name, "itself", chosen, said, stand_in)
    everywhere = np.ones(len(rows), dtype=bool)
    if stand_in is not None:
        said = predict_baseline(candidate.baselines_[stand_in], rows)
    elif _recipe(champion) == _recipe(candidate):
        said = _said(candidate, rows)
    else:
        learnt = replace(dataset, feature_names=tuple(champion.feature_names_))
        refitted = clone(champion).set_params(threads=candidate.threads)
        said = _said(refitted.fit(learnt.only(panel.development)), rows)
    return Rival(name, "its recipe refitted", everywhere, said, stand_in)


def _recipe(model: ChurnModel) -> tuple[dict[str, object], Sequence[str]]:
    """All that decides what a fit on given rows will say of lapses."""
    parameters = model.get_params()
    told = {name: value for name, value in parameters.items() if name not in NOT_RECIPE}
    return told, list(model.feature_names_)


def _said(model: ChurnModel, rows: pd.DataFrame) -> np.ndarray:
    return np.asarray(model.predict_proba(rows[["status", *model.feature_names_]])[:, 1])
