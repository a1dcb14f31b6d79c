"""Repurchase gaps of a shop: weighted, censored, and the quantile that defines a lapse."""

from __future__ import annotations

from datetime import date

import narwhals as nw
import numpy as np
from numpy.typing import NDArray

from churn.arrays import Floats
from churn.data.engines.base import Frame
from churn.data.history import customer_key, history
from churn.data.tables import Tables

_ROUNDING = 1e-9  # slack when the curve is compared with q


def quantile_of_votes(
    gap_days: Floats, is_event: NDArray[np.bool_], votes: Floats, q: float
) -> float:
    """The days within which a share `q` of repurchases happens; inf if the curve stays below `q`.

    One row per gap: `is_event` if a purchase ended it rather than the end of the data (the gap from
    a customer's last purchase). The votes of a customer's gaps add up to 1. Source: Kaplan
    and Meier (1958), with weights.
    """
    at_days, returned = _share_returned(gap_days, is_event, votes)
    reached = at_days[returned >= q - _ROUNDING]
    return float(reached[0]) if reached.size else float("inf")


def _share_returned(days: Floats, ended: NDArray[np.bool_], votes: Floats) -> tuple[Floats, Floats]:
    """The distinct gaps, ascending, and the share that has returned after each.

    A customer censored at a gap still counts as waiting there.
    """
    at_days, step = np.unique(days, return_inverse=True)
    leaving = np.bincount(step, weights=votes)
    returning = np.bincount(step, weights=votes * ended)
    waiting = np.cumsum(leaving[::-1])[::-1]
    return at_days, np.asarray(1.0 - np.cumprod(1.0 - returning / waiting), dtype=np.float64)


def repurchase_gap_days(tables: Tables, before: date, *, q: float) -> float:
    """The `q` quantile of the gap between purchase days, from the data before that date.

    See `quantile_of_votes`; inf also if there are no purchases.
    """
    gaps = tables.engine.collect(_weighed_gaps(history(tables, [before]).days))
    days, votes = (gaps[name].to_numpy() for name in ("days", "votes"))
    return quantile_of_votes(days, gaps["ended"].to_numpy() == 1, votes, q)


def _weighed_gaps(days: Frame) -> Frame:
    """days, ended (0: by the cutoff), votes: each gap's share of its customer's single vote."""
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
