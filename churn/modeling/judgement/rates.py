"""By cutoff: observed lapse and decline rates, predicted rate, and AUC."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from churn.data.days import date_of
from churn.modeling.dataset import Dataset
from churn.modeling.judgement.predictions import TestPredictions
from churn.modeling.judgement.reliability import share_interval
from churn.modeling.metrics import Interval, bootstrap_metrics

KEYS = ["customer_id", "cutoff"]


@dataclass(frozen=True)
class Rate:
    """Observed rates of eligible customers at one cutoff, with Wilson intervals, because each
    customer is one row.

    If the cutoff has an out-of-sample forecast: the predicted rate (`foretold`) and the AUC; else
    None.
    """

    cutoff: str
    rows: int
    lapse: Interval
    decline: Interval
    foretold: float | None
    roc_auc: Interval | None


def rates_over_time(
    dataset: Dataset,
    tested: TestPredictions,
    forecasts: pd.DataFrame | None = None,
    *,
    replicates: int = 200,
    seed: int = 0,
) -> tuple[Rate, ...]:
    """The rates of each cutoff of the dataset and of the test, oldest first.

    `forecasts` has customer_id, cutoff and `model` for rows of the dataset outside the test.
    """
    seen = dataset.eligible[[*KEYS, "lapse", "decline"]]
    if forecasts is not None:
        seen = seen.merge(forecasts[[*KEYS, "model"]], on=KEYS, how="left")
    tried = tested.rows[[*KEYS, "lapse", "decline"]].assign(model=tested.lapse["model"])
    seen = pd.concat([tried, seen]).drop_duplicates(KEYS)  # test rows take precedence
    return tuple(
        _rate(int(cutoff), seen[seen["cutoff"] == cutoff], replicates, seed)
        for cutoff in sorted(seen["cutoff"].unique())
    )


def _rate(cutoff: int, rows: pd.DataFrame, replicates: int, seed: int) -> Rate:
    told = rows.dropna(subset=["model"])
    outcome, said = told["lapse"].to_numpy(), told["model"].to_numpy(dtype=np.float64)
    names = told["customer_id"].to_numpy()
    auc = bootstrap_metrics(outcome, said, names, replicates=replicates, seed=seed)["roc_auc"]
    return Rate(
        cutoff=str(date_of(cutoff)),
        rows=len(rows),
        lapse=_share(rows["lapse"]),
        decline=_share(rows["decline"].dropna()),
        foretold=float(said.mean()) if len(told) else None,
        roc_auc=auc if len(told) else None,
    )


def _share(outcome: pd.Series[float]) -> Interval:
    return share_interval(float(np.sum(outcome)), len(outcome))
