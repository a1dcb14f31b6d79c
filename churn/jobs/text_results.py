"""Results read back from text: CSV files and workbooks that this product wrote, types restored."""

from __future__ import annotations

import csv
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv

from churn.errors import DataError
from churn.files.spreadsheets import unguarded
from churn.jobs.workbook import cells_of, text_of

__all__ = ["TEXT_ENDINGS", "read_text"]

TEXT_ENDINGS = (".csv", ".xlsx")
WORDS = "reason_families"
"""The column whose lists are of single words, so that they can be parted again."""


def read_text(path: Path, schema: pa.Schema) -> pa.Table:
    """The rows of the file in the types of the schema; columns that it does not know stay texts.

    DataError where a value is not of its column's type.
    """
    table = _csv_texts(path) if path.suffix == ".csv" else _workbook_texts(path)
    known = {field.name: field.type for field in schema}
    columns = {
        name: _typed(table[name], known.get(name), path, name) for name in table.schema.names
    }
    return pa.table(columns)


def _csv_texts(path: Path) -> pa.Table:
    try:
        with path.open(encoding="utf-8", newline="") as text:
            names = next(csv.reader(text), [])
        return _unguarded(
            pa_csv.read_csv(
                path,
                parse_options=pa_csv.ParseOptions(newlines_in_values=True),
                convert_options=pa_csv.ConvertOptions(
                    column_types=dict.fromkeys(names, pa.string()),
                    strings_can_be_null=True,
                    quoted_strings_can_be_null=False,
                    null_values=[""],
                ),
            )
        )
    except (pa.ArrowException, OSError, UnicodeDecodeError, csv.Error):
        rule = f"{path.name} must be the CSV file that churn wrote"
        raise DataError(rule, fix="Write it again.") from None


def _unguarded(table: pa.Table) -> pa.Table:
    names = unguarded(pa.array(table.schema.names, pa.string())).to_pylist()
    return pa.table([unguarded(column) for column in table.columns], names=names)


def _workbook_texts(path: Path) -> pa.Table:
    names, rows = cells_of(path)
    return pa.table(
        {
            name: pa.array([text_of(row[place]) for row in rows], pa.string())
            for place, name in enumerate(names)
        }
    )


def _typed(texts: pa.ChunkedArray, kind: pa.DataType | None, path: Path, name: str) -> pa.Array:
    """The texts as values of that type; a list of other than single words is one text."""
    if kind is None or pa.types.is_string(kind):
        return texts
    if pa.types.is_list(kind):
        cells = texts.to_pylist()
        lists = [
            None if cell is None else cell.split() if name == WORDS else [cell] for cell in cells
        ]
        return pa.array(lists, kind)
    try:
        return texts.cast(kind)
    except pa.ArrowInvalid:
        rule = f"column {name} of {path.name} must hold values of the type {kind}"
        raise DataError(rule, fix="Take the file as churn wrote it, or a .parquet.") from None
