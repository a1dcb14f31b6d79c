"""Discount reliance: who buys at full price and who waits for a discount."""

import numpy as np

from churn.arrays import Floats
from churn.data.history.days import Days
from churn.features.catalogue import feature, sums
from churn.features.clock import FeatureClock
from churn.features.formulas import Row, ratio

NEEDS = ("orders.discount",)
RECENT_DAYS = 90

sums(
    needs=NEEDS,
    discount_total=lambda days, _: days.total(days.discount),
    discount_90d=lambda days, _: days.total(days.discount, days.within(RECENT_DAYS)),
    spend_90d=lambda days, _: days.total(days.spend, days.within(RECENT_DAYS)),
    discounted_orders_total=lambda days, _: days.total(days.discounted_orders),
)


@feature(family="discount", unit="share", over="row", needs=NEEDS, controlled=True)
def discount_share(row: Row, _: FeatureClock) -> Floats:
    """Discounts divided by the full price of all purchases."""
    return _share(row["discount_total"], row["spend_total"])


@feature(family="discount", unit="share", over="row", needs=NEEDS, controlled=True)
def discount_share_90d(row: Row, _: FeatureClock) -> Floats:
    """Discounts divided by the full price of the last 90 days' purchases; null without any."""
    return _share(row["discount_90d"], row["spend_90d"])


@feature(family="discount", unit="share", over="row", needs=NEEDS, controlled=True)
def discount_share_change(row: Row, _: FeatureClock) -> Floats:
    """Discount share of the last 90 days minus that of all time: above 0, reliance has grown."""
    return np.asarray(row["discount_share_90d"] - row["discount_share"])


@feature(family="discount", unit="share", over="row", needs=NEEDS, controlled=True)
def discounted_order_share(row: Row, _: FeatureClock) -> Floats:
    """Orders with a discount divided by all orders; null without an order."""
    return ratio(row["discounted_orders_total"], row["orders_count"])


@feature(family="discount", unit="orders", over="row", needs=NEEDS, controlled=True)
def full_price_orders(row: Row, _: FeatureClock) -> Floats:
    """Orders without a discount."""
    return np.asarray(row["orders_count"] - row["discounted_orders_total"])


@feature(family="discount", unit="days", over="days", needs=NEEDS, controlled=True)
def last_discounted_purchase_days(days: Days, _: FeatureClock) -> Floats:
    """Whole days from the last purchase with a discount to the cutoff; null if there was none."""
    return days.least(days.age_days, days.discounted_orders > 0)


def _share(discount: Floats, paid: Floats) -> Floats:
    return ratio(discount, paid + discount)
