"""The shipped recipe at the test cutoff of each shop."""

import numpy as np
import pandas as pd

from churn.modeling.metrics import Interval, bootstrap_metrics
from churn.modeling.model import ChurnModel

from .shops import Shop

__all__ = ["judged"]

FEW_DAYS = 3


def judged(shop: Shop) -> list[list[str]]:
    """A row for each head and group of customers, with 95 % intervals over customers."""
    learnt = shop.rows.only(shop.learnt_by(shop.test))
    model = ChurnModel(seed=7).fit(learnt)
    rows = shop.at(shop.test).eligible.reset_index(drop=True)
    said = model.predict_frame(rows[["customer_id", "status", *learnt.feature_names]])
    regular = (rows["purchase_days"] >= FEW_DAYS).to_numpy()
    groups = {"all": np.ones(len(rows), dtype=bool), f"{FEW_DAYS} purchase days or more": regular}
    heads = {"lapse": "churn_probability", "decline": "decline_probability"}
    return [
        [shop.name, head, name, *_figures(rows, said[column], head, group)]
        for head, column in heads.items()
        for name, group in groups.items()
    ]


def _figures(
    rows: pd.DataFrame, said: pd.Series, head: str, group: np.ndarray
) -> tuple[str, str, str]:
    known = group & rows[head].notna().to_numpy()
    part = rows[known]
    found = bootstrap_metrics(part[head], said[known], part["customer_id"], seed=7)
    return f"{len(part):,}", _shown(found["roc_auc"]), _shown(found["log_loss"])


def _shown(value: Interval) -> str:
    return f"{value.estimate:.4f} [{value.low:.4f}, {value.high:.4f}]"
