"""How often customers were inactive for longer than the horizon, and returned."""

import narwhals as nw

from churn.features.catalogue import feature
from churn.features.clock import FeatureClock
from churn.features.expressions import ratio


@feature(family="lapses", unit="gaps", over="days")
def past_lapses(clock: FeatureClock) -> nw.Expr:
    """Gaps between purchase days that were longer than H: lapses that ended."""
    return nw.when(_lapsed(clock)).then(1).otherwise(0).sum()


@feature(family="lapses", unit="share", over="row")
def past_lapse_share(_: FeatureClock) -> nw.Expr:
    """Share of the gaps that were longer than H; null with one purchase day."""
    return ratio(nw.col("past_lapses"), nw.col("gaps"))


@feature(family="lapses", unit="days", over="days")
def last_return_from_lapse_days(clock: FeatureClock) -> nw.Expr:
    """Whole days from the purchase that ended the most recent gap longer than H to the cutoff; null
    if there was none.
    """
    return nw.when(_lapsed(clock)).then(nw.col("age_days")).min()


def _lapsed(clock: FeatureClock) -> nw.Expr:
    return nw.col("gap_days") > clock.horizon_days
