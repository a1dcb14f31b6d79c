"""Excel workbooks converted to Parquet: one sheet, each column of one type."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from churn.data.text_layout import is_summary, looks_like_data
from churn.errors import ConfigError, DataError

if TYPE_CHECKING:
    import pyarrow as pa


LOOKED_AT = 100
BATCH_ROWS = 20_000
Row = Sequence[Any]


class Sheet:
    """The rows of one sheet of a workbook below `header`, without titles above and totals below."""

    def __init__(self, workbook: Any, name: str, *, skip: int | None) -> None:
        self.name = name
        self._sheet = workbook.get_sheet_by_name(name)
        head = [list(row) for row in islice(self._sheet.iter_rows(), (skip or 0) + LOOKED_AT)]
        self.above = _rows_above(head) if skip is None else skip
        names = head[self.above] if self.above < len(head) else []
        self.header = [str(cell).strip() for cell in names]
        self.places = [place for place, name in enumerate(self.header) if name]
        self.below = 0

    @property
    def is_table(self) -> bool:
        """Whether there are two named columns and a row below them."""
        return len(self.places) > 1 and next(self.rows(), None) is not None

    def rows(self) -> Iterator[Row]:
        """The non-empty rows, without totals at the end."""
        held: list[Row] = []
        self.below = 0
        for row in islice(self._sheet.iter_rows(), self.above + 1, None):
            if not any(cell not in ("", None) for cell in row):
                continue
            if is_summary([row[place] for place in self.places if place < len(row)]):
                held.append(row)
                continue
            yield from held
            held = []
            yield row
        self.below = len(held)


def write_sheet(
    path: Path, target: Path, *, sheet: str | None, skip: int | None
) -> tuple[Sheet, bool]:
    """Writes one sheet of a workbook as Parquet, the named one or the first with a table; returns
    it and whether there are others.

    Whole numbers become integers and ids stored as text keep their zeros; a column with values of
    several kinds becomes text.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with open_workbook(path) as workbook:
        found = _chosen(workbook, path, sheet=sheet, skip=skip)
        names = _unique([found.header[place] for place in found.places])
        kinds = [_kind_of(kind) for kind in _kinds(found)]
        schema = pa.schema(list(zip(names, kinds, strict=True)))
        with pq.ParquetWriter(target, schema, compression="zstd") as writer:
            for rows in _batches(found.rows(), BATCH_ROWS):
                columns = [
                    pa.array([_value(row, place, kind) for row in rows], kind)
                    for place, kind in zip(found.places, kinds, strict=True)
                ]
                writer.write_table(pa.table(columns, schema=schema))
        return found, len(workbook.sheet_names) > 1


@contextmanager
def open_workbook(path: Path) -> Iterator[Any]:
    """A workbook open for reading; DataError if it is damaged, protected or not a workbook."""
    import python_calamine

    rule = f"{path.name} must be a complete, readable Excel workbook"
    damaged = DataError(rule, got="a damaged or different file", fix="Save it again, or as CSV.")
    try:
        workbook = python_calamine.CalamineWorkbook.from_path(path)
    except python_calamine.PasswordError:
        rule = f"{path.name} must open without a password"
        raise DataError(rule, got="a protected workbook", fix="Save it without one.") from None
    except (python_calamine.CalamineError, OSError):
        raise damaged from None
    try:
        yield workbook
    except python_calamine.CalamineError:
        raise damaged from None
    finally:
        workbook.close()


def _chosen(workbook: Any, path: Path, *, sheet: str | None, skip: int | None) -> Sheet:
    names = list(workbook.sheet_names)
    if sheet is not None:
        if sheet not in names:
            rule = f"sheet must name a sheet of {path.name}"
            raise ConfigError(rule, got=sheet, fix=f"It has {names}.")
        names = [sheet]
    for name in names:
        found = Sheet(workbook, name, skip=skip)
        if found.is_table:
            return found
    rule = f"{path.name} must hold a table: a header, and rows below it"
    raise DataError(rule, got=f"none in {names}", fix='Name its sheet: sheet = "Orders".')


def _rows_above(head: Sequence[Row]) -> int:
    """The number of rows above the first that is mostly filled, as a header is."""
    width = max((_filled(row) for row in head), default=0)
    for number, row in enumerate(head):
        if _filled(row) >= max(2, (width + 1) // 2):
            texts = [cell for cell in row if isinstance(cell, str) and cell.strip()]
            is_header = len(texts) == _filled(row) and not any(map(looks_like_data, texts))
            return number if is_header else 0
    return 0


def _filled(row: Row) -> int:
    return sum(1 for cell in row if cell not in ("", None))


def _unique(names: Sequence[str]) -> list[str]:
    """The names; a second one of the same name ends in `_1`, as DuckDB does in text files."""
    seen: dict[str, int] = {}
    found = []
    for name in names:
        again = seen.get(name.casefold(), 0)
        seen[name.casefold()] = again + 1
        found.append(f"{name}_{again}" if again else name)
    return found


def _kinds(sheet: Sheet) -> list[set[str]]:
    kinds: list[set[str]] = [set() for _ in sheet.places]
    for row in sheet.rows():
        for found, place in zip(kinds, sheet.places, strict=True):
            cell = row[place] if place < len(row) else ""
            if cell not in ("", None):
                found.add(_kind(cell))
    return kinds


def _kind(cell: object) -> str:
    if isinstance(cell, bool):
        return "flag"
    if isinstance(cell, int | float):
        return "whole" if float(cell).is_integer() and abs(cell) < 2**53 else "number"
    if isinstance(cell, dt.date):
        return "time"
    return "text"


def _kind_of(kinds: set[str]) -> pa.DataType:
    import pyarrow as pa

    one = {"flag": pa.bool_(), "whole": pa.int64(), "time": pa.timestamp("us")}
    if kinds in ({"whole", "number"}, {"number"}):
        return pa.float64()
    return one.get(next(iter(kinds)), pa.string()) if len(kinds) == 1 else pa.string()


def _value(row: Row, place: int, kind: Any) -> object:
    import pyarrow as pa

    cell = row[place] if place < len(row) else None
    if cell is None or cell == "":
        return None
    if pa.types.is_string(kind):
        return _text(cell)
    if pa.types.is_integer(kind):
        return int(cell)
    if pa.types.is_floating(kind):
        return float(cell)
    is_date = isinstance(cell, dt.date) and not isinstance(cell, dt.datetime)
    return dt.datetime.combine(cell, dt.time()) if is_date else cell


def _text(cell: object) -> str:
    """The cell as text: a whole number without its point, a time as ISO 8601."""
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 2**53:
        return str(int(cell))
    if isinstance(cell, bool):
        return "true" if cell else "false"
    return str(cell)


def _batches(rows: Iterator[Row], size: int) -> Iterator[list[Row]]:
    while batch := list(islice(rows, size)):
        yield batch
