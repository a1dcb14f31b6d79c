"""How long customers take to come back: the Kaplan-Meier curve of the repurchase gap.

Counting only the gaps that ended drops those who never came back, and counting every gap alike
lets heavy buyers speak for all. So the gap that the end of the data cut short stays in as
censored, and each customer has one vote.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from churn.errors import ConfigError, DataError

__all__ = ["quantile_of_votes", "repurchase_gap_quantile"]

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
