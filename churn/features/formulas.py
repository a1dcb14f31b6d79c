"""Building blocks that formulas of many features share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

import numpy as np

from churn.arrays import Floats
from churn.data.history.days import Days
from churn.features.catalogue import Family, Formula

Row: TypeAlias = "dict[str, Any]"
"""The values of all customers by name: features and sums declared before, the population's."""


def decay(days: Days, half_life_days: float) -> Floats:
    """2 ^ (-age / half-life) of each row, by a table of all ages."""
    ages = np.arange(days.age_days.max(initial=0) + 1)
    return np.asarray(np.exp(ages * (-np.log(2.0) / half_life_days))[days.age_days])


def ratio(above: Any, below: Any) -> Floats:
    """The quotient; NaN unless the divisor is positive.

    >>> ratio(np.array([1.0, 1.0]), np.array([4.0, -1.0]))
    array([0.25,  nan])
    """
    return np.where(below > 0, above / below, np.nan)


def floored(amount: Any) -> Floats:
    """The amount, at least 0; 0 for NaN."""
    return np.where(amount > 0, amount, 0.0)


def event_count(kind: str, days: float | None = None) -> Formula:
    """The number of events of a kind, in the last `days` days or ever."""
    return lambda events, _: events.count(events.of(kind, days))


def event_amount(kind: str, days: float | None = None) -> Formula:
    """The total amount of events of a kind, in the last `days` days or ever."""
    return lambda events, _: events.total(events.amount, events.of(kind, days))


def last_event_days(kind: str) -> Formula:
    """Whole days from the last event of a kind to the cutoff; NaN if there was none."""
    return lambda events, _: events.least(events.age_days, events.of(kind))


def event_counts(prefix: str, what: str, kind: str, windows: Iterable[int]) -> list[Family]:
    """One count feature per window: `<prefix>_<days>d`."""
    return [
        (f"{prefix}_{days}d", f"{what} in the last {days} days.", event_count(kind, days))
        for days in windows
    ]
