"""Discount reliance: who buys at full price and who waits for a discount."""

import narwhals as nw

from churn.features.catalogue import feature, sums
from churn.features.clock import FeatureClock
from churn.features.expressions import ratio, within

NEEDS = ("orders.discount",)
RECENT_DAYS = 90

sums(
    needs=NEEDS,
    discount_total=lambda _: nw.col("discount").sum(),
    discount_90d=lambda _: within(RECENT_DAYS, nw.col("discount"), 0.0).sum(),
    spend_90d=lambda _: within(RECENT_DAYS, nw.col("spend"), 0.0).sum(),
    discounted_orders_total=lambda _: nw.col("discounted_orders").sum(),
)


@feature(
    family="discount",
    unit="share",
    over="row",
    needs=NEEDS,
    controlled=True,
)
def discount_share(_: FeatureClock) -> nw.Expr:
    """Discounts divided by the full price of all purchases."""
    return _share(nw.col("discount_total"), nw.col("spend_total"))


@feature(family="discount", unit="share", over="row", needs=NEEDS, controlled=True)
def discount_share_90d(_: FeatureClock) -> nw.Expr:
    """Discounts divided by the full price of the last 90 days' purchases; null without any."""
    return _share(nw.col("discount_90d"), nw.col("spend_90d"))


@feature(family="discount", unit="share", over="row", needs=NEEDS, controlled=True)
def discount_share_change(_: FeatureClock) -> nw.Expr:
    """Discount share of the last 90 days minus that of all time: above 0, reliance has grown."""
    return nw.col("discount_share_90d") - nw.col("discount_share")


@feature(family="discount", unit="share", over="row", needs=NEEDS, controlled=True)
def discounted_order_share(_: FeatureClock) -> nw.Expr:
    """Orders with a discount divided by all orders; null without an order."""
    return ratio(nw.col("discounted_orders_total"), nw.col("orders_count"))


@feature(family="discount", unit="orders", over="row", needs=NEEDS, controlled=True)
def full_price_orders(_: FeatureClock) -> nw.Expr:
    """Orders without a discount."""
    return nw.col("orders_count") - nw.col("discounted_orders_total")


@feature(family="discount", unit="days", over="days", needs=NEEDS, controlled=True)
def last_discounted_purchase_days(_: FeatureClock) -> nw.Expr:
    """Whole days from the last purchase with a discount to the cutoff; null if there was none."""
    return nw.when(nw.col("discounted_orders") > 0).then(nw.col("age_days")).min()


def _share(discount: nw.Expr, paid: nw.Expr) -> nw.Expr:
    return ratio(discount, paid + discount)
