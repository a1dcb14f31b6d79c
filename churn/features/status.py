"""The status of each customer at a cutoff: eligible for the model, or why not."""

import narwhals as nw

from churn.features.clock import FeatureClock

STATUSES = ("eligible", "lapsed", "new", "covered")


def status(clock: FeatureClock) -> nw.Expr:
    """One of `STATUSES` per row of features, by the clock's definition of a lapse."""
    return _of_subscribers(clock) if clock.is_contractual else _of_buyers(clock)


def _of_buyers(clock: FeatureClock) -> nw.Expr:
    """`new`: no purchase, or tenure under the minimum; `lapsed`: no purchase in the lookback; else
    `eligible`.
    """
    bought = ~nw.col("recency_days").is_null()
    settled = bought & (nw.col("tenure_days") >= clock.min_tenure_days)
    recent = nw.col("recency_days") <= clock.lookback_days
    return (
        nw.when(settled & recent)
        .then(nw.lit("eligible"))
        .when(settled)
        .then(nw.lit("lapsed"))
        .otherwise(nw.lit("new"))
    )


def _of_subscribers(clock: FeatureClock) -> nw.Expr:
    """`new`: no subscription, or the first younger than the minimum; `lapsed`: the last expired;
    `eligible`: it expires in [c + lead, c + lead + H); else `covered`, including those without an
    expiry.
    """
    left, lead = nw.col("days_to_expiry"), clock.lead_days
    settled = nw.col("subscription_tenure_days") >= clock.min_tenure_days
    due = (left >= lead) & (left < lead + clock.horizon_days)
    return (
        nw.when(settled & due)
        .then(nw.lit("eligible"))
        .when(settled & (left.is_null() | (left >= 0)))
        .then(nw.lit("covered"))
        .when(settled)
        .then(nw.lit("lapsed"))
        .otherwise(nw.lit("new"))
    )
