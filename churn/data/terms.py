"""Subscriptions with one row per term: when it began, when it expires, whether it was cancelled.

A term without an end runs until it is cancelled: its expiry is `OPEN_DAY` until then.
"""

from collections.abc import Sequence

import narwhals as nw

from churn.data.engines.base import Frame
from churn.data.open_ends import OPEN_DAY
from churn.data.tables import Tables


def share_renewed(tables: Tables) -> float | None:
    """The share of subscribers who began more than one term; None if nobody subscribed."""
    begun = "SELECT customer_id, count(DISTINCT day) AS n FROM subscriptions GROUP BY customer_id"
    counted = "SELECT count(*) AS customers, count(CASE WHEN n > 1 THEN 1 END) AS renewed"
    (row,) = tables.engine.rows(f"{counted} FROM ({begun}) AS begun")
    customers, renewed = (int(str(row[name])) for name in ("customers", "renewed"))
    return renewed / customers if customers else None


def terms(subscriptions: Frame, keys: Sequence[str]) -> Frame:
    """`keys`, local_day (of the start), expires_local_day, cancelled_local_day; of several versions
    of a term, which start at the same moment, the one that arrived last.
    """
    columns = subscriptions.collect_schema().names()
    if "loaded_day" in columns:
        newest = nw.col("loaded_day").max().over(*keys, "day")
        subscriptions = subscriptions.with_columns(newest=newest)
        subscriptions = subscriptions.filter(nw.col("loaded_day") == nw.col("newest"))
    never = nw.lit(None, nw.Int64)
    cancelled = nw.col("cancelled_local_day") if "cancelled_local_day" in columns else never
    expires = nw.col("expires_local_day")
    return subscriptions.select(
        *keys,
        "local_day",
        expires_local_day=nw.when(expires < OPEN_DAY).then(expires).otherwise(nw.lit(OPEN_DAY)),
        cancelled_local_day=cancelled,
    )
