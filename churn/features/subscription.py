"""Subscriptions: remaining term, number of renewals, cancellation.

The "last" subscription is the one that expires last among those that had begun.
"""

import narwhals as nw

from churn.features.catalogue import feature
from churn.features.clock import FeatureClock

CANCELLED = ("subscriptions.cancelled_at",)


def _of_last(value: nw.Expr) -> nw.Expr:
    return nw.when(nw.col("is_last")).then(value)


@feature(family="subscription", unit="days", over="terms")
def days_to_expiry(_: FeatureClock) -> nw.Expr:
    """Whole days from the cutoff to the last expiry; negative once all have expired; null without a
    subscription, and if one has no end.
    """
    return nw.col("days_to_expiry").max()


@feature(family="subscription", unit="days", over="terms")
def subscription_tenure_days(_: FeatureClock) -> nw.Expr:
    """Whole days since the first subscription began; null without one."""
    return nw.col("age_days").max()


@feature(family="subscription", unit="renewals", over="terms", empty=0.0)
def renewals_so_far(_: FeatureClock) -> nw.Expr:
    """Days on which a subscription began, without the first one."""
    return nw.col("local_day").n_unique() - 1


@feature(family="subscription", unit="days", over="terms")
def plan_days(_: FeatureClock) -> nw.Expr:
    """Whole days from start to expiry of the last subscription, the longest if there are several;
    null if it has no end.
    """
    return _of_last(nw.col("plan_days")).max()


@feature(family="subscription", unit="yes or no", over="terms", needs=CANCELLED, empty=0.0)
def is_cancelled(_: FeatureClock) -> nw.Expr:
    """1 if the last subscription was cancelled before the cutoff, else 0; if several are last, all
    of them must be cancelled.
    """
    cancelled = nw.when(nw.col("cancelled_days").is_null()).then(0).otherwise(1)
    return _of_last(cancelled).min()


@feature(family="subscription", unit="days", over="terms", needs=CANCELLED)
def last_cancellation_days(_: FeatureClock) -> nw.Expr:
    """Whole days since the last cancellation of any subscription; null without one."""
    return nw.col("cancelled_days").min()
