"""Did the lot do what its propensities say? Where it did not, nothing can be learnt from it."""

from __future__ import annotations

import numpy as np
import pandas as pd

__all__ = ["MOST_STANDARD_ERRORS", "lot_gap", "lots_that_fit"]

MOST_STANDARD_ERRORS = 4.0


def lots_that_fit(contacts: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """The contacts of lots that fit their propensities, and how many were left out.

    `contacts` has lot, offer_id and propensity.
    """
    gaps = contacts.groupby("lot")[["offer_id", "propensity"]].apply(_widest_gap)
    fitting = gaps.index[gaps <= MOST_STANDARD_ERRORS] if len(contacts) else gaps.index
    kept = contacts[contacts["lot"].isin(fitting)]
    return kept, len(contacts) - len(kept)


def lot_gap(propensity: np.ndarray, rows: int) -> float:
    """Standard errors between the sum of 1 / propensity over who got an arm and all rows.

    Were every row given that arm with its propensity, each 1 / propensity would stand for as many
    rows, and the sum for all of them (Horvitz and Thompson 1952).

    >>> lot_gap(np.full(50, 0.5), rows=100)
    0.0
    """
    spread = np.sqrt(np.sum((1 - propensity) / propensity**2))
    return float(abs(np.sum(1 / propensity) - rows) / spread)


def _widest_gap(lot: pd.DataFrame) -> float:
    arms = lot.groupby("offer_id")["propensity"]
    return max(lot_gap(arm.to_numpy(), len(lot)) for _, arm in arms)
