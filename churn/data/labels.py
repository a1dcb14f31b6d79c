"""What came next: each customer's orders and net spend in the label window of each cutoff."""

import narwhals as nw

from churn.data.cutoffs import Cutoffs
from churn.data.days import day_number, midnight
from churn.data.engines.base import Frame
from churn.data.tables import Tables

__all__ = ["outcomes"]


def outcomes(tables: Tables, cutoffs: Cutoffs, *, fence: float | None = None) -> Frame:
    """customer_id, cutoff, horizon_orders (amount > 0), horizon_net_spend; who bought nothing
    and returned nothing in the window has no row. With a `fence` also horizon_fenced_spend, for
    which an order counts at most that much, and a return no less than minus that.

    The window is [c + lead, c + lead + horizon), in the version of each order last loaded
    before the panel's `until`.
    """
    days = [day_number(cutoff) for cutoff in cutoffs]
    joined = _settled(tables, cutoffs).join(tables.engine.values({"cutoff": days}), how="cross")
    opens = nw.col("cutoff") + cutoffs.lead_days
    closes = nw.col("cutoff") + cutoffs.reach_days
    sums = {
        "horizon_orders": nw.when(nw.col("amount") > 0).then(1).otherwise(0).sum(),
        "horizon_net_spend": nw.col("amount").sum(),
    }
    if fence is not None:
        sums["horizon_fenced_spend"] = _fenced(nw.col("amount"), fence).sum()
    inside = (nw.col("local_day") >= opens) & (nw.col("local_day") < closes)
    return joined.filter(inside).group_by("customer_id", "cutoff").agg(**sums)


def _fenced(amount: nw.Expr, fence: float) -> nw.Expr:
    low = nw.when(amount < -fence).then(nw.lit(-fence)).otherwise(amount)
    return nw.when(amount > fence).then(nw.lit(fence)).otherwise(low)


def _settled(tables: Tables, cutoffs: Cutoffs) -> Frame:
    orders = tables.frame("orders")
    columns = orders.collect_schema().names()
    if "loaded_day" not in columns:
        return orders
    until = midnight(cutoffs.until, tables.settings.day_timezone)
    arrived = orders.filter(nw.col("loaded_day") < until)
    if "superseded_day" not in columns:  # orders without ids have no versions
        return arrived
    return arrived.filter(nw.col("superseded_day").is_null() | (nw.col("superseded_day") >= until))
