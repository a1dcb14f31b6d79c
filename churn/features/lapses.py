"""How often customers were inactive for longer than the horizon, and returned."""

from churn.arrays import Floats
from churn.data.history.days import Days
from churn.features.catalogue import feature
from churn.features.clock import FeatureClock
from churn.features.formulas import Row, ratio


@feature(family="lapses", unit="gaps", over="days")
def past_lapses(days: Days, clock: FeatureClock) -> Floats:
    """Gaps between purchase days that were longer than H: lapses that ended."""
    return days.count(days.gap_days > clock.horizon_days)


@feature(family="lapses", unit="share", over="row")
def past_lapse_share(row: Row, _: FeatureClock) -> Floats:
    """Share of the gaps that were longer than H; null with one purchase day."""
    return ratio(row["past_lapses"], row["gaps"])


@feature(family="lapses", unit="days", over="days")
def last_return_from_lapse_days(days: Days, clock: FeatureClock) -> Floats:
    """Whole days from the purchase that ended the most recent gap longer than H to the cutoff; null
    if there was none.
    """
    return days.least(days.age_days, days.gap_days > clock.horizon_days)
