"""Labels: purchases in the horizon, and renewals of subscriptions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial

import narwhals as nw
import numpy as np
import pyarrow as pa

from churn.data.cutoffs import Cutoffs
from churn.data.days import day_number, midnight
from churn.data.engines.base import Frame
from churn.data.history.blocks import Block
from churn.data.history.columns import arrow_mask, arrow_numbers
from churn.data.history.past import KEYS, Moment, Past, customer_blocks, moments
from churn.data.tables import Tables
from churn.data.terms import terms


def outcomes(
    tables: Tables,
    cutoffs: Cutoffs,
    *,
    fence: float | None = None,
    customers: Sequence[str] | None = None,
) -> Frame:
    """customer_id, cutoff, horizon_orders (amount > 0), horizon_net_spend; customers who neither
    bought nor returned anything in the window have no row. With a `fence` also
    horizon_fenced_spend, in which each order is capped at the fence, and each return at minus the
    fence. `customers` limits the rows.

    The window is [c + lead, c + lead + horizon), in the version of each order last loaded
    before the panel's `until`.
    """
    days = [day_number(cutoff) for cutoff in cutoffs]
    orders = _settled(tables, cutoffs)
    if customers is not None:
        wanted = tables.engine.values({"customer_id": customers})
        orders = orders.join(wanted, on="customer_id", how="semi")
    joined = orders.join(tables.engine.values({"cutoff": days}), how="cross")
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


def first_returns(
    tables: Tables, cutoffs: Cutoffs, *, customers: Sequence[str] | None = None
) -> Frame:
    """customer_id, cutoff, return_day: the days from c + lead to the first purchase in the label
    window; those who did not buy in it have no row. Orders are used as in `outcomes`.
    """
    days = [day_number(cutoff) for cutoff in cutoffs]
    orders = _settled(tables, cutoffs).filter(nw.col("amount") > 0)
    if customers is not None:
        wanted = tables.engine.values({"customer_id": customers})
        orders = orders.join(wanted, on="customer_id", how="semi")
    joined = orders.join(tables.engine.values({"cutoff": days}), how="cross")
    opens = nw.col("cutoff") + cutoffs.lead_days
    inside = (nw.col("local_day") >= opens) & (nw.col("local_day") < opens + cutoffs.horizon_days)
    found = joined.filter(inside).group_by("customer_id", "cutoff").agg(nw.col("local_day").min())
    day = nw.col("local_day") - nw.col("cutoff") - cutoffs.lead_days
    return found.select("customer_id", "cutoff", return_day=day)


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


def renewals(tables: Tables, cutoffs: Cutoffs) -> Frame:
    """customer_id, cutoff, renewed, begun (1 or 0) for everyone who ever subscribed.

    `renewed`: a term begins at most `grace_days` after the last expiry known at the cutoff, and
    expires after it. `begun`: a term begins in [c + lead, c + lead + horizon).
    Terms are used as last loaded before the panel's `until`.
    """
    begins, expires = nw.col("local_day"), nw.col("expires_local_day")
    cutoff, last = nw.col("cutoff"), nw.col("last_expiry")
    in_time = (begins <= last + cutoffs.grace_days) & (expires > last)
    inside = (begins >= cutoff + cutoffs.lead_days) & (begins < cutoff + cutoffs.reach_days)
    return (
        _settled_terms(tables, cutoffs)
        .join(tables.engine.values({"cutoff": _numbers(cutoffs)}), how="cross")
        .join(_last_expiries(tables, cutoffs), on=list(KEYS), how="left")
        .group_by(*KEYS)
        .agg(renewed=_any(in_time), begun=_any(inside))
    )


def _any(test: nw.Expr) -> nw.Expr:
    return nw.when(test).then(nw.lit(1)).otherwise(nw.lit(0)).max()


def _numbers(cutoffs: Cutoffs) -> list[int]:
    return [day_number(cutoff) for cutoff in cutoffs]


def _settled_terms(tables: Tables, cutoffs: Cutoffs) -> Frame:
    """Every term in its version as of `until`."""
    subscriptions = tables.frame("subscriptions")
    if "loaded_day" in tables.columns("subscriptions"):
        until = midnight(cutoffs.until, tables.settings.day_timezone)
        subscriptions = subscriptions.filter(nw.col("loaded_day") < until)
    return terms(subscriptions, KEYS[:1])


def _last_expiries(tables: Tables, cutoffs: Cutoffs) -> Frame:
    """customer_id, cutoff, last_expiry (a day number) of everyone who had subscribed."""
    at = moments(tables, cutoffs)
    blocks = customer_blocks(tables, ("orders", "terms"))
    return blocks.stored(partial(_expiries, at), LAST_EXPIRIES, tables.new_name("expiries"))


LAST_EXPIRIES = pa.schema(
    [("customer_id", pa.string()), ("cutoff", pa.int64()), ("last_expiry", pa.float64())]
)


def _expiries(cutoffs: Sequence[Moment], blocks: Iterable[Block]) -> Iterator[pa.RecordBatch]:
    for block in blocks:
        for moment in cutoffs:
            terms = Past(block, moment).terms
            ids = block.customer_ids.filter(arrow_mask(terms.has_rows))
            columns = (np.full(len(ids), moment.day), terms.last_expiry[terms.has_rows])
            yield pa.record_batch([ids, *map(arrow_numbers, columns)], schema=LAST_EXPIRIES)
