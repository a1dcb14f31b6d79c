"""The season of the level: what happened a year before each cutoff, compared with BG/NBD's forecast
of it from the histories known then.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import date, timedelta

import pandas as pd

from churn.features.clock import FeatureClock
from churn.modeling.level import hazard_factor
from churn.modeling.portable import LIFETIME_FEATURES

YEAR_DAYS = 364
LEAST_PAST_DAYS = 182
ODD = 2.0
"""A year in which more than this factor was missing or in excess is not followed."""

NAMES = ("purchase_days", "orders_count", *LIFETIME_FEATURES)


@dataclass(frozen=True)
class Season:
    """Factors that were right in the horizon one year earlier, on `eligible` customers.

    `hazard` multiplies BG/NBD's hazard of a purchase, so that the expected number of lapses was the
    observed one; `orders` and `spend` are observed over expected totals, giant orders capped.
    """

    hazard: float
    orders: float
    spend: float
    eligible: int

    @property
    def is_odd(self) -> bool:
        """Whether a factor is so far from 1 that a repetition is not assumed."""
        return not all(1 / ODD <= one <= ODD for one in (self.hazard, self.orders, self.spend))

    def to_dict(self) -> dict[str, float]:
        """Plain JSON."""
        return asdict(self)


def year_ago(cutoffs: Iterable[date], first_order: date, clock: FeatureClock) -> tuple[date, ...]:
    """The dates a year before those cutoffs that have enough history before them, and whose horizon
    has closed by the cutoff.
    """
    if clock.is_contractual or clock.horizon_days > YEAR_DAYS:
        return ()
    earliest = first_order + timedelta(days=max(2 * clock.horizon_days, LEAST_PAST_DAYS))
    dates = (cutoff - timedelta(days=YEAR_DAYS) for cutoff in cutoffs)
    return tuple(one for one in dates if one >= earliest)


def season_of(rows: pd.DataFrame) -> Season | None:
    """The season of labelled rows of `NAMES` at one cutoff; None if nobody or everybody lapsed."""
    eligible = rows[rows["status"] == "eligible"]
    lapsed = float((eligible["horizon_orders"] <= 0).mean()) if len(eligible) else 0.0
    if not 0 < lapsed < 1:
        return None
    hazard = hazard_factor(eligible["p_no_purchase_in_horizon"].to_numpy(dtype="float64"), lapsed)
    per_day = float(eligible["orders_count"].sum() / eligible["purchase_days"].sum())
    orders = per_day * eligible["expected_purchase_days"].sum()
    spend = eligible["expected_spend_in_horizon"].sum()
    observed = [
        float(eligible[name].clip(lower=0).sum())
        for name in ("horizon_orders", "horizon_fenced_spend")
    ]
    if not (orders > 0 and spend > 0):
        return None
    return Season(hazard, observed[0] / float(orders), observed[1] / float(spend), len(eligible))
