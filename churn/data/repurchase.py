"""Repurchase gaps of a shop: weighted for censoring, and the quantile that defines a lapse."""

from __future__ import annotations

from datetime import date

import narwhals as nw
import numpy as np
from numpy.typing import ArrayLike, NDArray

from churn.data.engines.base import Frame
from churn.data.history import customer_key, history
from churn.data.tables import Tables
from churn.errors import ConfigError, DataError

Floats = NDArray[np.float64]

_ROUNDING = 1e-9  # slack when the curve is compared with q


def repurchase_gap_quantile(
    gap_days: ArrayLike, is_event: ArrayLike, customer_code: ArrayLike, q: float = 0.8
) -> float:
    """Days within which a share `q` of the repurchases happens; inf where the curve stays below.

    One row a gap: `is_event` where a purchase ended it, not where the data did (the gap from a
    customer's last purchase to the end). A customer's gaps share a weight of 1. Source: Kaplan and
    Meier (1958), with weights. Raises `ConfigError` for a bad `q`, `DataError` for bad gaps.

    >>> gap_days = [7, 7, 30, 10, 50]  # the first customer came back twice, the second once
    >>> repurchase_gap_quantile(gap_days, [1, 1, 0, 1, 0], [1, 1, 1, 2, 2], q=0.5)
    10.0
    >>> repurchase_gap_quantile(gap_days, [1, 1, 0, 1, 0], [1, 1, 1, 2, 2], q=0.8)
    inf
    """
    if not 0 < q < 1:
        raise ConfigError("q must lie between 0 and 1", got=q, fix="Pass e.g. 0.8.")
    days, ended = np.asarray(gap_days, dtype=np.float64), np.asarray(is_event, dtype=bool)
    customer = np.asarray(customer_code)
    _check_gaps(days, ended, customer)
    return quantile_of_votes(days, ended, _votes(customer), q)


def quantile_of_votes(
    gap_days: Floats, is_event: NDArray[np.bool_], votes: Floats, q: float
) -> float:
    """The same of gaps that are already weighed, each as often as it may be: the least gap by
    which a share `q` has come back, or inf.
    """
    at_days, returned = _share_returned(gap_days, is_event, votes)
    reached = at_days[returned >= q - _ROUNDING]
    return float(reached[0]) if reached.size else float("inf")


def _votes(customer_code: NDArray[np.generic]) -> Floats:
    """One over the number of the customer's gaps, for each gap."""
    _, customer, gaps = np.unique(customer_code, return_inverse=True, return_counts=True)
    return np.asarray(1.0 / gaps[customer], dtype=np.float64)


def _share_returned(days: Floats, ended: NDArray[np.bool_], votes: Floats) -> tuple[Floats, Floats]:
    """The distinct gaps, ascending, and the share that has come back after each.

    Somebody censored at a gap still counts as waiting there.
    """
    at_days, step = np.unique(days, return_inverse=True)
    leaving = np.bincount(step, weights=votes)
    returning = np.bincount(step, weights=votes * ended)
    waiting = np.cumsum(leaving[::-1])[::-1]
    return at_days, np.asarray(1.0 - np.cumprod(1.0 - returning / waiting), dtype=np.float64)


def _check_gaps(days: Floats, ended: NDArray[np.bool_], customer_code: NDArray[np.generic]) -> None:
    """`DataError` unless the three are of one length and every gap is finite and not negative."""
    if not days.shape == ended.shape == customer_code.shape or days.ndim != 1:
        raise DataError(
            "gap_days, is_event and customer_code must be of one length",
            got=[days.shape, ended.shape, customer_code.shape],
            fix="Pass three columns of one table, a row a gap.",
        )
    bad = ~(np.isfinite(days) & (days >= 0))
    if bad.any():
        raise DataError(
            "gap_days must be finite and >= 0",
            got=f"{np.count_nonzero(bad)} of {bad.size} that are not",
            fix="Measure each gap from the earlier purchase to the next, or to the end of data.",
        )


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
