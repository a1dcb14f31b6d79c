"""How long a shop's customers take to come back, from its tables: the engine weighs and counts the
gaps, so that only the distinct ones leave it.
"""

from __future__ import annotations

from datetime import date

import narwhals as nw

from churn.data.engines.base import Frame
from churn.data.gaps import quantile_of_votes
from churn.data.history import customer_key, history
from churn.data.tables import Tables

__all__ = ["repurchase_gap_days"]


def repurchase_gap_days(tables: Tables, before: date, *, q: float) -> float:
    """The `q` quantile of the gap between purchase days, from what precedes that date.

    See `repurchase_gap_quantile`; inf also where nobody bought.
    """
    gaps = tables.engine.collect(_weighed_gaps(history(tables, [before]).days))
    days, votes = (gaps[name].to_numpy() for name in ("days", "votes"))
    return quantile_of_votes(days, gaps["ended"].to_numpy() == 1, votes, q)


def _weighed_gaps(days: Frame) -> Frame:
    """days, ended (0: by the cutoff), votes: each gap's share of its customer's one vote."""
    key = customer_key(days)
    purchases = days.filter(nw.col("is_purchase"))
    customers = purchases.group_by(key).agg(days=nw.col("age_days").min(), gaps=nw.len())
    customers = customers.with_columns(vote=1.0 / nw.col("gaps"))
    closed = purchases.filter(~nw.col("gap_days").is_null()).select(key, "gap_days")
    closed = closed.join(customers.select(key, "vote"), on=key, how="inner")
    return nw.concat(
        [
            _counted(closed.with_columns(days=nw.col("gap_days")), ended=1),
            _counted(customers, ended=0),
        ]
    )


def _counted(gaps: Frame, *, ended: int) -> Frame:
    counted = gaps.group_by("days").agg(votes=nw.col("vote").sum())
    return counted.select(nw.col("days").cast(nw.Float64), nw.lit(ended).alias("ended"), "votes")
