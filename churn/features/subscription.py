"""Subscriptions: remaining term, number of renewals, cancellation.

The "last" subscription is the one that expires last among those that had begun.
"""

import numpy as np

from churn.arrays import Floats
from churn.data.history.terms import Terms
from churn.features.catalogue import feature
from churn.features.clock import FeatureClock

CANCELLED = ("subscriptions.cancelled_at",)


@feature(family="subscription", unit="days", over="terms")
def days_to_expiry(terms: Terms, _: FeatureClock) -> Floats:
    """Whole days from the cutoff to the last expiry; negative once all have expired; null without a
    subscription, and if one has no end.
    """
    return terms.most(terms.days_to_expiry)


@feature(family="subscription", unit="days", over="terms")
def subscription_tenure_days(terms: Terms, _: FeatureClock) -> Floats:
    """Whole days since the first subscription began; null without one."""
    return terms.most(terms.age_days)


@feature(family="subscription", unit="renewals", over="terms", empty=0.0)
def renewals_so_far(terms: Terms, _: FeatureClock) -> Floats:
    """Days on which a subscription began, without the first one."""
    return terms.distinct_starts() - 1


@feature(family="subscription", unit="days", over="terms")
def plan_days(terms: Terms, _: FeatureClock) -> Floats:
    """Whole days from start to expiry of the last subscription, the longest if there are several;
    null if it has no end.
    """
    return terms.most(terms.plan_days, terms.is_last)


@feature(family="subscription", unit="yes or no", over="terms", needs=CANCELLED, empty=0.0)
def is_cancelled(terms: Terms, _: FeatureClock) -> Floats:
    """1 if the last subscription was cancelled before the cutoff, else 0; if several are last, all
    of them must be cancelled.
    """
    return terms.least(np.where(np.isnan(terms.cancelled_days), 0.0, 1.0), terms.is_last)


@feature(family="subscription", unit="days", over="terms", needs=CANCELLED)
def last_cancellation_days(terms: Terms, _: FeatureClock) -> Floats:
    """Whole days since the last cancellation of any subscription; null without one."""
    return terms.least(terms.cancelled_days)
