"""Orders with one row per customer and day, and columns that only look backward."""

from collections.abc import Sequence

import narwhals as nw

from churn.data.engines.base import Frame


def order_days(orders: Frame, keys: Sequence[str]) -> Frame:
    """`keys`, local_day, orders (with amount > 0), spend, returned, net, is_purchase, gap_days
    (since the previous purchase day, null for the first), spend_change (since that day; on the
    first day the spend itself, so that all changes add up to the last spend).

    If orders arrive sorted, `sweep_days` computes the same, and a customer_number.

    If orders have them: discount and discounted_orders (of purchases), channel (of purchases; the
    first by name).
    """
    return _backward(_daily(orders, (*keys, "local_day")), keys)


def _daily(orders: Frame, keys: Sequence[str]) -> Frame:
    amount = nw.col("amount")
    positive = nw.when(amount > 0)
    sums = {
        "orders": positive.then(1).otherwise(0).sum(),
        "spend": positive.then(amount).otherwise(0.0).sum(),
        "returned": nw.when(amount < 0).then(-amount).otherwise(0.0).sum(),
    }
    columns = orders.collect_schema().names()
    if "discount" in columns:
        given = nw.col("discount").fill_null(0.0)
        discounted = (amount > 0) & (given > 0)
        sums["discount"] = nw.when(discounted).then(given).otherwise(0.0).sum()
        sums["discounted_orders"] = nw.when(discounted).then(1).otherwise(0).sum()
    if "channel" in columns:
        sums["channel"] = positive.then(nw.col("channel")).min()
    return (
        orders.group_by(*keys)
        .agg(**sums)
        .with_columns(net=nw.col("spend") - nw.col("returned"), is_purchase=nw.col("orders") > 0)
    )


def _backward(daily: Frame, keys: Sequence[str]) -> Frame:
    within = (*keys, "is_purchase")
    purchase = nw.when(nw.col("is_purchase"))
    day_before = nw.col("local_day").shift(1).over(*within, order_by="local_day")
    spend_before = nw.col("spend").shift(1).over(*within, order_by="local_day")
    change = nw.col("spend") - spend_before.fill_null(0.0)
    return daily.with_columns(
        gap_days=purchase.then(nw.col("local_day") - day_before),
        spend_change=purchase.then(change).otherwise(0.0),
    )
