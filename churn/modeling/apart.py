"""Customers apart: how well the recipe predicts customers it has not seen, at one cutoff.

It is what a short history allows with the whole horizon. Time is not tested: the season and the
level of the horizon are shared by the customers that are learned from and those predicted.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import date

import numpy as np

from churn.modeling.calibration import halves
from churn.modeling.dataset import LABELS, Dataset, cutoff_dates, has_classes, row_weights
from churn.modeling.level import fit_bg_nbd
from churn.modeling.metrics import Interval, log_loss, paired_log_loss_difference
from churn.modeling.model import ChurnModel
from churn.modeling.portable import bg_nbd_no_purchase


@dataclass(frozen=True)
class Apart:
    """The newest closed cutoff, each half of its eligible customers predicted by the recipe fitted
    on the other half, compared with BG/NBD.
    """

    cutoff: date
    horizon_days: int
    rows: int
    log_loss: float
    bg_nbd_log_loss: float
    difference: Interval

    def to_dict(self) -> dict[str, object]:
        """Plain JSON."""
        gap = self.difference
        flat = asdict(self) | {"cutoff": str(self.cutoff)}
        return flat | {"difference": [gap.estimate, gap.low, gap.high]}


def customers_apart(recipe: ChurnModel, dataset: Dataset) -> Apart | None:
    """None if no label window has closed, or a half has too few rows of a class."""
    if dataset.eligible.empty:
        return None
    newest = dataset.rows[dataset.rows["cutoff"] == dataset.rows["cutoff"].max()]
    rows = newest[newest["status"] == "eligible"]
    said = np.full(len(rows), np.nan)
    current = newest.drop(columns=list(LABELS))
    for _, asked in halves(rows["customer_id"]):
        others = ~dataset.rows["customer_id"].isin(rows["customer_id"][asked])
        learnt = replace(dataset, rows=dataset.rows[others], current=current)
        if not asked.any() or not has_classes(learnt.eligible["lapse"]):
            return None
        said[asked] = recipe.forecast_lapse(learnt, rows[asked])
    target, weight = rows["lapse"].to_numpy(), row_weights(rows)
    rule = bg_nbd_no_purchase(fit_bg_nbd(newest), dataset.clock.horizon_days, rows)
    return Apart(
        cutoff=cutoff_dates(newest)[0],
        horizon_days=dataset.clock.horizon_days,
        rows=len(rows),
        log_loss=log_loss(target, said, weights=weight),
        bg_nbd_log_loss=log_loss(target, rule, weights=weight),
        difference=paired_log_loss_difference(
            target, said, rule, rows["customer_id"].to_numpy(), weights=weight, seed=recipe.seed
        ),
    )
