"""Slices of customers that are evaluated separately, so that no average hides a weak one."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from churn.analytics.segments import SegmentBounds, rfm_segments
from churn.data.days import date_of
from churn.features.clock import FeatureClock

Masks = dict[str, NDArray[np.bool_]]


def slices_of(rows: pd.DataFrame, clock: FeatureClock) -> Masks:
    """Masks over eligible rows, by name: tenure, segment, month of the cutoff, one-time buyers.

    `rows` has cutoff, status and the features tenure_days, recency_days, purchase_days and
    net_spend. Empty slices are omitted;
    slices of one kind do not overlap.
    """
    found = {**_tenures(rows, clock), **_segments(rows), **_months(rows)}
    found["one-time buyers"] = (rows["purchase_days"] == 1).to_numpy()
    return {name: mask for name, mask in found.items() if mask.any()}


def _tenures(rows: pd.DataFrame, clock: FeatureClock) -> Masks:
    """Three tenure bands, with bounds at one and at four horizons."""
    tenure, horizon = rows["tenure_days"].to_numpy(), clock.horizon_days
    return {
        f"tenure under {horizon} days": tenure < horizon,
        f"tenure {horizon} to {4 * horizon} days": (tenure >= horizon) & (tenure <= 4 * horizon),
        f"tenure over {4 * horizon} days": tenure > 4 * horizon,
    }


def _segments(rows: pd.DataFrame) -> Masks:
    bounds = SegmentBounds.learn(rows)
    names = rfm_segments(rows, bounds)
    # One-time buyers are a separate slice already.
    return {f"segment {name}": names == name for name in np.unique(names) if name != "one-time"}


def _months(rows: pd.DataFrame) -> Masks:
    month = rows["cutoff"].map(lambda number: f"cutoffs of {date_of(int(number)):%Y-%m}").to_numpy()
    return {name: month == name for name in np.unique(month)}
