"""Returns: orders with an amount below zero."""

from churn.arrays import Floats
from churn.data.history.days import Days
from churn.features.catalogue import feature, sums
from churn.features.clock import FeatureClock
from churn.features.formulas import Row, ratio

sums(returned_total=lambda days, _: days.total(days.returned))


@feature(family="returns", unit="share", over="row")
def return_share(row: Row, _: FeatureClock) -> Floats:
    """Value of all returns divided by that of all purchases; null without a purchase."""
    return ratio(row["returned_total"], row["spend_total"])


@feature(family="returns", unit="currency", over="days")
def returned_90d(days: Days, _: FeatureClock) -> Floats:
    """Value of the returns in the last 90 days."""
    return days.total(days.returned, days.within(90))


@feature(family="returns", unit="days", over="days")
def return_days(days: Days, _: FeatureClock) -> Floats:
    """Distinct days with a return."""
    return days.count(days.returned > 0)


@feature(family="returns", unit="days", over="days")
def last_return_days(days: Days, _: FeatureClock) -> Floats:
    """Whole days from the last return to the cutoff; null if there was none."""
    return days.least(days.age_days, days.returned > 0)
