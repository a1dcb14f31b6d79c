"""Tables of the report, from the documents of the commands; small counts may be hidden."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from churn.reporting.sentences import Wording

UNKNOWN = "\N{EN DASH}"
CUSTOMERS, NUMBER, PERCENT, TEXT = "customers", "number", "percent", "text"
MONEY, CENTS = "money", "cents"


@dataclass(frozen=True)
class Cell:
    """One cell: its text, whether it is a number, and the strength of its colour, 0 to 1."""

    text: str
    is_number: bool = True
    strength: float = 0.0

    @property
    def level(self) -> int:
        """The strength in ten steps, as the stylesheet has them."""
        return min(10, max(0, round(10 * self.strength)))


@dataclass(frozen=True)
class Grid:
    """A table of a section; `caption` is what it shows."""

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True)
class Columns:
    """How the columns of documents are written; counts of fewer than `least` customers are not."""

    words: Wording
    least: int

    def grid(
        self, caption: str, rows: Iterable[Mapping[str, Any]], kinds: Mapping[str, str]
    ) -> Grid:
        """The rows as a table with the columns of `kinds`: their name and kind."""
        header = tuple(self.words.text(f"report/columns/{name}") for name in kinds)
        lines = tuple(
            tuple(self.cell(row.get(name), kind) for name, kind in kinds.items()) for row in rows
        )
        return Grid(caption, header, lines)

    def cell(self, value: Any, kind: str) -> Cell:
        """The value as a cell of that kind."""
        if kind == TEXT:
            return Cell(UNKNOWN if value is None else str(value), is_number=False)
        if value is None or not isfinite(value):
            return Cell(UNKNOWN)
        if kind == CUSTOMERS and self.hides(value):
            return Cell(f"<{self.least}")
        if kind in (MONEY, CENTS):
            return Cell(self.words.written(value, kind))
        digits = 0 if float(value).is_integer() else 2
        return Cell(self.words.language.number(value, 1 if kind == PERCENT else digits))

    def apart(
        self, rows: Sequence[Mapping[str, Any]], name: str = CUSTOMERS
    ) -> list[Mapping[str, Any]]:
        """The rows, of which a single hidden one hides the next smallest, too: the total is known,
        and the hidden count would be the difference.
        """
        hidden = [one for one in rows if self.hides(one[name])]
        others = [one for one in rows if (one[name] or 0) >= self.least]
        if len(hidden) != 1 or not others:
            return list(rows)
        least = min(others, key=lambda one: one[name])
        return [{**one, name: None} if one is least else one for one in rows]

    def hides(self, count: float | None) -> bool:
        """Whether the count is of so few customers that it is hidden."""
        return count is not None and 0 < count < self.least

    def matrix(
        self, caption: str, corner: str, rows: Sequence[Mapping[str, Any]], names: tuple[str, str]
    ) -> Grid:
        """Rows of from, to and customers as a matrix; the colour is the share of its row.

        A single hidden count could be calculated from the totals of the row, so none are shown.
        """
        start, end = names
        counts = {(one[start], one[end]): one["customers"] for one in rows}
        order = list(dict.fromkeys(one[start] for one in rows))
        order += [name for name in dict.fromkeys(one[end] for one in rows) if name not in order]
        starts = [name for name in order if any(counts.get((name, one)) for one in order)]
        ends = [name for name in order if any(counts.get((one, name)) for one in order)]
        lines = []
        for name in starts:
            total = sum(counts.get((name, other), 0) for other in ends) or 1
            cells = [self._shaded(counts.get((name, other), 0), total) for other in ends]
            lines.append((Cell(str(name), is_number=False), *cells))
        return Grid(caption, (corner, *map(str, ends)), tuple(lines))

    def _shaded(self, count: int, total: int) -> Cell:
        if not count:
            return Cell("")
        if self.hides(count):
            return Cell(f"<{self.least}")
        return Cell(self.words.language.number(count), strength=count / total)


def triangle(columns: Columns, caption: str, document: Mapping[str, Any]) -> Grid:
    """The cohorts by age, % of the cohort; a cell that is open states when it closes."""
    rows = document["cohorts"]
    text = columns.words.text
    cohorts = list(dict.fromkeys(one["cohort"] for one in rows))
    ages = sorted({one["age"] for one in rows if one["age"] > 0})
    found = {(one["cohort"], one["age"]): one for one in rows}
    lines = []
    for cohort in cohorts:
        first = next(one for one in rows if one["cohort"] == cohort)
        size = columns.cell(first["cohort_size"], CUSTOMERS)
        small = columns.hides(first["cohort_size"])
        cells = [_cohort_cell(columns, found.get((cohort, age)), small) for age in ages]
        name = f"{cohort}*" if first["is_truncated"] else str(cohort)
        lines.append((Cell(name, is_number=False), size, *cells))
    header = (text("report/columns/cohort"), text("report/columns/cohort_size"), *map(str, ages))
    return Grid(caption, header, tuple(lines))


def _cohort_cell(columns: Columns, one: Mapping[str, Any] | None, small: bool) -> Cell:
    if one is None or one["is_open"] or one["customers_percent"] is None:
        return Cell("")
    if small or columns.hides(one["customers"]):
        return Cell(f"<{columns.least}")
    share = one["customers_percent"] / 100
    return Cell(columns.words.language.number(100 * share), strength=share)
