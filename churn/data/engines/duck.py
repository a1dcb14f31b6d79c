"""DuckDB: a locked-down database that reads only the files it was given."""

from __future__ import annotations

import itertools
import re
import shutil
import tempfile
import warnings
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb
import narwhals as nw
import numpy as np
import pyarrow as pa

from churn.data.engines.base import (
    Block,
    Cut,
    Frame,
    Relation,
    agreeing,
    identifier,
    literal,
)
from churn.data.engines.kept import KeptBlocks
from churn.errors import DataError, StorageError
from churn.storage.locks import Process

NAME = re.compile(r"churn-spill-(\d+)-(\d+)-\w+")


# What DuckDB raises for a damaged or mislabelled file; anything else is a bug of ours.
DAMAGED = (
    duckdb.Error,
    duckdb.InvalidInputException,
    duckdb.IOException,
    duckdb.SerializationException,
)
HASHES_AT_ONCE = 16_000_000
SORTED_AT_ONCE = 250_000


def new_spill_folder() -> str:
    """A new private folder, whose name contains the process that owns it."""
    remove_dead_spills()
    owner = Process.current()
    return tempfile.mkdtemp(prefix=f"churn-spill-{owner.pid}-{owner.started}-")


def remove_dead_spills() -> int:
    """Removes the folders of processes that have ended; returns their number."""
    found = [(path, NAME.fullmatch(path.name)) for path in Path(tempfile.gettempdir()).iterdir()]
    dead = [
        path
        for path, match in found
        if match and not Process(pid=int(match[1]), started=int(match[2])).is_alive
    ]
    for path in dead:
        shutil.rmtree(path, ignore_errors=True)
    return len(dead)


