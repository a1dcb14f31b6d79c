"""How old the newest orders may be before a night's results cannot be trusted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from churn.data.calendar import OrderDays
from churn.data.days import date_of, day_number
from churn.data.settings import Auto

QUANTILE = 0.999
LEAST_WARN_DAYS = 1
LEAST_ERROR_DAYS = 3
"""With `auto`, a shop that sells daily gets a warning from two late days on, an error from four."""


@dataclass(frozen=True)
class Freshness:
    """The last day with an order, the whole days without one since, and what is tolerated."""

    last_day: date | None
    quiet_days: int
    warn_after_days: int
    error_after_days: int

    @property
    def is_stale(self) -> bool:
        """Whether the data are too old to be used."""
        return self.last_day is None or self.quiet_days > self.error_after_days

    @property
    def is_late(self) -> bool:
        """Whether the data are older than is usual."""
        return self.last_day is None or self.quiet_days > self.warn_after_days

    def sentence(self) -> str:
        """The finding in one line.

        >>> print(Freshness(date(2011, 11, 27), 3, 1, 3).sentence())
        Orders end on 2011-11-27, 3 days without an order since.
        """
        if self.last_day is None:
            return "There are no orders."
        if not self.quiet_days:
            return f"Orders end on {self.last_day}."
        days = "day" if self.quiet_days == 1 else "days"
        return f"Orders end on {self.last_day}, {self.quiet_days:,} {days} without an order since."


def freshness(
    days: OrderDays, as_of: date, *, warn_after_days: int | Auto, error_after_days: int | Auto
) -> Freshness:
    """The freshness at `as_of` (exclusive).

    `auto` is the 99.9 % quantile of the shop's own gaps, in days without an order, at least 1 for
    the warning and 3 for the error.
    """
    known = days.days[days.days < day_number(as_of)]
    usual = usual_gap_days(days, as_of)
    warn = max(usual, LEAST_WARN_DAYS) if warn_after_days == "auto" else warn_after_days
    error = max(usual, LEAST_ERROR_DAYS) if error_after_days == "auto" else error_after_days
    if not known.size:
        return Freshness(None, 0, warn, error)
    last = date_of(int(known[-1]))
    return Freshness(last, (as_of - timedelta(days=1) - last).days, warn, error)


def usual_gap_days(days: OrderDays, as_of: date) -> int:
    """The 99.9 % quantile of the days without an order between two days with one."""
    gaps = np.diff(days.only(days.days < day_number(as_of)).days) - 1
    return int(np.ceil(np.quantile(gaps, QUANTILE, method="higher"))) if gaps.size else 0
