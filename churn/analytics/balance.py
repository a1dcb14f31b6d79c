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

import numpy as np

from churn.arrays import Bools, Ints
from churn.data.history.past import Past

NEVER = np.iinfo(np.int32).min // 2
"""The day of the last purchase of those who had bought nothing."""

STATES = ("kept", "lost", "new", "won_back", "inactive")


class Activity:
    """The purchase days of a block's customers at dates (day numbers, ascending).

    `before`: the purchase days before each date, shape (customers, dates). `last_day`: the last of
    them, `NEVER` without one. A purchase is an order with an amount above zero.
    """

    def __init__(self, past: Past, dates: Sequence[int], active_days: int) -> None:
        self.dates = np.asarray(dates, dtype=np.int64)
        self.active_days = active_days
        bought = past.days.bought
        self.customer: Ints = past.days.customer[bought]
        self.day: Ints = past.days.local_day[bought]
        customers, width = len(past), len(self.dates) + 1
        slot = np.searchsorted(self.dates, self.day, side="right")
        counts = np.bincount(self.customer * width + slot, minlength=customers * width)
        counts = counts.reshape(customers, width).astype(np.int32)
        self.before: Ints = np.cumsum(counts[:, :-1], axis=1, dtype=np.int32)
        self.first_row: Ints = np.cumsum(counts.sum(axis=1)) - counts.sum(axis=1)
        self.last_day: Ints = self.nth_last_day(1)

    def nth_last_day(self, place: int) -> Ints:
        """The day of the last (1), last but one (2) … purchase day before each date, `NEVER`
        without one, shape (customers, dates).
        """
        row = self.first_row[:, None] + self.before - place
        found = np.full(row.shape, NEVER, dtype=np.int64)
        there = self.before >= place
        found[there] = self.day[row[there]]
        return found

    def ever(self, date: int) -> Bools:
        """Who had bought before the date at that place."""
        return np.asarray(self.before[:, date] > 0)

    @cached_property
    def active_matrix(self) -> Bools:
        """Who had bought in the last `active_days` before each date, shape (customers, dates)."""
        return np.asarray(self.last_day >= self.dates - self.active_days)

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
