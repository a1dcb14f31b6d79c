"""What a refit on matured labels would gain: the recipe fitted again, and both judged later."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np

from churn.data.cutoffs import Cutoffs
from churn.data.tables import Tables
from churn.errors import GateError
from churn.modeling.dataset import build_dataset, has_classes
from churn.modeling.metrics import Interval, paired_log_loss_difference
from churn.modeling.model import ChurnModel

CUTOFFS = 13


@dataclass(frozen=True)
class RefitGain:
    """Log loss of the model minus that of a refit on one later cutoff: above 0, the refit is
    better.
    """

    cutoff: date
    customers: int
    gain: Interval

    def sentence(self) -> str:
        """The finding in one line."""
        gain = self.gain
        told = (
            f"A refit on the labels that had closed by {self.cutoff} would have lowered the log "
            f"loss of the {self.customers:,} customers of that date by {gain.estimate:.4f} "
            f"({gain.low:.4f} to {gain.high:.4f})"
        )
        if gain.low > 0:
            return f"{told}."
        return f"{told}: not proven."


def gain_of_refit(
    model: ChurnModel, tables: Tables, as_of: date, *, most_rows: int
) -> RefitGain | None:
    """The gain at the newest matured cutoff after the model's training data; None if no label has
    closed since, or too few rows to learn from have.
    """
    trained = replace(model.cutoffs_, until=as_of, dates=())
    newest = trained.newest_mature
    if newest <= trained_until(model):
        return None
    step = model.clock_.window_days
    first, _ = tables.span()
    earlier = [newest - timedelta(days=step * k) for k in reversed(range(CUTOFFS + 1))]
    begun = first + timedelta(days=model.clock_.horizon_days)
    panel = replace(trained, dates=tuple(day for day in earlier if day >= begun))
    dataset = build_dataset(
        tables, panel, model.clock_, names=model.feature_names_, most_rows=most_rows
    )
    learnt, test = dataset.before(newest), dataset.only(panel.only((newest,)))
    later = test.eligible
    if not len(learnt.eligible) or not has_classes(learnt.eligible["lapse"]) or not len(later):
        return None
    try:
        refit = model.forecast_lapse(learnt, later)
    except GateError:
        return None
    said = model.predict_frame(later[["status", *model.feature_names_]])
    gain = paired_log_loss_difference(
        later["lapse"].to_numpy(),
        said["churn_probability"].to_numpy(),
        np.asarray(refit),
        later["customer_id"].to_numpy(),
        seed=model.seed,
    )
    return RefitGain(newest, len(later), gain)


def trained_until(model: ChurnModel) -> date:
    """The end of the model's training data; predictions from then on are blind to their future."""
    cutoffs: Cutoffs = model.cutoffs_
    return cutoffs.until
