"""The balance of customers: who was active at the start of a period, and what became of them.

    activity = Activity(past, bounds, active_days)      # purchases of a block at some dates
    balance = activity.balance(0, 1)                     # from the first date to the second
    balance.kept, balance.lost, ...                      # one true or false per customer

S = kept + lost and E = kept + new + won back, to the customer. `Balance.states` names what each
customer is, for migrations and lists.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from churn.arrays import Bools, Ints
from churn.data.history.past import Past

NEVER = np.iinfo(np.int32).min // 2
"""The day of the last purchase of those who had bought nothing."""


STATES = ("kept", "lost", "new", "won_back", "inactive")


def slots(dates: Ints, days: Ints) -> Ints:
    """How many of the ascending dates are at or before each day."""
    if not len(days):
        return np.zeros(0, dtype=np.int64)
    least, most = int(days.min()), int(days.max())
    table = np.searchsorted(dates, np.arange(least, most + 1), side="right")
    return np.asarray(table[days - least])


class Activity:
    """The purchase days of a block's customers at dates (day numbers, ascending).

    `customer` and `day` are the purchase days, oldest first within a customer; a purchase is an
    order with an amount above zero. Matrices of shape (customers, dates) lie in memory date by date
    and are computed when they are first used.
    """

    def __init__(self, past: Past, dates: Sequence[int], active_days: int) -> None:
        self.dates = np.asarray(dates, dtype=np.int64)
        self.active_days = active_days
        self.customers = len(past)
        bought = past.days.bought
        self.customer: Ints = past.days.customer[bought]
        self.day: Ints = past.days.local_day[bought]

    @cached_property
    def first_row(self) -> Ints:
        """The place among the purchase days of each customer's first, shape (customers,)."""
        counts = np.bincount(self.customer, minlength=self.customers)
        return np.cumsum(counts) - counts

    @cached_property
    def before(self) -> Ints:
        """The purchase days before each date."""
        return self._days_before(self.dates)

    @cached_property
    def within(self) -> Ints:
        """The purchase days in the last `active_days` before each date."""
        return self.before - self._days_before(self.dates - self.active_days)

    @cached_property
    def last_day(self) -> Ints:
        """The day of the last purchase before each date, `NEVER` without one."""
        row = self.first_row[:, None] + self.before - 1
        found = np.full(row.shape, NEVER, dtype=np.int64)
        there = self.before > 0
        found[there] = self.day[row[there]]
        return found

    @cached_property
    def active_matrix(self) -> Bools:
        """Who had bought in the last `active_days` before each date."""
        return np.asarray(self.within > 0)

    def _days_before(self, dates: Ints) -> Ints:
        key = slots(dates, self.day) * self.customers + self.customer
        shape = (len(dates) + 1, self.customers)
        counts = np.bincount(key, minlength=shape[0] * shape[1]).reshape(shape)[:-1]
        before: Any = np.cumsum(counts, axis=0, dtype=np.int32)
        return np.asarray(before.T)

    def ever(self, date: int) -> Bools:
        """Who had bought before the date at that place."""
        return np.asarray(self.before[:, date] > 0)

    def active(self, date: int) -> Bools:
        """The same before the date at that place."""
        return np.asarray(self.active_matrix[:, date])

    def balance(self, start: int, end: int) -> Balance:
        """The balance between the dates at two places."""
        return Balance(self.active(start), self.active(end), self.ever(start))

    @cached_property
    def balances(self) -> Balance:
        """The balances between all consecutive dates, shape (customers, dates - 1)."""
        active = self.active_matrix
        return Balance(active[:, :-1], active[:, 1:], self.before[:, :-1] > 0)


@dataclass(frozen=True)
class Balance:
    """Of each customer: active at the start, active at the end, and known before the start.

    The arrays may have a further dimension, of periods.
    """

    start: Bools
    end: Bools
    known: Bools

    @property
    def kept(self) -> Bools:
        """Active at the start and at the end."""
        return self.start & self.end

    @property
    def lost(self) -> Bools:
        """Active at the start, no longer at the end."""
        return self.start & ~self.end

    @property
    def arrived(self) -> Bools:
        """Active at the end, not at the start: new and won back."""
        return self.end & ~self.start

    @property
    def new(self) -> Bools:
        """Arrived, and had never bought before the start."""
        return self.arrived & ~self.known

    @property
    def won_back(self) -> Bools:
        """Arrived, and had bought before, but not in the last `active_days` before the start."""
        return self.arrived & self.known

    @property
    def states(self) -> Ints:
        """The place in `STATES` of each customer; who was active at neither date is inactive."""
        tests = [self.kept, self.lost, self.new, self.won_back]
        return np.select(tests, [0, 1, 2, 3], default=4)
