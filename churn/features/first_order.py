"""How customers started: their first purchase day compared with later ones."""

import narwhals as nw

from churn.features.catalogue import feature, sums
from churn.features.clock import FeatureClock
from churn.features.expressions import ratio

DISCOUNT = ("orders.discount",)


def _on_first_day(value: nw.Expr) -> nw.Expr:
    first = nw.col("is_purchase") & nw.col("gap_days").is_null()
    return nw.when(first).then(value).otherwise(nw.lit(0.0))


sums(
    first_spend=lambda _: _on_first_day(nw.col("spend")).sum(),
    second_day_age=lambda _: nw.when(nw.col("gap_days") > 0).then(nw.col("age_days")).max(),
)
sums(needs=DISCOUNT, first_discount=lambda _: _on_first_day(nw.col("discount")).sum())


@feature(family="first_order", unit="ratio", over="row")
def first_basket_over_average(_: FeatureClock) -> nw.Expr:
    """Purchases of the first purchase day divided by those of the average purchase day."""
    return ratio(nw.col("first_spend") * nw.col("purchase_days"), nw.col("spend_total"))


@feature(family="first_order", unit="days", over="row")
def first_gap_days(_: FeatureClock) -> nw.Expr:
    """Whole days from the first purchase day to the second; null without a second one."""
    return nw.col("tenure_days") - nw.col("second_day_age")


@feature(family="first_order", unit="share", over="row", needs=DISCOUNT, controlled=True)
def first_discount_share(_: FeatureClock) -> nw.Expr:
    """Discounts of the first purchase day divided by its full price."""
    discount = nw.col("first_discount")
    return ratio(discount, nw.col("first_spend") + discount)


@feature(family="first_order", unit="share", over="row", needs=("orders.channel",))
def first_channel_share(_: FeatureClock) -> nw.Expr:
    """Share of all customers who started in the same channel: a common start or a rare one; null if
    the channel of the first purchase day is unknown.
    """
    return nw.col("first_channel_share")
