"""The terms of subscriptions that had begun before a cutoff."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from churn.arrays import Bools, Floats
from churn.data.history.columns import Column
from churn.data.history.segments import Segments
from churn.data.open_ends import OPEN_DAY


class Terms(Segments):
    """One row per term that had begun, oldest first; of several versions of a term, which start at
    the same moment, the one that arrived last.

    Columns: `local_day` (of the start) and `age_days` as in `Days`, `days_to_expiry` (whole days,
    negative once expired; NaN if the customer's last term is open), `plan_days` (from start to
    expiry; NaN for an open term), `expires` (the day), `cancelled_days` (since the cancellation;
    NaN unless before the cutoff), `is_last` (no other term of the customer expires later). An open
    term that was cancelled before the cutoff expired on that day.
    """

    def __init__(self, columns: Mapping[str, Column], customers: int, cutoff: int) -> None:
        columns = _newest_versions(columns)
        super().__init__(columns["customer"], customers)
        self.local_day = columns["local_day"]
        self.age_days = cutoff - columns["local_day"]
        ago = cutoff - columns.get("cancelled_local_day", np.full(len(self), np.nan))
        self.cancelled_days: Floats = np.where(ago > 0, ago, np.nan)
        expires = np.minimum(columns["expires_local_day"], OPEN_DAY)
        self.expires: Floats = np.where(
            (expires >= OPEN_DAY) & (ago > 0), cutoff - self.cancelled_days, expires
        )
        self._amount = columns.get("amount")
        last = self.last_expiry[self.customer]
        self.is_last: Bools = self.expires == last
        self.days_to_expiry: Floats = np.where(last < OPEN_DAY, self.expires - cutoff, np.nan)
        self.plan_days: Floats = np.where(
            self.expires < OPEN_DAY, self.expires - self.local_day, np.nan
        )

    @property
    def last_expiry(self) -> Floats:
        """The day on which each customer's last term expires, shape (customers,)."""
        return self.most(self.expires)

    def monthly_price(self, month_days: float) -> Floats:
        """The amount per month, of an open term the amount itself; NaN without one."""
        if self._amount is None:
            return np.full(len(self), np.nan)
        days = self.expires - self.local_day
        months = np.where((self.expires < OPEN_DAY) & (days > 0), days / month_days, 1.0)
        return np.asarray(self._amount / months)

    def distinct_starts(self) -> Floats:
        """The days on which a term began, for each customer."""
        begins = np.ones(len(self), dtype=bool)
        begins[1:] = (self.local_day[1:] != self.local_day[:-1]) | (
            self.customer[1:] != self.customer[:-1]
        )
        return self.count(begins)


def _newest_versions(columns: Mapping[str, Column]) -> Mapping[str, Column]:
    """The rows that no later arrival of the same term replaces."""
    if "loaded_day" not in columns:
        return columns
    arrived = np.nan_to_num(columns["loaded_day"], nan=-np.inf)
    order = np.lexsort((arrived, columns["day"], columns["customer"]))
    start, customer, arrived = (
        values[order] for values in (columns["day"], columns["customer"], arrived)
    )
    ends = np.ones(len(order), dtype=bool)
    ends[:-1] = (start[1:] != start[:-1]) | (customer[1:] != customer[:-1])
    term = np.cumsum(ends) - ends
    newest = arrived == arrived[ends][term]
    kept = np.sort(order[newest])
    return {name: values[kept] for name, values in columns.items()}
