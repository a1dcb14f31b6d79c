"""How customers started: their first purchase day compared with later ones."""

import numpy as np

from churn.arrays import Floats
from churn.features.catalogue import feature, sums
from churn.features.clock import FeatureClock
from churn.features.formulas import Row, ratio

DISCOUNT = ("orders.discount",)

sums(
    first_spend=lambda days, _: days.total(days.spend, days.is_first),
    second_day_age=lambda days, _: days.most(days.age_days, days.has_gap),
)
sums(needs=DISCOUNT, first_discount=lambda days, _: days.total(days.discount, days.is_first))


@feature(family="first_order", unit="ratio", over="row")
def first_basket_over_average(row: Row, _: FeatureClock) -> Floats:
    """Purchases of the first purchase day divided by those of the average purchase day."""
    return ratio(row["first_spend"] * row["purchase_days"], row["spend_total"])


@feature(family="first_order", unit="days", over="row")
def first_gap_days(row: Row, _: FeatureClock) -> Floats:
    """Whole days from the first purchase day to the second; null without a second one."""
    return np.asarray(row["tenure_days"] - row["second_day_age"])


@feature(family="first_order", unit="share", over="row", needs=DISCOUNT, controlled=True)
def first_discount_share(row: Row, _: FeatureClock) -> Floats:
    """Discounts of the first purchase day divided by its full price."""
    discount = row["first_discount"]
    return ratio(discount, row["first_spend"] + discount)


@feature(family="first_order", unit="share", over="row", needs=("orders.channel",))
def first_channel_share(row: Row, _: FeatureClock) -> Floats:
    """Share of all customers who started in the same channel: a common start or a rare one; null if
    the channel of the first purchase day is unknown.
    """
    return np.asarray(row["first_channel_share"])
