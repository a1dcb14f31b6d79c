"""Result tables as Excel workbooks: one sheet, a frozen header, no formulas."""

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
"""Rows are sorted by the first of these columns that exists, largest first."""

MAX_ROWS = 1_048_575
MAX_WIDTH = 40
MAX_CELL = 32_767
WIDTH_ROWS = 1_000
CREATED = datetime(2000, 1, 1)
_FORMATS = {"share": "0.0%", "number": "#,##0.00", "date": "yyyy-mm-dd", "head": "General"}


def by_money(table: pa.Table) -> pa.Table:
    """The rows by expected money, largest first."""
    column = next((name for name in MONEY_FIRST if name in table.column_names), None)
    if column is None:
        return table
    order = [(column, "descending"), ("customer_id", "ascending")]
    keys = [key for key in order if key[0] in table.column_names]
    return table.take(pc.sort_indices(table, sort_keys=keys))


def write_workbook(batches: Iterable[pa.Table], schema: pa.Schema, path: Path) -> int:
    """Streams the rows; returns their number. Texts are never formulas or links. Raises DataError
    for more rows than a sheet can hold.
    """
    import xlsxwriter

    options = {
        "constant_memory": True,
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
    }
    with path.open("wb") as file, xlsxwriter.Workbook(file, options) as book:
        book.set_properties({"created": CREATED})
        sheet = book.add_worksheet("churn")
        formats = {name: book.add_format({"num_format": code}) for name, code in _FORMATS.items()}
        formats["head"].set_bold()
        sheet.freeze_panes(1, 0)
        rows, widths = 0, [len(name) for name in schema.names]
        for table in batches:
            if not rows:
                widths = _widths(table)
                _write_header(sheet, schema, widths, formats)
            rows = _write_rows(sheet, table, rows, formats)
        if not rows:
            _write_header(sheet, schema, widths, formats)
        sheet.autofilter(0, 0, rows, len(schema.names) - 1)
    return rows


def _write_header(
    sheet: Any, schema: pa.Schema, widths: list[int], formats: dict[str, Any]
) -> None:
    """Column widths and header; a sheet must be written from top to bottom."""
    for column, (field, width) in enumerate(zip(schema, widths, strict=True)):
        sheet.set_column(column, column, min(width, MAX_WIDTH) + 2, _format(field, formats))
        sheet.write_string(0, column, field.name, formats["head"])


def _write_rows(sheet: Any, table: pa.Table, done: int, formats: dict[str, Any]) -> int:
    """Writes the rows of a table below those written before; returns the new number of rows."""
    if done + table.num_rows > MAX_ROWS:
        rule = f"a workbook can hold at most {MAX_ROWS:,} rows"
        raise DataError(rule, got="more", fix="Write .csv or .parquet.")
    for record in table.to_pylist():
        done += 1
        for column, field in enumerate(table.schema):
            _write_cell(sheet, done, column, record[field.name], _format(field, formats))
    return done


def _write_cell(sheet: Any, row: int, column: int, value: Any, cell_format: Any) -> None:
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return
    if isinstance(value, bool):
        sheet.write_boolean(row, column, value)
    elif isinstance(value, int | float | Decimal):
        sheet.write_number(row, column, value, cell_format)
    elif isinstance(value, date):
        sheet.write_datetime(row, column, value, cell_format)
    else:
        text = " ".join(value) if isinstance(value, list) else str(value)
        if len(text) > MAX_CELL:
            rule = f"a workbook cell can hold at most {MAX_CELL:,} characters"
            raise DataError(rule, got=f"{len(text):,}", fix="Write .csv or .parquet.")
        sheet.write_string(row, column, text)


def _format(field: pa.Field, formats: dict[str, Any]) -> Any:
    if pa.types.is_date(field.type):
        return formats["date"]
    if pa.types.is_floating(field.type) or pa.types.is_decimal(field.type):
        is_share = field.name.endswith(("probability", "probability_before", "propensity"))
        return formats["share" if is_share else "number"]
    return None


def _widths(table: pa.Table) -> list[int]:
    """The width of each column in characters, from its first rows."""
    first = table.slice(0, WIDTH_ROWS)
    return [
        max([len(name), *(len(_displayed(cell)) for cell in first[name].to_pylist())])
        for name in table.column_names
    ]


def _displayed(cell: Any) -> str:
    if isinstance(cell, float):
        return f"{cell:,.2f}"
    return "" if cell is None else " ".join(cell) if isinstance(cell, list) else str(cell)


def cells_of(path: Path) -> tuple[list[str], list[list[Any]]]:
    """The header and the rows of a workbook of `write_workbook`; None for an empty cell.

    Raises DataError if it is not a complete workbook.
    """
    with open_workbook(path) as book:
        sheet = book.get_sheet_by_index(0).to_python(skip_empty_area=False)
    names, *rows = sheet or [[]]
    return [str(name) for name in names], [
        [None if cell == "" else cell for cell in row] for row in rows
    ]


def text_of(cell: Any) -> str | None:
    """A cell as text, which can be read as the written value."""
    if cell is None:
        return None
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float):
        return repr(int(cell)) if cell.is_integer() else repr(cell)
    return cell.isoformat() if isinstance(cell, date) else str(cell)


def as_table(names: list[str], rows: list[list[Any]]) -> pa.Table:
    """The cells as a table, with types that are written in the same way."""
    columns = [[row[column] for row in rows] for column in range(len(names))]
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
