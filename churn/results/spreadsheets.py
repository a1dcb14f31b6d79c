"""CSV files and workbooks of results: guarded against formulas, types restored on reading."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TypeAlias

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from churn.errors import DataError
from churn.results.workbook import cells_of, text_of

Texts: TypeAlias = "pa.Array | pa.ChunkedArray"

# Characters that start a formula, and wide, small and raised forms that some programs accept.
_SIGNS = r"=+\-@\x{FF1D}\x{FF0B}\x{FF0D}\x{FF20}\x{FE66}\x{FE62}\x{FE63}\x{FE6B}"
_RAISED = r"\x{207A}\x{207B}\x{207C}\x{208A}\x{208B}\x{208C}\x{2212}"
# Invisible characters before them: spaces, line breaks, controls, marks, blank letters.
_UNSEEN = r"\pZ\pC\pM\x{115F}\x{1160}\x{3164}\x{FFA0}\x{2800}"
_FORMULA = rf"(?:[\t\r\n\x00]|[{_UNSEEN}]*[{_SIGNS}{_RAISED}])"
_GUARDED = rf"^'+{_FORMULA}"
_NEEDS_GUARD = rf"^'*{_FORMULA}"

TEXT_ENDINGS = (".csv", ".xlsx")
WORDS = "reason_families"
"""The list column of single words, which can be split again."""


def begins_formula(texts: Texts) -> Texts:
    """Whether each text would start a formula in a spreadsheet, or looks like a guarded one.

    >>> begins_formula(pa.array(["=1+1", " +49", "'=x", "anna", "'twas"])).to_pylist()
    [True, True, True, False, False]
    """
    return pc.match_substring_regex(texts, _NEEDS_GUARD)


def guarded(texts: Texts) -> Texts:
    """The texts, prefixed with an apostrophe if they would start a formula.

    >>> guarded(pa.array(["=1+1", "'=x", "anna"])).to_pylist()
    ["'=1+1", "''=x", 'anna']
    """
    return pc.if_else(begins_formula(texts), pc.binary_join_element_wise("'", texts, ""), texts)


def unguarded(texts: Texts) -> Texts:
    """The inverse of `guarded`.

    >>> unguarded(pa.array(["'=1+1", "''=x", "anna", "'twas"])).to_pylist()
    ['=1+1', "'=x", 'anna', "'twas"]
    """
    without = pc.utf8_slice_codeunits(texts, 1)
    return pc.if_else(pc.match_substring_regex(texts, _GUARDED), without, texts)


def read_text(path: Path, schema: pa.Schema) -> pa.Table:
    """The rows of the file with the types of the schema; other columns stay texts.

    Raises DataError if a value is not of its column's type.
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
            name: pa.array([text_of(row[column]) for row in rows], pa.string())
            for column, name in enumerate(names)
        }
    )


def _typed(texts: pa.ChunkedArray, kind: pa.DataType | None, path: Path, name: str) -> pa.Array:
    """The texts as values of that type; a list is one text, except for `WORDS`."""
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
        rule = f"column {name} of {path.name} must have values of type {kind}"
        raise DataError(rule, fix="Use the file as churn wrote it, or a .parquet.") from None
