"""What the values of each column look like, counted over all rows: numbers, and times."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from churn.data.casts import NUMERIC
from churn.data.engines.base import identifier
from churn.data.engines.duck import DuckDBEngine
from churn.data.notations.look import (
    NumberLook,
    TimeLook,
    given_sql,
    look_at_numbers,
    look_at_times,
)
from churn.data.notations.times import EXCEL, ISO, NAMED, order_of, time_sql
from churn.data.profiling.files import OrdersFiles

SAMPLE_ROWS = 1_000
ENOUGH = 0.9
WORTH_A_LOOK = 0.5
WHOLE = r"\s*[-+]?\d+\s*"
FLOATED = r"\s*\d+\.0\s*"


@dataclass(frozen=True)
class ColumnProfile:
    """Counts over one column's values; empty text counts as missing. `distinct` is approximate.

    `numbers` and `reading` describe the values as numbers and as times, if they are.
    """

    name: str
    filled: int
    distinct: int
    whole: int
    floated: int = 0
    numbers: NumberLook | None = None
    reading: DateReading | None = None

    @property
    def is_date(self) -> bool:
        """Whether nearly all values read as dates, and as nothing else."""
        return self.may_be_time and self.reading is not None and not self.reading.is_number

    @property
    def may_be_time(self) -> bool:
        """Whether nearly all values read as times, including numbers of days or seconds."""
        return self.reading is not None and self._nearly_all(self.reading.hits)

    @property
    def is_number(self) -> bool:
        """Whether nearly all values read as numbers in one notation."""
        return self._nearly_all(max(self.readable("."), self.readable(",")))

    @property
    def is_floated(self) -> bool:
        """Whether nearly all values are whole numbers, some of them written like 13085.0."""
        return self._nearly_all(self.whole + self.floated)

    @property
    def is_whole(self) -> bool:
        """Whether nearly all values are whole numbers."""
        return self._nearly_all(self.whole)

    def readable(self, decimal: str) -> int:
        """The number of values that are numbers with that decimal sign."""
        return self.numbers.readable(decimal) if self.numbers else 0

    def _nearly_all(self, hits: int) -> bool:
        return self.filled > 0 and hits >= ENOUGH * self.filled


def profile(table: OrdersFiles) -> dict[str, ColumnProfile]:
    """The profile of each column, over all rows."""
    with table.engine.reading(table.name):
        counted = zip(table.types, _counted(table), strict=True)
        return {name: _profile(table, name, counts) for name, counts in counted}


def _counted(table: OrdersFiles) -> list[dict[str, Any]]:
    selects = [
        f"struct_pack({_counts_sql(name, kind)}) AS column_{i}"
        for i, (name, kind) in enumerate(table.types.items())
    ]
    found: dict[str, Any] = table.engine.rows(f"SELECT {', '.join(selects)} FROM {table.relation}")[
        0
    ]
    return list(found.values())


def _counts_sql(name: str, kind: str) -> str:
    column = identifier(name)
    text = f"nullif(CAST({column} AS VARCHAR), '')"
    whole = floated = "NULL"
    if kind == "VARCHAR":
        whole = f"nullif(regexp_full_match({column}, '{WHOLE}'), false)"
        floated = f"nullif(regexp_full_match({column}, '{FLOATED}'), false)"
    elif NUMERIC.match(kind):
        whole = f"nullif({column} = floor({column}), false)"
    return (
        f'filled := count({text}), "distinct" := approx_count_distinct({text}), '
        f"whole := count({whole}), floated := count({floated})"
    )


def _profile(table: OrdersFiles, name: str, counts: dict[str, Any]) -> ColumnProfile:
    kind = table.types[name]
    numbers = _numbers(table, name, kind, counts["filled"])
    reading = date_reading(table.engine, table.relation, name, kind) if counts["filled"] else None
    return ColumnProfile(name, **counts, numbers=numbers, reading=reading)


def _numbers(table: OrdersFiles, name: str, kind: str, filled: int) -> NumberLook | None:
    """The column as numbers; None if a sample is mostly something else."""
    if NUMERIC.match(kind):
        return NumberLook(filled=filled, either=filled)
    if kind != "VARCHAR" or not filled:
        return None
    text = identifier(name)
    some = f"(SELECT * FROM {table.relation} WHERE {given_sql(text)} LIMIT {SAMPLE_ROWS})"
    sample = look_at_numbers(table.engine, some, text)
    if max(map(sample.readable, ".,")) < max(WORTH_A_LOOK * sample.filled, 1):
        return None
    everything = sample.filled < SAMPLE_ROWS
    return sample if everything else look_at_numbers(table.engine, table.relation, text)


@dataclass(frozen=True)
class DateReading:
    """The result of reading a column in those formats, each value in the first that fits.

    Of `hits` values that are times, `timed` have a time of day; `first` and `last` bound them.
    `doubt` names the formats day first and month first if both fit the values equally well.
    """

    formats: tuple[str, ...]
    hits: int
    timed: int
    first: date
    last: date
    doubt: tuple[str, str] | None = None

    @property
    def date_format(self) -> str | list[str] | None:
        """The setting with which the column is read; None if none is needed."""
        if self.formats == (ISO,):
            return None
        return self.formats[0] if len(self.formats) == 1 else list(self.formats)

    @property
    def is_number(self) -> bool:
        """Whether the times are numbers that may just as well be something else, such as 45352."""
        return all(each in NAMED and each != ISO for each in self.formats)

    @property
    def order(self) -> str:
        """Which part of the date comes first, as text."""
        first = self.formats[0]
        if first == EXCEL or self.is_number:
            return f"as {first}"
        if first == ISO or first.startswith("%Y"):
            return "year first"
        return order_of(first) or ("day first" if first.startswith("%d") else "month first")

    def evidence(self, filled: int) -> str:
        """The evidence among the `filled` values, for users."""
        what = "times" if self.timed else "whole dates"
        ways = f" in {len(self.formats)} notations" if len(self.formats) > 1 else ""
        return (
            f"{self.hits:,} of {filled:,} values are {what}{ways}, {self.order}, "
            f"{self.first} to {self.last}"
        )

    def doubtful(self, name: str) -> str | None:
        """A sentence if the values do not settle whether day or month comes first."""
        if self.doubt is None:
            return None
        day, month = self.doubt
        taken = self.order
        other = month if taken == "day first" else day
        return (
            f"the dates in {name!r} can be read as day first or month first; {taken} is assumed "
            f'({self.first} to {self.last}). If that is wrong, set date_format = "{other}".'
        )


def date_reading(engine: DuckDBEngine, relation: str, name: str, kind: str) -> DateReading | None:
    """How the column of that name and SQL type reads as times; None if it does not.

    If every value can be read as day first or month first, AM and PM decide for month first,
    anything else for day first.
    """
    column = identifier(name)
    if kind == "DATE" or kind.startswith("TIMESTAMP"):
        return _spanned(engine, relation, f"CAST({column} AS TIMESTAMP)", (ISO,), None)
    if kind != "VARCHAR" and not NUMERIC.match(kind):
        return None
    base = (ISO,) if kind == "VARCHAR" else ()
    text = rf"regexp_replace(CAST({column} AS VARCHAR), '\.0$', '')" if base == () else column
    some = f"(SELECT * FROM {relation} WHERE {given_sql(text)} LIMIT {SAMPLE_ROWS})"
    sample = look_at_times(engine, some, text, base=base, habit=_habit)
    if not sample.hits or sum(sample.hits) < WORTH_A_LOOK * sample.filled:
        return None
    look = sample
    if sample.filled >= SAMPLE_ROWS:
        look = look_at_times(engine, relation, text, base=base, habit=_habit)
    return _read(engine, relation, text, look)


def _habit(date_format: str) -> str:
    return "month first" if "%p" in date_format else "day first"


def _read(engine: DuckDBEngine, relation: str, text: str, look: TimeLook) -> DateReading | None:
    instant = time_sql(text, look.formats, "UTC", careful=True)
    return _spanned(engine, relation, f"timezone('UTC', {instant})", look.formats, look.doubt)


def _spanned(
    engine: DuckDBEngine,
    relation: str,
    time: str,
    formats: tuple[str, ...],
    doubt: tuple[str, str] | None,
) -> DateReading | None:
    inside = f"(SELECT {time} AS t FROM {relation})"
    (row,) = _rows(
        engine,
        "SELECT count(t) AS hits, count(nullif(t, date_trunc('day', t))) AS timed, "
        f"CAST(min(t) AS DATE) AS first, CAST(max(t) AS DATE) AS last FROM {inside} "
        "WHERE year(t) BETWEEN 1900 AND 2199",
    )
    if not row["hits"]:
        return None
    return DateReading(formats, row["hits"], row["timed"], row["first"], row["last"], doubt)


def _rows(engine: DuckDBEngine, sql: str) -> list[dict[str, Any]]:
    return engine.rows(sql)
