"""Dates in text: the notations that are tried, and which of them the values speak for."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import product
from typing import TypeAlias

from churn.data.casts import NUMERIC
from churn.data.engines.base import literal

__all__ = ["DateReading", "Formats", "chosen_reading", "formats_of", "time_sql"]

Formats: TypeAlias = "tuple[str | None, ...]"

DAYS = (
    *("%d.%m.%Y", "%d.%m.%y", "%d/%m/%Y", "%d/%m/%y", "%d-%m-%Y", "%d-%m-%y"),
    *("%m/%d/%Y", "%m/%d/%y", "%m-%d-%Y", "%m-%d-%y", "%Y.%m.%d"),
    *("%d %b %Y", "%d %B %Y", "%d-%b-%Y", "%d-%b-%y", "%b %d, %Y", "%B %d, %Y"),
)
TIMES = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p", ", %H:%M")
COMPACT = ("%Y%m%d", "%Y%m%d%H%M", "%Y%m%d%H%M%S", "%Y%m%dT%H%M%S")
EVERY: Formats = (None, *(day + time for day, time in product(DAYS, TIMES)), *COMPACT)


@dataclass(frozen=True)
class DateReading:
    """What comes out when a column is read in one strptime format, or as ISO 8601 (None).

    Of `hits` values that are dates `timed` have a time of day; `first` and `last` bound them.
    """

    date_format: str | None
    hits: int
    timed: int
    first: date
    last: date

    @property
    def order(self) -> str:
        """Which part of the date comes first, in words."""
        text = self.date_format or "%Y"
        if text.startswith("%Y"):
            return "year first"
        return "day first" if text.startswith("%d") else "month first"

    def evidence(self, filled: int) -> str:
        """What was seen among the `filled` values, for people."""
        what = "times" if self.timed else "whole dates"
        return (
            f"{self.hits:,} of {filled:,} values are {what}, {self.order}, "
            f"{self.first} to {self.last}"
        )


def formats_of(kind: str) -> Formats:
    """The formats to try on a column of that SQL type; None stands for ISO 8601 and SQL's own."""
    if kind == "VARCHAR":
        return EVERY
    if kind == "DATE" or kind.startswith("TIMESTAMP"):
        return (None,)
    return COMPACT if NUMERIC.match(kind) else ()


def time_sql(text: str, date_format: str | None) -> str:
    """The time that the text tells in that format, null outside the years 1900 to 2199."""
    time = f"TRY_CAST({text} AS TIMESTAMP)"
    if date_format is not None:
        time = f"try_strptime({text}, {literal(date_format)})"
    return f"CASE WHEN year({time}) BETWEEN 1900 AND 2199 THEN {time} END"


def chosen_reading(readings: Sequence[DateReading], name: str) -> tuple[DateReading, str | None]:
    """The reading that most values speak for, and a sentence where they do not settle it.

    Where every value reads day first and month first alike, AM and PM decide for month first,
    everything else for day first.
    """
    most = max(reading.hits for reading in readings)
    best = [reading for reading in readings if reading.hits == most]
    if len({reading.order for reading in best}) == 1:
        return best[0], None
    best.sort(key=lambda reading: reading.order != _habit(reading))
    chosen = best[0]
    other = next(reading for reading in best if reading.order != chosen.order)
    return chosen, (
        f"the dates in {name!r} read {chosen.order} ({chosen.first} to {chosen.last}) as well as "
        f"{other.order} ({other.first} to {other.last}); {chosen.order} is taken. "
        f'If that is wrong, set date_format = "{other.date_format}".'
    )


def _habit(reading: DateReading) -> str:
    return "month first" if "%p" in (reading.date_format or "") else "day first"
