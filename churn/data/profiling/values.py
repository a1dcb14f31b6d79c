"""What the values of each column look like, counted over all rows."""

from dataclasses import dataclass
from typing import Any

from churn.data.casts import NUMERIC
from churn.data.engines.base import identifier
from churn.data.notations.look import NumberLook, given_sql, look_at_numbers
from churn.data.profiling.dates import DateReading, date_reading
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
