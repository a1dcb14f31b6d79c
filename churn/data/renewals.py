"""What came next of subscriptions: renewed in time, begun anew, or neither."""

import narwhals as nw

from churn.data.cutoffs import Cutoffs
from churn.data.days import day_number, midnight
from churn.data.engines.base import Frame
from churn.data.history import KEYS, history
from churn.data.tables import Tables
from churn.data.terms import terms

__all__ = ["renewals"]


def renewals(tables: Tables, cutoffs: Cutoffs) -> Frame:
    """customer_id, cutoff, renewed, begun (1 or 0) of everyone who ever subscribed.

    `renewed`: a term that begins at the latest `grace_days` after the last expiry known at the
    cutoff, and expires after it. `begun`: a term that begins in [c + lead, c + lead + horizon).
    Terms count as they were last loaded before the panel's `until`.
    """
    begins, expires = nw.col("local_day"), nw.col("expires_local_day")
    cutoff, last = nw.col("cutoff"), nw.col("last_expiry")
    in_time = (begins <= last + cutoffs.grace_days) & (expires > last)
    inside = (begins >= cutoff + cutoffs.lead_days) & (begins < cutoff + cutoffs.reach_days)
    return (
        _settled(tables, cutoffs)
        .join(tables.engine.values({"cutoff": _numbers(cutoffs)}), how="cross")
        .join(_last_expiries(tables, cutoffs), on=list(KEYS), how="left")
        .group_by(*KEYS)
        .agg(renewed=_any(in_time), begun=_any(inside))
    )


def _any(test: nw.Expr) -> nw.Expr:
    return nw.when(test).then(nw.lit(1)).otherwise(nw.lit(0)).max()


def _numbers(cutoffs: Cutoffs) -> list[int]:
    return [day_number(cutoff) for cutoff in cutoffs]


def _settled(tables: Tables, cutoffs: Cutoffs) -> Frame:
    """Every term in its version of `until`."""
    subscriptions = tables.frame("subscriptions")
    if "loaded_day" in tables.columns("subscriptions"):
        until = midnight(cutoffs.until, tables.settings.day_timezone)
        subscriptions = subscriptions.filter(nw.col("loaded_day") < until)
    return terms(subscriptions, KEYS[:1])


def _last_expiries(tables: Tables, cutoffs: Cutoffs) -> Frame:
    past = history(tables, list(cutoffs), grains=("days", "terms")).grain("terms")
    return past.group_by(*KEYS).agg(last_expiry=nw.col("expires_local_day").max())
