"""What each family of features earns: the recipe fitted again without it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from churn.modeling.dataset import Dataset
from churn.modeling.judgement.importance import families_of
from churn.modeling.judgement.trial import Trial
from churn.modeling.metrics import Interval, paired_mean_difference, roc_auc, row_log_losses
from churn.modeling.model import ChurnModel

__all__ = ["Ablated", "ablate"]


@dataclass(frozen=True)
class Ablated:
    """The recipe without one family, against the whole recipe on the same rows: by how much its
    log loss rises, and its AUC falls.
    """

    family: str
    features: int
    loss_rise: Interval
    auc_fall: float


def ablate(
    recipe: ChurnModel,
    learnt: Dataset,
    trial: Trial,
    *,
    seed: int = 0,
    progress: Callable[[str], None] = lambda _: None,
) -> tuple[Ablated, ...]:
    """One fit of the lapse head for each family, and one of the whole; largest rise first."""
    families = families_of(list(learnt.feature_names))
    progress("fitting with every family")
    whole = recipe.forecast_lapse(learnt, trial.rows)
    usual, auc = row_log_losses(trial.outcome, whole), roc_auc(trial.outcome, whole)
    found = []
    for family, names in families.items():
        progress(f"fitting without {family}")
        kept = tuple(name for name in learnt.feature_names if name not in names)
        said = recipe.forecast_lapse(replace(learnt, feature_names=kept), trial.rows)
        rise = paired_mean_difference(
            row_log_losses(trial.outcome, said) - usual, trial.customer, seed=seed
        )
        found.append(Ablated(family, len(names), rise, auc - roc_auc(trial.outcome, said)))
    return tuple(sorted(found, key=lambda one: -one.loss_rise.estimate))
