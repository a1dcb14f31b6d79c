"""What the values of each column look like, counted over all rows."""

from dataclasses import dataclass
from itertools import compress
from typing import Any

from churn.data.casts import NUMERIC
from churn.data.engines.base import identifier, literal
from churn.data.sniff.dates import DateReading, Formats, formats_of, time_sql
from churn.data.sniff.files import OrdersFiles

__all__ = ["ColumnProfile", "profile"]


SAMPLE_ROWS = 1_000
ENOUGH = 0.9
DATE = r".*\d[-./ ,].*|\d{8}(T?\d{4,6})?"  # too wide on purpose: it only saves work
WHOLE = r"[-+]?\d+"
POINT = r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?"
COMMA = r"[-+]?(\d{1,3}(\.\d{3})+|\d+)(,\d+)?"
NOTATIONS = {
    "whole": (WHOLE,),
    "floated": (r"\d+\.0",),
    "point": (POINT,),
    "comma": (COMMA,),
    "neutral": (POINT, COMMA),
    "grouped": (r"[-+]?\d{1,3}(\.\d{3})+",),
    "thousands": (r"[-+]?\d{1,3}(,\d{3})+(\.\d+)?",),
}


@dataclass(frozen=True)
class ColumnProfile:
    """Counts over one column's values; empty text counts as missing.

    `distinct` is approximate. `point`, `comma` and `thousands` count the numbers that read as
    1234.56, as 1.234,56 and as 1,234.56; `neutral` those that read as the first two alike, and
    `grouped` those such as 1.234 among them, which mean two different numbers.
    """

    name: str
    filled: int
    distinct: int
    whole: int
    floated: int
    point: int
    comma: int
    neutral: int
    grouped: int
    thousands: int
    readings: tuple[DateReading, ...] = ()

    @property
    def point_only(self) -> int:
        """How many values are numbers with a decimal point and nothing else."""
        return self.point - self.neutral

    @property
    def comma_only(self) -> int:
        """How many values are numbers with a decimal comma and nothing else."""
        return self.comma - self.neutral

    @property
    def is_date(self) -> bool:
        """Whether nearly all values read as dates in one and the same way."""
        return self._nearly_all(max((reading.hits for reading in self.readings), default=0))

    @property
    def is_number(self) -> bool:
        """Whether nearly all values read as numbers."""
        return self._nearly_all(max(self.point, self.comma, self.thousands))

    @property
    def is_floated(self) -> bool:
        """Whether nearly all values are whole numbers, some of them written like 13085.0."""
        return self._nearly_all(self.whole + self.floated)

    @property
    def is_whole(self) -> bool:
        """Whether nearly all values are whole numbers."""
        return self._nearly_all(self.whole)

    def _nearly_all(self, hits: int) -> bool:
        return self.filled > 0 and hits >= ENOUGH * self.filled


def profile(table: OrdersFiles) -> dict[str, ColumnProfile]:
    """The profile of each column, over all rows."""
    formats = _likely_formats(table)
    counted = zip(table.types, _counted(table, formats), strict=True)
    return {name: _profile(name, counts, formats[name]) for name, counts in counted}


def _likely_formats(table: OrdersFiles) -> dict[str, Formats]:
    """For each column the date formats that read at least one value of a sample."""
    sample = f"(SELECT * FROM {table.relation} LIMIT {SAMPLE_ROWS})"
    likely: dict[str, Formats] = {}
    for name, kind in table.types.items():
        text = _text_sql(name, kind)
        formats = formats_of(kind) if _hits(table, sample, [_matches_sql(text, DATE)])[0] else ()
        times = [time_sql(text, each) for each in formats]
        likely[name] = tuple(compress(formats, _hits(table, sample, times))) if times else ()
    return likely


def _hits(table: OrdersFiles, rows: str, values: list[str]) -> list[int]:
    """How many of the rows have each of the values."""
    with table.engine.reading(table.name):
        counts = ", ".join(f"count({value})" for value in values)
        found: Any = table.engine.rows(f"SELECT [{counts}] AS hits FROM {rows}")[0]["hits"]
    return list(found)


def _counted(table: OrdersFiles, formats: dict[str, Formats]) -> list[dict[str, Any]]:
    """The counts of each column; `hits_0` and so on belong to its formats in their order."""
    selects = [
        f"struct_pack({_counts_sql(name, kind, formats[name])}) AS column_{i}"
        for i, (name, kind) in enumerate(table.types.items())
    ]
    with table.engine.reading(table.name):
        found: dict[str, Any] = table.engine.rows(
            f"SELECT {', '.join(selects)} FROM {table.relation}"
        )[0]
    return list(found.values())


def _text_sql(name: str, kind: str) -> str:
    """The value as text, null when empty; a float that is whole loses its `.0`."""
    column = identifier(name)
    if kind in ("FLOAT", "DOUBLE"):
        return f"regexp_replace(CAST({column} AS VARCHAR), '\\.0$', '')"
    return f"nullif(CAST({column} AS VARCHAR), '')"


def _counts_sql(name: str, kind: str, formats: Formats) -> str:
    text = _text_sql(name, kind)
    counted = {"filled": text, **_notations_sql(name, kind)}
    for i, date_format in enumerate(formats):
        time = time_sql(text, date_format)
        counted[f"hits_{i}"] = time
        counted[f"timed_{i}"] = f"nullif({time}, date_trunc('day', {time}))"
    counts = {fact: f"count({sql})" for fact, sql in counted.items()}
    counts["distinct"] = f"approx_count_distinct({text})"
    for i, date_format in enumerate(formats):
        counts[f"first_{i}"] = f"CAST(min({time_sql(text, date_format)}) AS DATE)"
        counts[f"last_{i}"] = f"CAST(max({time_sql(text, date_format)}) AS DATE)"
    return ", ".join(f"{identifier(fact)} := {sql}" for fact, sql in counts.items())


def _notations_sql(name: str, kind: str) -> dict[str, str]:
    """For each notation of numbers the SQL that is null where a value is not written so."""
    column = identifier(name)
    if kind == "VARCHAR":
        return {fact: _matches_sql(column, *tests) for fact, tests in NOTATIONS.items()}
    nothing = dict.fromkeys(NOTATIONS, "NULL")
    if NUMERIC.match(kind):
        return nothing | {"whole": f"nullif({column} = floor({column}), false)", "point": column}
    return nothing


def _matches_sql(text: str, *patterns: str) -> str:
    tests = " AND ".join(f"regexp_full_match({text}, {literal(each)})" for each in patterns)
    return f"nullif({tests}, false)"


def _profile(name: str, counts: dict[str, Any], formats: Formats) -> ColumnProfile:
    readings = tuple(
        DateReading(each, *(counts[f"{fact}_{i}"] for fact in ("hits", "timed", "first", "last")))
        for i, each in enumerate(formats)
        if counts[f"hits_{i}"]
    )
    plain = {fact: counts[fact] for fact in ColumnProfile.__dataclass_fields__ if fact in counts}
    return ColumnProfile(name=name, **plain, readings=readings)