class DuckDBEngine:
    """An embedded DuckDB that spills to a private folder and can open no file except `files`.

    `memory_limit` is in DuckDB's own notation, e.g. "2GB"; `threads` is the number of cores to use.
    """

    row_id = "rowid"

    def __init__(
        self,
        files: Iterable[Path] = (),
        *,
        memory_limit: str | None = None,
        threads: int | None = None,
    ) -> None:
        self._spill = new_spill_folder()
        self._cleanup = weakref.finalize(self, shutil.rmtree, self._spill, ignore_errors=True)
        self._names = itertools.count()
        self._connection = duckdb.connect()
        # Results stream through a connection of their own, so that other queries may run meanwhile.
        self._streaming = self._connection.cursor()
        settings: dict[str, object] = {
            "temp_directory": self._spill,
            "preserve_insertion_order": False,
        }
        if memory_limit is not None:
            settings["memory_limit"] = memory_limit
        if threads is not None:
            settings["threads"] = threads
        for name, value in settings.items():
            self._connection.execute(f"SET {name} = {literal(value)}")
        for connection in (self._connection, self._streaming):
            _quiet_and_in_utc(connection)
        self._lock_down([str(path) for path in files])

    def _lock_down(self, files: list[str]) -> None:
        listed = ", ".join(literal(path) for path in files)
        self._connection.execute(f"SET allowed_paths = [{listed}]")
        self._connection.execute("SET enable_external_access = false")
        self._connection.execute("SET lock_configuration = true")

    @property
    def reader(self) -> DuckDBEngine:
        """The engine itself."""
        return self

    def admit(self, name: str, relation: Relation, sql: Callable[[str], str]) -> None:
        """Creates a table of that name from `sql(relation)`."""
        self.create(name, sql(relation.sql))

    def query(self, sql: str) -> pa.Table:
        """The result of a query as an Arrow table."""
        return self._connection.sql(sql).to_arrow_table()

    def rows(self, sql: str) -> list[dict[str, object]]:
        """The result of a small query as a list of dictionaries."""
        found: list[dict[str, object]] = self.query(sql).to_pylist()
        return found

    def columns(self, name: str) -> list[str]:
        """The columns of the table with that name."""
        return list(self._connection.table(identifier(name)).columns)

    def create(self, name: str, sql: str) -> None:
        """Creates a table of that name from the query's result, replacing an earlier one."""
        self._connection.execute(f"CREATE OR REPLACE TABLE {identifier(name)} AS {sql}")

    def may_agree(self, name: str, columns: Sequence[str]) -> bool:
        """Whether the hashes of two rows agree; rows with different ones differ."""
        return not all(self._hashes_differ(part) for part in self._hashes(name, columns))

    def all_differ(self, name: str, columns: Sequence[str]) -> bool:
        """Whether no two rows of the table agree in all of those columns; rows are compared only
        if their hashes agree.
        """
        return not self.may_agree(name, columns) or not self.rows(agreeing(name, columns))

    def _hashes(self, name: str, columns: Sequence[str]) -> Iterator[pa.Table]:
        """The rows' hashes in parts that fit in memory; equal hashes are in the same part."""
        hashed = f"hash({', '.join(map(identifier, columns))})"
        rows = self._connection.table(identifier(name)).shape[0]
        parts = rows // HASHES_AT_ONCE + 1
        for part in range(parts):
            yield self.query(
                f"SELECT {hashed} AS h FROM {identifier(name)} WHERE {hashed} % {parts} = {part}"
            )

    @staticmethod
    def _hashes_differ(hashes: pa.Table) -> bool:
        # PyArrow's own conversion would import pandas
        chunks = [c for c in hashes["h"].chunks if len(c)]
        parts = [np.frombuffer(c.buffers()[1], np.uint64, len(c), c.offset * 8) for c in chunks]
        ordered = np.sort(np.concatenate(parts)) if parts else np.empty(0, np.uint64)
        return not (ordered[1:] == ordered[:-1]).any()

    def drop_column(self, name: str, column: str) -> None:
        """The table without that column."""
        self._connection.execute(f"ALTER TABLE {identifier(name)} DROP {identifier(column)}")

    def lazy(self, name: str) -> Frame:
        """The table with that name, as a lazy frame."""
        return nw.from_native(self._connection.table(identifier(name)))

    def store(self, frame: Frame, name: str) -> None:
        """Creates a table of that name with the frame's rows, computed once, spilled if large."""
        with self._connection_errors(name):
            self.create(name, frame.to_native().sql_query())

    def sorted(self, frame: Frame, by: Sequence[str], cut: Cut[Block]) -> KeptBlocks[Block]:
        """The frame's rows in that order, kept in the blocks into which `cut` makes them."""
        with self._connection_errors("history"):
            ordered = self.stream(frame.sort(*by).to_native().sql_query(), rows=SORTED_AT_ONCE)
            return KeptBlocks(cut(ordered), self._import)

    def _import(self, batches: pa.RecordBatchReader, name: str) -> Frame:
        """A table of that name with those rows."""
        with self._seen(batches) as view:
            self.create(name, f"SELECT * FROM {view}")
        return self.lazy(name)

    def accept(self, frame: object) -> str:
        """Creates a table from an Arrow, pandas or Polars frame; returns its name."""
        name = f"frame_{next(self._names)}"
        with self._seen(as_arrow(frame)) as view:
            self.create(name, f"SELECT * FROM {view}")
        return name

    def show(self, name: str, table: pa.Table) -> None:
        """Exposes the Arrow table, uncopied, under that name, replacing an earlier table."""
        self._connection.unregister(name)
        self._connection.execute(f"DROP TABLE IF EXISTS {identifier(name)}")
        self._connection.register(name, table)

    def values(self, columns: Mapping[str, Sequence[object]]) -> Frame:
        """A small table of constants, as a lazy frame."""
        return self.lazy(self.accept(constants(columns)))

    @contextmanager
    def _seen(self, table: pa.Table | pa.RecordBatchReader) -> Iterator[str]:
        """The temporary name under which DuckDB sees Arrow rows."""
        view = f"view_{next(self._names)}"
        self._connection.register(view, table)
        try:
            yield identifier(view)
        finally:
            self._connection.unregister(view)

    def batches(self, frame: Frame, *, rows: int = 100_000) -> Iterator[pa.RecordBatch]:
        """The frame's rows in Arrow batches, so that no result has to fit in memory."""
        with self._connection_errors("result"):
            yield from self._reader(frame, rows)

    def _reader(self, frame: Frame, rows: int) -> pa.RecordBatchReader:
        return self.stream(frame.to_native().sql_query(), rows=rows)

    def stream(self, sql: str, *, rows: int = 100_000) -> pa.RecordBatchReader:
        """The result of a query in Arrow batches; one stream at a time."""
        return self._streaming.sql(sql).to_arrow_reader(rows)

    def collect(self, frame: Frame) -> pa.Table:
        """The frame's rows as one Arrow table."""
        with self._connection_errors("result"):
            return frame.to_native().to_arrow_table()

    def close(self) -> None:
        """Closes the connections and removes their spilled files."""
        self._streaming.close()
        self._connection.close()
        self._cleanup()

    @contextmanager
    def reading(self, source: str) -> Iterator[None]:
        """Converts DuckDB's errors while a source is read into our own, naming the source."""
        with self._connection_errors(source):
            yield

    @contextmanager
    def _connection_errors(self, source: str) -> Iterator[None]:
        try:
            yield
        except duckdb.OutOfMemoryException:
            limit = self.rows("SELECT current_setting('memory_limit') AS v")[0]["v"]
            rule = f"the memory limit of {limit} is too small for {source}"
            fix = "Raise [data] memory_limit or free space for spilling."
            raise StorageError(rule, fix=fix) from None
        except duckdb.Error as failure:
            if type(failure) not in DAMAGED:
                raise
            raise damaged(source, str(failure)) from None


def damaged(source: str, said: str) -> DataError:
    """The error for a damaged or mislabelled file, with DuckDB's explanation in one line."""
    # Files by name, without their folders.
    line = re.sub(r"'[^']*/([^'/]*)'", r"'\1'", said.strip().splitlines()[0])[:160]
    rule = f"{source} must be a complete, readable file of its kind"
    return DataError(rule, got=line, fix="Export it again.")


def _quiet_and_in_utc(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("SET TimeZone = 'UTC'")
    # In a notebook without ipywidgets the progress bar fails even when mentioned.
    (shown,) = connection.sql("SELECT current_setting('enable_progress_bar')").fetchall()
    if shown[0]:
        connection.execute("SET enable_progress_bar = false")


def as_arrow(frame: object) -> pa.Table:
    """An Arrow, pandas or Polars frame as an Arrow table."""
    if isinstance(frame, pa.Table):
        return frame
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pandas 3 warns about the way pyarrow reads it
            return pa.table(frame)
    except (TypeError, ValueError) as failure:
        raise DataError(
            "a table must be a pandas, Polars or Arrow frame with one type per column",
            got=type(failure).__name__,
            fix="Give each column its own name, and make e.g. ids all text: .astype(str).",
        ) from None


def constants(columns: Mapping[str, Sequence[object]]) -> pa.Table:
    """A small Arrow table of those values."""
    return pa.table({name: pa.array(values) for name, values in columns.items()})
