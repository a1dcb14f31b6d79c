"""Returns: orders with an amount below zero."""

import narwhals as nw

from churn.features.catalogue import feature, sums
from churn.features.clock import FeatureClock
from churn.features.expressions import ratio, within

sums(returned_total=lambda _: nw.col("returned").sum())


@feature(family="returns", unit="share", over="row")
def return_share(_: FeatureClock) -> nw.Expr:
    """Value of all returns divided by that of all purchases; null without a purchase."""
    return ratio(nw.col("returned_total"), nw.col("spend_total"))


@feature(family="returns", unit="currency", over="days")
def returned_90d(_: FeatureClock) -> nw.Expr:
    """Value of the returns in the last 90 days."""
    return within(90, nw.col("returned"), 0.0).sum()


@feature(family="returns", unit="days", over="days")
def return_days(_: FeatureClock) -> nw.Expr:
    """Distinct days with a return."""
    return nw.when(nw.col("returned") > 0).then(1).otherwise(0).sum()


@feature(family="returns", unit="days", over="days")
def last_return_days(_: FeatureClock) -> nw.Expr:
    """Whole days from the last return to the cutoff; null if there was none."""
    return nw.when(nw.col("returned") > 0).then(nw.col("age_days")).min()
