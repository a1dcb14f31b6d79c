"""Periods of time that numbers are compared over: 28 days, or calendar months and quarters.

Periods of days end at `as_of`, so the last one is complete, and 13 of 28 days are a year of whole
weeks. A calendar period that the data or `as_of` cuts off is partial: it is marked, and compared
with nothing. Periods in the first `active_days` of the data are truncated: nobody can be told from
a new customer there.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from churn.data.days import date_of, day_number
from churn.errors import ConfigError

DEFAULT_PERIOD = "28"
MONTHS = {"month": 1, "quarter": 3, "year": 12}
YEAR_DAYS = 364
WEEKS_TOLERANCE_DAYS = 3


@dataclass(frozen=True)
class Period:
    """From `start` to before `end`; `label` names it.

    `is_partial`: the data does not cover it. `is_truncated`: it begins in the first `active_days`
    of the data. `last_year` and `before` are the labels of the same period of last year and of the
    preceding one; empty without such a complete period.
    """

    label: str
    start: date
    end: date
    is_partial: bool
    is_truncated: bool
    last_year: str = ""
    before: str = ""

    @property
    def days(self) -> int:
        """Its length."""
        return (self.end - self.start).days

    @property
    def is_comparable(self) -> bool:
        """Whether rates of it may be compared with those of other periods."""
        return not (self.is_partial or self.is_truncated)


def periods_of(
    length: str, *, first: date, as_of: date, active_days: int, covering: bool = False
) -> tuple[Period, ...]:
    """All periods from the first order to `as_of`, oldest first.

    `length` is a number of days, month, quarter or year. Raises ConfigError for anything else.
    With `covering`, a first period of days that begins before the first order is there, too.
    """
    spans = (
        _calendar(MONTHS[length], first, as_of)
        if length in MONTHS
        else _days(_whole(length), first, as_of, covering=covering)
    )
    bare = [
        Period(
            label=_label(start, length),
            start=start,
            end=end,
            is_partial=start < first or end > as_of,
            is_truncated=(start - first).days < active_days,
        )
        for start, end in spans
    ]
    return _with_references(bare, length)


def first_comparison(length: str, *, first: date, active_days: int) -> date | None:
    """The first `as_of` at which the last complete period can be compared with that of last year;
    None if no whole number of such periods is a year.
    """
    ready = day_number(first) + active_days
    if length not in MONTHS:
        days = _whole(length)
        whole = _year_of(days)
        return None if whole is None else date_of(ready + whole + days)
    months = MONTHS[length]
    ready_on = date_of(ready)
    count = -(-_months(ready_on) // months) * months
    end = count + 12 + months
    return date(end // 12, end % 12 + 1, 1)


def _months(day: date) -> int:
    """The months before the first of a month that begins on that day or later."""
    return day.year * 12 + day.month - 1 + (day.day > 1)


def bounds_of(periods: Sequence[Period]) -> list[int]:
    """The day numbers at which they begin and, last, at which the newest ends."""
    return [*(day_number(one.start) for one in periods), day_number(periods[-1].end)]


def _whole(length: str) -> int:
    if not str(length).isdigit() or int(length) < 1:
        rule = "period must be month, quarter, year or a number of days"
        raise ConfigError(rule, got=length, fix="Pass e.g. 28.")
    return int(length)


def _days(length: int, first: date, as_of: date, *, covering: bool) -> list[tuple[date, date]]:
    """Periods that end at `as_of`; one that begins before the first order only if `covering`."""
    end, begin = day_number(as_of), day_number(first)
    whole, rest = divmod(max(end - begin, 0), length)
    count = max(whole + (covering and rest > 0), 1)
    starts = [end - length * place for place in range(count, 0, -1)]
    return [(date_of(start), date_of(start + length)) for start in starts]


def _calendar(months: int, first: date, as_of: date) -> list[tuple[date, date]]:
    starts = list(_month_starts(months, first, as_of))
    return list(itertools.pairwise(starts))


def _month_starts(months: int, first: date, as_of: date) -> Iterator[date]:
    """The starts of calendar periods, and one at or after `as_of`."""
    count = (first.year * 12 + first.month - 1) // months * months
    while True:
        start = date(count // 12, count % 12 + 1, 1)
        yield start
        if start >= as_of:
            return
        count += months


def _label(start: date, length: str) -> str:
    """The name of a period: 2011-11, 2011-Q4, 2011, or the date on which it begins."""
    if length == "month":
        return f"{start:%Y-%m}"
    if length == "quarter":
        return f"{start.year}-Q{(start.month + 2) // 3}"
    return str(start.year) if length == "year" else str(start)


def _with_references(bare: Sequence[Period], length: str) -> tuple[Period, ...]:
    """The periods with the labels of the complete ones that they are compared with."""
    comparable = {one.start: one.label for one in bare if one.is_comparable}
    found = []
    for place, one in enumerate(bare):
        before = bare[place - 1] if place else None
        named = {
            "last_year": comparable.get(_a_year_before(one.start, length), ""),
            "before": before.label if before is not None and before.is_comparable else "",
        }
        references = named if one.is_comparable else {}
        found.append(Period(**{**one.__dict__, **references}))
    return tuple(found)


def _a_year_before(start: date, length: str) -> date:
    if length in MONTHS:
        return start.replace(year=start.year - 1)
    whole = _year_of(int(length))
    return date.min if whole is None else date_of(day_number(start) - whole)


def _year_of(days: int) -> int | None:
    """The days of as many such periods as make a year; None if they do not."""
    whole = round(YEAR_DAYS / days) * days
    return whole if abs(whole - YEAR_DAYS) <= WEEKS_TOLERANCE_DAYS else None
