"""Tables as the pages show them: typed columns, small cells hidden from viewers, CSV and JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from churn.serving.dashboard.figures import NUMERIC

LEAST_CELL = 10
"""A count below this is hidden from viewers, because it may single out a customer."""
SHADES = 7


@dataclass(frozen=True)
class Column:
    """A column: its key in the rows, how its values are shown, and where they lead. `counted_by`
    is the key of the customers behind a value that is no count, where the row has them. `bounds`
    are the keys of its interval, which pages show in the same cell: their columns are not `shown`
    but in CSV and JSON.
    """

    key: str
    kind: str = "text"
    label: str | None = None
    link: Callable[[Mapping[str, Any]], str | None] | None = None
    shaded: bool = False
    counted_by: str = ""
    bounds: tuple[str, str] | None = None
    shown: bool = True

    @property
    def is_number(self) -> bool:
        """Whether the cells are set to the right."""
        return self.kind in NUMERIC


@dataclass(frozen=True)
class DataTable:
    """Rows with their columns; `personal` if rows are customers. `ranges` scale the colours."""

    name: str
    columns: Sequence[Column]
    rows: Sequence[Mapping[str, Any]]
    title: str = ""
    note: str = ""
    personal: bool = False
    totals: Mapping[str, Any] | None = None
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def keys(self) -> list[str]:
        """The keys of the columns."""
        return [column.key for column in self.columns]

    @property
    def shown(self) -> list[Column]:
        """The columns of the page."""
        return [column for column in self.columns if column.shown]

    def for_viewers(self) -> DataTable:
        """The table without small cells. If one row alone is hidden, so is the one with the next
        smallest count, and there are no totals: else the hidden row is what the others leave.
        """
        small = [n for n, row in enumerate(self.rows) if is_small(row, self.columns)]
        others = [n for n in range(len(self.rows)) if n not in small]
        if len(small) == 1 and others:
            small.append(min(others, key=lambda n: _least_count(self.rows[n], self.columns)))
        rows = [
            hidden(row, self.columns) if n in small else without_small_cells(row, self.columns)
            for n, row in enumerate(self.rows)
        ]
        return replace(self, rows=rows, totals=None if small else self.totals)

    def shade(self, column: Column, value: Any) -> str:
        """The class of a cell's colour; one scale for all shaded columns of the table."""
        if not column.shaded or not isinstance(value, int | float):
            return ""
        low, high = self.ranges.get("all", (0.0, 1.0))
        place = (value - low) / (high - low) if high > low else 0.0
        return f"h{min(int(place * SHADES), SHADES - 1)}"

    def plain_rows(self) -> Iterable[dict[str, Any]]:
        """The rows with the columns of the table alone, as CSV and JSON have them."""
        for row in self.rows:
            yield {key: row.get(key) for key in self.keys}


SMALL = "<10"
"""What stands in place of the counts of a hidden row."""


def is_small(row: Mapping[str, Any], columns: Iterable[Column]) -> bool:
    """Whether one of the row's counts is from 1 to 9."""
    return any(0 < count < LEAST_CELL for count in _counts(row, columns))


def hidden(row: Mapping[str, Any], columns: Iterable[Column]) -> dict[str, Any]:
    """The row without its numbers, nor sentences that state some.

    >>> columns = [Column("segment"), Column("customers", "count"), Column("share", "percent")]
    >>> hidden({"segment": "loyal", "customers": 4, "share": 1.5}, columns)
    {'segment': 'loyal', 'customers': '<10', 'share': None}
    """
    gone = {one.key: SMALL if one.kind == "count" else None for one in columns if one.is_number}
    return {**row, **gone, **{one.key: "" for one in columns if one.kind == "prose"}}


def without_small_cells(row: Mapping[str, Any], columns: Iterable[Column]) -> Mapping[str, Any]:
    """The row without the values that stand for 1 to 9 customers.

    >>> columns = [Column("kept", "percent", counted_by="customers")]
    >>> without_small_cells({"kept": 3.0, "customers": 3}, columns)
    {'kept': None, 'customers': 3}
    """
    small = [one.key for one in columns if 0 < (row.get(one.counted_by) or 0) < LEAST_CELL]
    return {**row, **dict.fromkeys(small)} if small else row


def _counts(row: Mapping[str, Any], columns: Iterable[Column]) -> list[float]:
    values = [row.get(column.key) for column in columns if column.kind == "count"]
    return [value for value in values if isinstance(value, int | float)]


def _least_count(row: Mapping[str, Any], columns: Iterable[Column]) -> float:
    return min((count for count in _counts(row, columns) if count), default=float("inf"))


def matrix(
    name: str,
    rows: Sequence[Mapping[str, Any]],
    *,
    across: tuple[str, str],
    value: str,
    kind: str = "count",
    shown: Callable[[Any], str] = str,
) -> DataTable:
    """A table of pairs: one row for each `across[0]`, one column for each `across[1]`, and sums."""
    down, right = across
    starts = list(dict.fromkeys(row[down] for row in rows))
    ends = list(dict.fromkeys(row[right] for row in rows))
    found = {(row[down], row[right]): row[value] for row in rows}
    columns = [Column(down, "code")]
    columns += [Column(f"to_{end}", kind, label=shown(end), shaded=True) for end in ends]
    columns.append(Column("all", kind))
    lines = []
    for start in starts:
        cells = {f"to_{end}": found.get((start, end)) or None for end in ends}
        lines.append({down: start, **cells, "all": sum(cell or 0 for cell in cells.values())})
    sums = {f"to_{end}": sum(line[f"to_{end}"] or 0 for line in lines) for end in ends}
    totals = {down: "all", **sums, "all": sum(line["all"] for line in lines)}
    inner = [line[f"to_{end}"] or 0 for line in lines for end in ends]
    most = max(inner, default=1)
    return DataTable(name, columns, lines, totals=totals, ranges={"all": (0.0, float(most))})
