"""Result tables as Excel workbooks: one sheet, the header frozen, nothing that runs."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from churn.data.workbooks import open_workbook
from churn.errors import DataError

MONEY_FIRST = ("expected_value", "value_at_risk")
"""The columns by which rows are sorted, the largest first: the first of them that is there."""

MOST_ROWS = 1_048_575
WIDEST = 40
LONGEST_CELL = 32_767
SEEN_FOR_WIDTH = 1_000
MADE = datetime(2000, 1, 1)
_FORMATS = {"share": "0.0%", "number": "#,##0.00", "date": "yyyy-mm-dd", "head": "General"}


def by_money(table: pa.Table) -> pa.Table:
    """The rows by the money that is expected of them, the largest first."""
    column = next((name for name in MONEY_FIRST if name in table.column_names), None)
    if column is None:
        return table
    order = [(column, "descending"), ("customer_id", "ascending")]
    keys = [key for key in order if key[0] in table.column_names]
    return table.take(pc.sort_indices(table, sort_keys=keys))


def write_workbook(batches: Iterable[pa.Table], schema: pa.Schema, path: Path) -> int:
    """Writes the rows, never all in memory; their number. Texts stay texts, whatever they begin
    with. DataError where they are more than a sheet holds.
    """
    import xlsxwriter

    options = {
        "constant_memory": True,
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
    }
    with path.open("wb") as file, xlsxwriter.Workbook(file, options) as book:
        book.set_properties({"created": MADE})
        sheet = book.add_worksheet("churn")
        formats = {name: book.add_format({"num_format": how}) for name, how in _FORMATS.items()}
        formats["head"].set_bold()
        sheet.freeze_panes(1, 0)
        rows, widths = 0, [len(name) for name in schema.names]
        for table in batches:
            if not rows:
                widths = _widths(table)
                _begin(sheet, schema, widths, formats)
            rows = _write_rows(sheet, table, rows, formats)
        if not rows:
            _begin(sheet, schema, widths, formats)
        sheet.autofilter(0, 0, rows, len(schema.names) - 1)
    return rows


def _begin(sheet: Any, schema: pa.Schema, widths: list[int], formats: dict[str, Any]) -> None:
    """The widths of the columns and the header; a sheet is written from its top down."""
    for place, (field, width) in enumerate(zip(schema, widths, strict=True)):
        sheet.set_column(place, place, min(width, WIDEST) + 2, _format(field, formats))
        sheet.write_string(0, place, field.name, formats["head"])


def _write_rows(sheet: Any, table: pa.Table, done: int, formats: dict[str, Any]) -> int:
    """Writes the rows of a table below those that are done; how many there are now."""
    if done + table.num_rows > MOST_ROWS:
        rule = f"a workbook holds {MOST_ROWS:,} rows at most"
        raise DataError(rule, got="more", fix="Write .csv or .parquet.")
    for record in table.to_pylist():
        done += 1
        for place, field in enumerate(table.schema):
            _write_cell(sheet, done, place, record[field.name], _format(field, formats))
    return done


def _write_cell(sheet: Any, row: int, place: int, value: Any, how: Any) -> None:
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return
    if isinstance(value, bool):
        sheet.write_boolean(row, place, value)
    elif isinstance(value, int | float | Decimal):
        sheet.write_number(row, place, value, how)
    elif isinstance(value, date):
        sheet.write_datetime(row, place, value, how)
    else:
        text = " ".join(value) if isinstance(value, list) else str(value)
        if len(text) > LONGEST_CELL:
            rule = f"a cell of a workbook holds {LONGEST_CELL:,} characters at most"
            raise DataError(rule, got=f"{len(text):,}", fix="Write .csv or .parquet.")
        sheet.write_string(row, place, text)


def _format(field: pa.Field, formats: dict[str, Any]) -> Any:
    if pa.types.is_date(field.type):
        return formats["date"]
    if pa.types.is_floating(field.type) or pa.types.is_decimal(field.type):
        is_share = field.name.endswith(("probability", "probability_before", "propensity"))
        return formats["share" if is_share else "number"]
    return None


def _widths(table: pa.Table) -> list[int]:
    """How many characters a column needs, by its first rows."""
    first = table.slice(0, SEEN_FOR_WIDTH)
    return [
        max([len(name), *(len(_shown(cell)) for cell in first[name].to_pylist())])
        for name in table.column_names
    ]


def _shown(cell: Any) -> str:
    if isinstance(cell, float):
        return f"{cell:,.2f}"
    return "" if cell is None else " ".join(cell) if isinstance(cell, list) else str(cell)


def cells_of(path: Path) -> tuple[list[str], list[list[Any]]]:
    """The header and the rows of a workbook that `write_workbook` made; None for an empty cell.

    DataError where it is no whole workbook.
    """
    with open_workbook(path) as book:
        sheet = book.get_sheet_by_index(0).to_python(skip_empty_area=False)
    names, *rows = sheet or [[]]
    return [str(name) for name in names], [
        [None if cell == "" else cell for cell in row] for row in rows
    ]


def text_of(cell: Any) -> str | None:
    """A cell as text that reads as the value that was written."""
    if cell is None:
        return None
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float):
        return repr(int(cell)) if cell.is_integer() else repr(cell)
    return cell.isoformat() if isinstance(cell, date) else str(cell)


def as_table(names: list[str], rows: list[list[Any]]) -> pa.Table:
    """The cells as a table again, in types that are written as they were."""
    columns = [[row[place] for row in rows] for place in range(len(names))]
    return pa.table([_column(cells) for cells in columns], names=names)


def _column(cells: list[Any]) -> pa.Array:
    known = [cell for cell in cells if cell is not None]
    if known and all(isinstance(cell, bool) for cell in known):
        return pa.array(cells, pa.bool_())
    if known and all(isinstance(cell, int | float) for cell in known):
        whole = all(float(cell).is_integer() for cell in known)
        return pa.array(cells, pa.float64()).cast(pa.int64() if whole else pa.float64())
    if known and all(isinstance(cell, date) for cell in known):
        return pa.array(cells, pa.date32())
    return pa.array([text_of(cell) for cell in cells], pa.string())
