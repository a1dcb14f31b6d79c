"""Everything besides orders, before a cutoff: mails, visits, service, points, contacts."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np

from churn.arrays import Bools, Floats
from churn.data.history.columns import NO_TEXT, Column
from churn.data.history.segments import Pairs, Segments
from churn.data.words import EVENT_TYPES

# The code of each kind: no text is carried through sorting.
OTHER_TABLES = {"contacts": "contact", "redemptions": "redemption"}
KINDS = {kind: code for code, kind in enumerate((*EVENT_TYPES, *OTHER_TABLES.values()))}
TICKETS = ("ticket_opened", "ticket_closed")
RATINGS = ("review", "nps")
VALUED = (*RATINGS, "points_earned", "points_spent")


class Events(Segments):
    """One row per event, contact or redemption, oldest first; ratings without a value are left out.

    Columns: `local_day` and `age_days` as in `Days`, `kind` (a code of `KINDS`), `amount` (the
    value of points and ratings, else 1).
    """

    def __init__(self, columns: Mapping[str, Column], customers: int, cutoff: int) -> None:
        kept = ~(_is_kind(columns["kind"], RATINGS) & np.isnan(columns["value"]))
        columns = {name: values[kept] for name, values in columns.items()}
        super().__init__(columns["customer"], customers)
        self._columns = columns
        self.local_day = columns["local_day"]
        self.age_days = cutoff - columns["local_day"]
        self.kind = columns["kind"]
        worth = np.nan_to_num(columns["value"], nan=0.0)
        self.amount: Floats = np.where(_is_kind(self.kind, VALUED), worth, 1.0)

    def of(self, kind: str, days: float | None = None) -> Bools:
        """Whether a row is of that kind, and of the last `days` days."""
        of_kind = self.kind == KINDS[kind]
        return np.asarray(of_kind if days is None else of_kind & (self.age_days <= days))

    def last_mean(self, kind: str) -> Floats:
        """The mean amount on the last day with an event of that kind; NaN without one."""
        rated = self.of(kind)
        newest = self.least(self.age_days, rated)
        return self.mean(self.amount, rated & (self.age_days == newest[self.customer]))

    @cached_property
    def tickets(self) -> Tickets:
        """The tickets with a reference that were opened."""
        named = np.isin(self.kind, [KINDS[kind] for kind in TICKETS])
        return Tickets(self, self._columns["ref"], named & (self._columns["ref"] != NO_TEXT))


class Tickets(Pairs):
    """One row per customer and ticket: `opened` and `closed` (whether it was), `days_to_close`
    (whole days from the first opening to the first closing on that day or later; NaN without).
    """

    def __init__(self, events: Events, refs: Column, named: Bools) -> None:
        super().__init__(events, refs, named)
        day = events.local_day.astype(np.float64)
        begun = self.least_of(np.where(events.of("ticket_opened"), day, np.nan))
        self.opened: Bools = ~np.isnan(begun)
        ends = np.where(events.of("ticket_closed"), day, np.nan)
        in_time = ends >= self.on_rows(begun)
        self.days_to_close: Floats = self.least_of(np.where(in_time, ends, np.nan)) - begun
        self.closed: Bools = ~np.isnan(self.days_to_close)


def _is_kind(codes: Column, kinds: tuple[str, ...]) -> Bools:
    return np.isin(codes, [KINDS[kind] for kind in kinds])
