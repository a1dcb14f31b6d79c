"""Result tables written atomically, as files (Parquet, CSV or a workbook by the extension, with a
manifest) or as database rows.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from churn.data.engines.parquet import write_batches
from churn.errors import ConfigError, DataError
from churn.results.job_result import hashed
from churn.results.spreadsheets import TEXT_ENDINGS, begins_formula, guarded, read_text
from churn.results.workbook import by_money, write_workbook
from churn.storage.manifests import publish_with_manifest, verify_file
from churn.storage.postgres.address import Place, TableAddress, place_of
from churn.storage.publish import check_writable

if TYPE_CHECKING:
    from churn.storage.postgres.layout import Layout


CSV_DIGITS, CSV_DECIMALS = 9, 4
MIN_ROUNDED, MAX_ROUNDED = 1e-12, 1e15  # beyond these, powers of ten are no longer exact
ENDINGS = (".parquet", ".csv", ".xlsx")


class RowWriter(Protocol):
    """Writes the rows of a result, with facts for the manifest or the database."""

    def write(self, table: pa.Table, facts: Mapping[str, Any]) -> None:
        """Writes the rows and the facts."""


class TableWriter:
    """Writes one table or frame, with facts for its manifest, inside `writing_table`."""

    def __init__(self, path: Path, ending: str) -> None:
        self._path = path
        self._ending = ending
        self.facts: dict[str, Any] = {}
        self.guarded_ids = 0

    @property
    def streams(self) -> bool:
        """Whether rows can be written in batches in any order that they have."""
        return self._ending != ".xlsx"  # a workbook is sorted by money

    def write(self, table: pa.Table, facts: Mapping[str, Any]) -> None:
        """Writes the rows; the manifest holds their number and `facts`."""
        self.facts = {"rows": table.num_rows, **facts}
        if self._ending == ".xlsx":
            write_workbook([by_money(table)], table.schema, self._path)
        elif self._ending == ".csv":
            pa_csv.write_csv(self._for_spreadsheets(table), self._path)
        else:
            pq.write_table(table, self._path, compression="zstd")

    def write_batches(
        self, batches: Iterator[pa.RecordBatch], schema: pa.Schema, facts: Mapping[str, Any]
    ) -> int:
        """Streams rows in batches; returns their number."""
        if self._ending == ".parquet":
            rows = write_batches(batches, schema, self._path, compression="zstd")
        else:
            empty = pa.RecordBatch.from_pylist([], schema=schema)  # a header even without rows
            stream = self._stream_workbook if self._ending == ".xlsx" else self._stream_csv
            rows = stream(itertools.chain([empty], batches))
        self.facts = {"rows": rows, **facts}
        return rows

    def _stream_csv(self, batches: Iterator[pa.RecordBatch]) -> int:
        rows, header = 0, True
        with self._path.open("wb") as file:
            for batch in batches:
                table = self._for_spreadsheets(pa.Table.from_batches([batch]))
                pa_csv.write_csv(table, file, pa_csv.WriteOptions(include_header=header))
                rows, header = rows + table.num_rows, False
        return rows

    def _stream_workbook(self, batches: Iterator[pa.RecordBatch]) -> int:
        first = next(batches, None)
        if first is None:
            return write_workbook([], pa.schema([]), self._path)
        tables = (pa.Table.from_batches([batch]) for batch in itertools.chain([first], batches))
        return write_workbook(tables, first.schema, self._path)

    def _for_spreadsheets(self, table: pa.Table) -> pa.Table:
        if "customer_id" in table.column_names:
            ids = table.column("customer_id").cast(pa.string())
            self.guarded_ids += pc.sum(begins_formula(ids)).as_py() or 0
        return _for_spreadsheets(table)


@contextmanager
def writing_table(
    out: Path, *, keep: Iterable[Place] = (), option: str = "--out"
) -> Iterator[TableWriter]:
    """A writer for the file `out`, which appears if the block succeeds.

    Raises StorageError if it cannot be written, BusyError while another run writes it, and
    ConfigError if it is one of the places to `keep`, which the run reads. Errors refer to `out` as
    `option`.
    """
    _check_name(out, keep, option)
    holder: list[TableWriter] = []

    def facts() -> dict[str, Any]:
        return holder[0].facts

    with publish_with_manifest(out, facts) as temporary:
        holder.append(TableWriter(temporary, out.suffix))
        yield holder[0]


@contextmanager
def writing_result(
    out: Place, layout: Layout, *, keep: Iterable[Place] = (), option: str = "--out"
) -> Iterator[RowWriter]:
    """Like `writing_table`, for results that may also be written to a database, as `layout`."""
    if isinstance(out, Path):
        with writing_table(out, keep=keep, option=option) as writer:
            yield writer
        return
    from churn.storage.postgres.target import writing_rows

    _check_name(out, keep, option)
    with writing_rows(out, layout) as rows:
        yield rows


def check_out(
    out: Place,
    layout: Layout | None = None,
    *,
    keep: Iterable[Place] = (),
    option: str = "--out",
) -> None:
    """Raises an error if a result cannot be written to this place; called before anything is
    computed. Without a `layout`, only files are allowed.
    """
    _check_name(out, keep, option)
    if isinstance(out, Path):
        check_writable(out)
    elif layout is None:
        raise _no_file(option)
    else:
        from churn.storage.postgres.target import check_target

        check_target(out, layout)


def file_of(out: Path | str, *, option: str = "--out") -> Path:
    """The path of a file; ConfigError if it is the address of a database table."""
    place = place_of(out)
    if isinstance(place, TableAddress):
        raise _no_file(option)
    return place


def _no_file(option: str) -> ConfigError:
    rule = f"{option} of this result must be a file"
    return ConfigError(rule, got="a database", fix="Pass a .parquet, .csv or .xlsx file.")


def outputs(out: Place, writer: RowWriter) -> dict[Path | str, str]:
    """The file with its SHA-256, or the database table with that of its rows."""
    from churn.storage.postgres.target import RowsWriter

    if isinstance(writer, RowsWriter):
        return {str(out): writer.sha256}
    return hashed(Path(str(out)))


def _check_name(out: Place, keep: Iterable[Place], option: str) -> None:
    kind, name = ("file", out.name) if isinstance(out, Path) else ("table", str(out))
    if _resolved(out) in set(map(_resolved, keep)):
        rule = f"{option} must not be a {kind} that the command reads"
        raise ConfigError(rule, got=name, fix=f"Pass another {kind}.")
    if isinstance(out, Path) and out.suffix not in ENDINGS:
        rule = f"{option} must end in .parquet, .csv or .xlsx"
        raise ConfigError(rule, got=name, fix="Rename it.")


def _resolved(place: Place) -> Path | str:
    return place.resolve() if isinstance(place, Path) else str(place)


def read_table(
    path: Path,
    *,
    what: str = "scores",
    command: str = "score",
    schema: pa.Schema | None = None,
) -> pa.Table:
    """A written result, verified against its manifest: Parquet, or CSV and workbooks if a `schema`
    gives the types. Errors mention `what` it contains and the command that writes it.
    """
    if not path.is_file():
        rule = f"there is no file {path.name!r}"
        raise ConfigError(rule, fix=f"Write it first, e.g. with `churn {command}`.")
    if schema is not None and path.suffix in TEXT_ENDINGS:
        verify_file(path)
        return read_text(path, schema)
    if path.suffix != ".parquet":
        rule = f"the {what} must be a .parquet file"
        fix = f"Use `churn {command}` again with --out {what}.parquet."
        raise ConfigError(rule, got=path.name, fix=fix)
    verify_file(path)
    try:
        return pq.read_table(path)
    except (pa.ArrowException, OSError):
        rule = f"{path.name} must be a complete Parquet file"
        raise DataError(rule, fix=f"Write it again, e.g. with `churn {command}`.") from None


def read_result(
    place: Place, layout: Layout, *, what: str = "scores", command: str = "score"
) -> tuple[pa.Table, dict[str, Any] | None]:
    """A written result, a file or the rows of a run in a database, verified, and the facts of its
    manifest, None for a file without one.
    """
    if isinstance(place, TableAddress):
        from churn.storage.postgres.target import read_run

        return read_run(place, layout, command=command)
    table = read_table(place, what=what, command=command, schema=layout.schema)
    return table, verify_file(place)


def rounded(column: pa.ChunkedArray) -> pa.Array:
    """Floats rounded to 9 significant digits, but to no fewer than four decimals, so that no cent
    is lost.
    """
    import numpy as np

    empty = np.asarray(column.is_null().to_numpy())
    values = np.where(empty, np.nan, column.to_numpy()).astype("float64")
    size = np.abs(values)
    usual = (size > MIN_ROUNDED) & (size < MAX_ROUNDED)
    decimals = CSV_DIGITS - 1 - np.floor(np.log10(np.where(usual, size, 1.0))).astype(int)
    scale = 10.0 ** np.maximum(decimals, CSV_DECIMALS)
    result = np.where(usual, np.round(np.where(usual, values, 0.0) * scale) / scale, values)
    return pa.array(result, type=pa.float64(), mask=empty)


def guard_notes(writer: RowWriter) -> tuple[str, ...]:
    """A note if customer ids were changed in a CSV file to be safe in spreadsheets."""
    changed = writer.guarded_ids if isinstance(writer, TableWriter) else 0
    if not changed:
        return ()
    ids = "id begins" if changed == 1 else "ids begin"
    return (
        f"{changed:,} customer {ids} like a formula (=, +, - or @) and got an apostrophe in the "
        "CSV file, so that spreadsheets do not execute them. Use Parquet for programs that match "
        "ids",
    )


def _for_spreadsheets(table: pa.Table) -> pa.Table:
    """Lists as one text, floats with 9 digits, and texts that a spreadsheet would execute prefixed
    with an apostrophe.
    """
    columns = [_plain(table.column(name)) for name in table.column_names]
    return pa.table(columns, names=guarded(pa.array(table.column_names, pa.string())).to_pylist())


def _plain(column: pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """The column for CSV: texts, and nested values as text, guarded; floats rounded."""
    if pa.types.is_floating(column.type):
        return rounded(column)
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_nested(column.type):
        texts = [None if cell is None else _joined(cell) for cell in column.to_pylist()]
        return guarded(pa.array(texts, pa.string()))
    if _is_text(column.type):
        return guarded(column.cast(pa.string()))
    return column


def _is_text(kind: pa.DataType) -> bool:
    return any(
        test(kind)
        for test in (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    )


def _joined(cell: object) -> str:
    """The texts of a nested value, separated by spaces."""
    if isinstance(cell, list | tuple):
        return " ".join(_joined(item) for item in cell if item is not None)
    return " ".join(map(_joined, cell.values())) if isinstance(cell, dict) else str(cell)
