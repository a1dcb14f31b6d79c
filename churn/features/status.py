"""The status of each customer at a cutoff: eligible for the model, or why not."""

import numpy as np

from churn.arrays import Ints
from churn.features.clock import FeatureClock
from churn.features.formulas import Row

STATUSES = ("eligible", "lapsed", "new", "covered")
ELIGIBLE, LAPSED, NEW, COVERED = range(len(STATUSES))


def status(row: Row, clock: FeatureClock) -> Ints:
    """The place in `STATUSES` of each customer, by the clock's definition of a lapse."""
    return _of_subscribers(row, clock) if clock.is_contractual else _of_buyers(row, clock)


def _of_buyers(row: Row, clock: FeatureClock) -> Ints:
    """`new`: no purchase, or tenure under the minimum; `lapsed`: no purchase in the lookback; else
    `eligible`.
    """
    settled = row["tenure_days"] >= clock.min_tenure_days
    recent = row["recency_days"] <= clock.lookback_days
    return np.where(settled, np.where(recent, ELIGIBLE, LAPSED), NEW)


def _of_subscribers(row: Row, clock: FeatureClock) -> Ints:
    """`new`: no subscription, or the first younger than the minimum; `lapsed`: the last expired;
    `eligible`: it expires in [c + lead, c + lead + H); else `covered`, including those without an
    expiry.
    """
    left, lead = row["days_to_expiry"], clock.lead_days
    settled = row["subscription_tenure_days"] >= clock.min_tenure_days
    due = (left >= lead) & (left < lead + clock.horizon_days)
    ongoing = np.where(due, ELIGIBLE, COVERED)
    return np.where(settled, np.where(left < 0, LAPSED, ongoing), NEW)
