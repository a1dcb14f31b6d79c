"""Segments of customers by recency, frequency and monetary value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

SEGMENTS = ("best", "loyal", "regular", "occasional", "one-time", "lapsed", "new")


@dataclass(frozen=True)
class SegmentBounds:
    """The bounds of the top fifth by net spend, and of the top and bottom 40 % by purchase days."""

    best_net_spend: float
    loyal_purchase_days: float
    occasional_purchase_days: float

    @classmethod
    def learn(cls, purchase_days: np.ndarray, net_spend: np.ndarray) -> SegmentBounds:
        """The bounds among eligible customers who bought; infinite if there are none."""
        bought = purchase_days > 0
        purchase_days, net_spend = purchase_days[bought], net_spend[bought]
        if len(purchase_days) == 0:
            return cls(np.inf, np.inf, np.inf)
        return cls(
            float(np.quantile(net_spend, 0.8)),
            float(np.quantile(purchase_days, 0.6)),
            float(np.quantile(purchase_days, 0.4)),
        )


def rfm_segments(
    rows: pd.DataFrame | Mapping[str, np.ndarray], bounds: SegmentBounds
) -> np.ndarray:
    """One of `SEGMENTS` per row of status, purchase_days and net_spend.

    `best` spend most and buy often, `loyal` buy often, `occasional` rarely, `regular` in between;
    `one-time` bought on a single day; `lapsed` and `new` are those of `status`, and `new` also
    includes subscribers without a purchase.
    """
    days, spend, status = (
        np.asarray(rows[name]) for name in ("purchase_days", "net_spend", "status")
    )
    often = days >= bounds.loyal_purchase_days
    tests = [
        status == "new",
        status == "lapsed",
        ~(days > 0),
        days <= 1,
        often & (spend >= bounds.best_net_spend),
        often,
        days <= bounds.occasional_purchase_days,
    ]
    names = ["new", "lapsed", "new", "one-time", "best", "loyal", "occasional"]
    return np.select(tests, names, default="regular")
