"""The past of every customer at every cutoff, and nothing else: the only thing features can reach.

`History.days` has a row per customer, cutoff and day with an order; `age_days` counts whole days
from that day to the cutoff and is at least 1, for the day of the cutoff itself is future.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import narwhals as nw

from churn.data.days import day_number, midnight
from churn.data.engine import Frame
from churn.data.tables import Tables

__all__ = ["KEYS", "History", "history"]

KEYS = ("customer_id", "cutoff")


@dataclass(frozen=True)
class History:
    """What had happened, and had arrived, before each cutoff.

    `customers`: customer_id, cutoff - everyone known by then.
    `days`: customer_id, cutoff, local_day, age_days, orders (with amount > 0), spend, returned,
    net, is_purchase, gap_days (to the purchase day before, null for the first),
    spend_to_date (purchases up to and with this day).
    """

    customers: Frame
    days: Frame


def history(tables: Tables, cutoffs: Sequence[date], *, undated: bool = False) -> History:
    """The history at those cutoffs; `undated` also counts customers whose sign-up has no date."""
    moments = _moments(tables, cutoffs)
    if "loaded_day" in tables.columns("orders"):
        days = _running(_daily(_arrived(tables, moments), (*KEYS, "local_day")), KEYS)
    else:
        once = _running(_daily(tables.frame("orders"), ("customer_id", "local_day")), KEYS[:1])
        days = tables.once("order_days", once).join(moments.select("cutoff"), how="cross")
        days = days.filter(nw.col("local_day") < nw.col("cutoff"))
    days = days.with_columns(age_days=nw.col("cutoff") - nw.col("local_day"))
    return History(_known(tables, moments, days, undated=undated), days)


def _moments(tables: Tables, cutoffs: Sequence[date]) -> Frame:
    """Each cutoff as a day number in the day time zone and as an instant."""
    zone = tables.settings.day_timezone
    return tables.engine.values(
        {
            "cutoff": [day_number(cutoff) for cutoff in cutoffs],
            "cutoff_day": [midnight(cutoff, zone) for cutoff in cutoffs],
        }
    )


def _arrived(tables: Tables, moments: Frame) -> Frame:
    """Orders joined to the cutoffs at which they had happened and this version was the newest."""
    joined = tables.frame("orders").join(moments, how="cross")
    happened = nw.col("local_day") < nw.col("cutoff")
    arrived = nw.col("loaded_day") < nw.col("cutoff_day")
    newest = nw.col("superseded_day").is_null() | (nw.col("superseded_day") >= nw.col("cutoff_day"))
    return joined.filter(happened & arrived & newest)


def _daily(orders: Frame, keys: Sequence[str]) -> Frame:
    amount = nw.col("amount")
    positive = nw.when(amount > 0)
    daily = orders.group_by(*keys).agg(
        orders=positive.then(1).otherwise(0).sum(),
        spend=positive.then(amount).otherwise(0.0).sum(),
        returned=nw.when(amount < 0).then(-amount).otherwise(0.0).sum(),
    )
    return daily.with_columns(
        net=nw.col("spend") - nw.col("returned"), is_purchase=nw.col("orders") > 0
    )


def _running(daily: Frame, keys: Sequence[str]) -> Frame:
    """Steps that only look backward: the gap to the purchase day before, the spend so far."""
    within = (*keys, "is_purchase")
    before = nw.col("local_day").shift(1).over(*within, order_by="local_day")
    gap = nw.when(nw.col("is_purchase")).then(nw.col("local_day") - before)
    so_far = nw.col("spend").cum_sum().over(*within, order_by="local_day")
    return daily.with_columns(gap_days=gap, spend_to_date=so_far)


def _known(tables: Tables, moments: Frame, days: Frame, *, undated: bool) -> Frame:
    """Everyone who had ordered, or had signed up, before the cutoff."""
    ordered = days.select(*KEYS).unique()
    if not tables.has("customers"):
        return ordered
    joined = tables.frame("customers").join(moments, how="cross")
    columns = tables.columns("customers")
    if "signed_up_day" in columns:
        known = (nw.col("signed_up_day") < nw.col("cutoff_day")).fill_null(undated)
    else:
        # a literal alone has no length, and no filter takes it
        known = nw.lit(undated) & ~nw.col("cutoff_day").is_null()
    if "loaded_day" in columns:
        known = known & (nw.col("loaded_day") < nw.col("cutoff_day"))
    return nw.concat([ordered, joined.filter(known).select(*KEYS)]).unique()
