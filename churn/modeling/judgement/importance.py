"""Feature importance: by permutation, and by refitting without a family."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from churn.features.catalogue import CATALOGUE
from churn.modeling.dataset import Dataset
from churn.modeling.judgement.predictions import TestPredictions
from churn.modeling.metrics import Interval, paired_mean_difference, roc_auc, row_log_losses
from churn.modeling.model import ChurnModel

SHUFFLES = 3


@dataclass(frozen=True)
class FamilyImportance:
    """One family: its share of the total split gain, and the increase of the test log loss when its
    values are permuted among the customers of each cutoff.

    Families are correlated, so a small increase does not mean that a family is uninformative.
    """

    family: str
    features: int
    gain_share: float
    loss_rise: Interval


def families_of(names: list[str]) -> dict[str, list[str]]:
    """The features of each family, in the order of the names.

    >>> families_of(["recency_days", "purchase_days"])["recency"]
    ['recency_days']
    """
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(CATALOGUE[name].family, []).append(name)
    return found


def family_importance(
    model: ChurnModel, tested: TestPredictions, *, replicates: int = 200, seed: int = 0
) -> tuple[FamilyImportance, ...]:
    """Importance for the lapse head, largest increase of log loss first; empty for a fallback
    model.
    """
    if model.stand_in is not None:
        return ()
    families = families_of(model.feature_names_)
    gains = _gains(model)
    portable = model.portable()
    said = portable.lapse(tested.rows, portable.matrix(tested.rows))
    usual = row_log_losses(tested.outcome, said)
    found = [
        FamilyImportance(
            family=family,
            features=len(names),
            gain_share=float(sum(gains[name] for name in names)),
            loss_rise=paired_mean_difference(
                _shuffled_losses(model, tested, names, seed) - usual,
                tested.customer,
                replicates=replicates,
                seed=seed,
            ),
        )
        for family, names in families.items()
    ]
    return tuple(sorted(found, key=lambda one: -one.loss_rise.estimate))


def _gains(model: ChurnModel) -> dict[str, float]:
    """Each feature's share of the total split gain of the lapse head."""
    gain = np.asarray(model.portable().boosters["lapse"].feature_importance("gain"))
    return dict(zip(model.feature_names_, gain / max(gain.sum(), 1e-300), strict=True))


def _shuffled_losses(
    model: ChurnModel, tested: TestPredictions, names: list[str], seed: int
) -> NDArray[np.float64]:
    """Log loss of every row, averaged over a few permutations of the family's values."""
    portable, rng = model.portable(), np.random.default_rng(seed)
    losses = np.zeros(len(tested.rows))
    for _ in range(SHUFFLES):
        dealt = tested.rows[model.feature_names_].copy()
        order = _dealt(tested.rows["cutoff"].to_numpy(), rng)
        dealt[names] = dealt[names].to_numpy()[order]
        losses += row_log_losses(tested.outcome, portable.lapse(dealt, portable.matrix(dealt)))
    return losses / SHUFFLES


def _dealt(cutoff: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.intp]:
    """Positions in a random order within each cutoff."""
    order = np.arange(len(cutoff))
    for date in np.unique(cutoff):
        there = np.flatnonzero(cutoff == date)
        order[there] = rng.permutation(there)
    return order


@dataclass(frozen=True)
class Ablated:
    """The recipe without one family, compared with the whole recipe on the same rows: increase of
    log loss and decrease of AUC.
    """

    family: str
    features: int
    loss_rise: Interval
    auc_fall: float


def ablate(
    recipe: ChurnModel,
    learnt: Dataset,
    tested: TestPredictions,
    *,
    seed: int = 0,
    progress: Callable[[str], None] = lambda _: None,
) -> tuple[Ablated, ...]:
    """One fit of the lapse head without each family and one with all; largest increase first."""
    families = families_of(list(learnt.feature_names))
    progress("fitting with all families")
    whole = recipe.forecast_lapse(learnt, tested.rows)
    usual, auc = row_log_losses(tested.outcome, whole), roc_auc(tested.outcome, whole)
    found = []
    for family, names in families.items():
        progress(f"fitting without {family}")
        kept = tuple(name for name in learnt.feature_names if name not in names)
        said = recipe.forecast_lapse(replace(learnt, feature_names=kept), tested.rows)
        rise = paired_mean_difference(
            row_log_losses(tested.outcome, said) - usual, tested.customer, seed=seed
        )
        found.append(Ablated(family, len(names), rise, auc - roc_auc(tested.outcome, said)))
    return tuple(sorted(found, key=lambda one: -one.loss_rise.estimate))
