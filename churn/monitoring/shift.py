"""Shift of features and scores between two nights, without labels.

The measure is A = P(new > old) + ½ P(new = old), the area under the ROC curve that separates the
two nights by one column: .5 if nothing moved, whatever the unit (Vargha and Delaney 2000). Its
interval is DeLong's (1988), at a level that holds for all columns together (Bonferroni).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.stats import norm

from churn.arrays import Floats

State = Literal["ok", "alarm", "too few", "exempt"]

LEAST_ROWS = 1_000
"""Known values of each night, below which a column is not tested."""
MARGIN = 0.01
"""A shift of A by less is of no consequence."""
FAMILY_ERROR = 0.01
"""At most this share of runs raises an alarm if nothing moved."""


@dataclass(frozen=True)
class Shift:
    """The shift of one column: A with its simultaneous interval, and the known values of each
    night. `low` and `high` are NaN if there are too few.
    """

    name: str
    larger: float
    low: float
    high: float
    new_rows: int
    old_rows: int
    state: State

    @property
    def beyond(self) -> float:
        """By how much the interval lies outside .5 ± .01; 0 if it does not."""
        return max(self.low - (0.5 + MARGIN), (0.5 - MARGIN) - self.high, 0.0)


def probability_larger(new: Floats, old: Floats) -> tuple[float, float]:
    """A and its standard error (DeLong 1988) for two independent samples without NaN.

    The same customers on both nights make it conservative, because their values agree more than
    those of strangers do.

    >>> probability_larger(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 3.0]))[0]
    0.5
    """
    among_old, among_new = np.sort(old), np.sort(new)
    of_new = _placements(among_new, among_old)  # values in order are found six times faster
    of_old = 1 - _placements(among_old, among_new)
    variance = of_new.var(ddof=1) / len(new) + of_old.var(ddof=1) / len(old)
    return float(of_new.mean()), float(np.sqrt(variance))


def _placements(values: Floats, among: Floats) -> Floats:
    """The share of the other sample below each value; ties count half."""
    below = np.searchsorted(among, values, side="left")
    upto = np.searchsorted(among, values, side="right")
    return np.asarray((below + upto) / (2 * len(among)))


def shifts(
    new: Mapping[str, Floats], old: Mapping[str, Floats], *, exempt: frozenset[str] = frozenset()
) -> tuple[Shift, ...]:
    """The shift of every column that both nights have, in the order of `new`.

    `exempt` columns, such as those that the shop itself decides, are measured and never raise an
    alarm. The interval of each column has the level 1 - .01 / k for k tested columns, so that in at
    most one of a hundred runs any of them raises an alarm by chance.
    """
    names = [name for name in new if name in old]
    known = {name: (_known(new[name]), _known(old[name])) for name in names}
    tested = [name for name in names if min(map(len, known[name])) >= LEAST_ROWS]
    width = float(norm.ppf(1 - FAMILY_ERROR / (2 * max(len(tested), 1))))
    return tuple(_shift(name, *known[name], width, exempt=name in exempt) for name in names)


def _known(values: Floats) -> Floats:
    return values[~np.isnan(values)]


def _shift(name: str, new: Floats, old: Floats, width: float, *, exempt: bool) -> Shift:
    if min(len(new), len(old)) < LEAST_ROWS:
        return Shift(name, np.nan, np.nan, np.nan, len(new), len(old), "too few")
    larger, error = probability_larger(new, old)
    low, high = max(larger - width * error, 0.0), min(larger + width * error, 1.0)
    outside = low > 0.5 + MARGIN or high < 0.5 - MARGIN
    state: State = "exempt" if exempt else "alarm" if outside else "ok"
    return Shift(name, larger, low, high, len(new), len(old), state)
