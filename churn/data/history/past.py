"""What had happened, and had arrived, before a cutoff: all that features can see."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property, partial

import numpy as np

from churn.arrays import Bools, Floats
from churn.data.days import day_number, midnight
from churn.data.engines.base import SortedRows
from churn.data.history.blocks import Block, blocks_of
from churn.data.history.columns import NO_TEXT, Column
from churn.data.history.days import Days, day_sums
from churn.data.history.events import Events
from churn.data.history.lines import Lines
from churn.data.history.rows import ARRIVALS, SORTED_BY, history_rows
from churn.data.history.segments import Segments
from churn.data.history.terms import Terms
from churn.data.tables import Tables

KEYS = ("customer_id", "cutoff")


@dataclass(frozen=True)
class Moment:
    """A cutoff as a day number in the day time zone, and the instant at which that day begins."""

    day: int
    instant: float


@dataclass(frozen=True)
class Past:
    """A block of customers before a cutoff; nothing that happened or arrived later is in it.

    `day_limit` winsorises the money of a day. `undated` also counts customers on the customer list
    whose sign-up has no date.
    """

    block: Block
    moment: Moment
    day_limit: float | None = None
    undated: bool = False

    def __len__(self) -> int:
        return len(self.block)

    def of(self, grain: str) -> Segments:
        """The rows of that grain: `days`, `lines`, `events` or `terms`."""
        found: Segments = getattr(self, grain)
        return found

    @cached_property
    def days(self) -> Days:
        """The days with an order."""
        orders = self._seen("orders")
        columns = orders if "orders" in orders else day_sums(orders)
        return Days(columns, len(self), self.moment.day, day_limit=self.day_limit)

    @cached_property
    def lines(self) -> Lines:
        """The order lines that were bought."""
        return Lines(self._seen("lines"), len(self), self.moment.day)

    @cached_property
    def events(self) -> Events:
        """The events, contacts and redemptions."""
        return Events(self._seen("events"), len(self), self.moment.day)

    @cached_property
    def terms(self) -> Terms:
        """The terms of subscriptions that had begun."""
        return Terms(self._seen("terms"), len(self), self.moment.day)

    def known(self, *, subscribers: bool = False) -> Bools:
        """Everyone with an order, or on the customer list, before the cutoff; `subscribers` adds
        those who have subscribed but not ordered.
        """
        known = self.days.has_rows
        if subscribers:
            known = known | self.terms.has_rows
        return known | self._listed.has_rows if self._has_list else known

    @property
    def signed_up_day(self) -> Floats:
        """The first sign-up of each listed customer as an instant in days; NaN without one."""
        return self._listed.least(self._list["signed_up_day"])

    @property
    def acquisition_source(self) -> Column:
        """The code of each listed customer's source, the first by name; `NO_TEXT` without one."""
        codes = self._list["acquisition_source"]
        return _codes(self._listed.least(codes, codes != NO_TEXT))

    def profile(self, column: str) -> Column:
        """The code of that column of the customer list, the first by name; `NO_TEXT` without."""
        rows = self.block.grains["profiles"]
        codes = rows[column]
        known = codes != NO_TEXT
        if "loaded_day" in rows:
            known = known & ~(rows["loaded_day"] >= self.moment.instant)
        return _codes(Segments(rows["customer"], len(self)).least(codes, known))

    @property
    def first_channel(self) -> Column:
        """The code of the channel of each customer's first purchase day; `NO_TEXT` without one."""
        return _codes(self.days.first(self.days.channel, self.days.bought))

    @property
    def _has_list(self) -> bool:
        return "customers" in self.block.grains

    @cached_property
    def _listed(self) -> Segments:
        return Segments(self._list["customer"], len(self))

    @cached_property
    def _list(self) -> Mapping[str, Column]:
        """The customer list: who had signed up, and had arrived, by the cutoff."""
        columns = self.block.grains["customers"]
        signed_up = columns.get("signed_up_day", np.full(len(columns["customer"]), np.nan))
        known = np.where(np.isnan(signed_up), self.undated, signed_up < self.moment.instant)
        if "loaded_day" in columns:
            known = known & (columns["loaded_day"] < self.moment.instant)
        return {name: values[known] for name, values in columns.items()}

    def _seen(self, grain: str) -> Mapping[str, Column]:
        """The rows that had happened, in the version that was the newest to have arrived.

        A line counts once both it and its order have arrived; rows without an arrival time arrive
        as they happen.
        """
        columns, instant = self.block.grains[grain], self.moment.instant
        seen = columns["local_day"] < self.moment.day
        for arrival in ARRIVALS[:2]:
            if arrival in columns:
                seen &= ~(columns[arrival] >= instant)
        if "superseded_day" in columns:
            seen &= ~(columns["superseded_day"] < instant)
        if seen.all():
            return columns
        return {name: values[seen] for name, values in columns.items()}


def _codes(values: Floats) -> Column:
    return np.nan_to_num(values, nan=NO_TEXT).astype(np.int64)


def moments(tables: Tables, cutoffs: Iterable[date]) -> tuple[Moment, ...]:
    """The cutoffs in the day time zone of the tables."""
    zone = tables.settings.day_timezone
    return tuple(Moment(day_number(cutoff), midnight(cutoff, zone)) for cutoff in cutoffs)


def customer_blocks(tables: Tables, grains: Collection[str] = ("orders",)) -> SortedRows[Block]:
    """The rows of those grains, sorted by customer, in blocks that the engine keeps for as long as
    the tables live.
    """
    wanted = frozenset(grains)
    rows: SortedRows[Block]
    for kept, rows in tables.sorted_rows.items():
        if wanted <= kept:
            return rows
    wanted = wanted.union(*tables.sorted_rows)
    frame, layout = history_rows(tables, wanted)
    tables.sorted_rows.clear()
    rows = tables.engine.sorted(frame, SORTED_BY, partial(blocks_of, layout))
    tables.sorted_rows[wanted] = rows
    return rows
