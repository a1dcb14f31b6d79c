"""The one door to DuckDB: a locked-down connection that reads only the files it was told of."""

import itertools
import re
import shutil
import tempfile
import warnings
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import duckdb
import narwhals as nw
import pyarrow as pa

from churn.errors import DataError, StorageError

__all__ = ["DuckDBEngine", "Frame", "identifier", "literal"]

Frame: TypeAlias = "nw.LazyFrame[Any]"

# What DuckDB raises at a file that is not what its name says; anything else is a bug of ours.
DAMAGED = (
    duckdb.Error,
    duckdb.InvalidInputException,
    duckdb.IOException,
    duckdb.SerializationException,
)


class DuckDBEngine:
    """An embedded DuckDB that spills to a private folder and can open no file but `files`.

    `memory_limit` is DuckDB's own notation, e.g. "2GB"; `threads` the cores to use.
    """

    def __init__(
        self,
        files: Iterable[Path] = (),
        *,
        memory_limit: str | None = None,
        threads: int | None = None,
    ) -> None:
        self._spill = tempfile.mkdtemp(prefix="churn-spill-")
        self._cleanup = weakref.finalize(self, shutil.rmtree, self._spill, ignore_errors=True)
        self._names = itertools.count()
        self._connection = duckdb.connect()
        settings: dict[str, object] = {
            "temp_directory": self._spill,
            "TimeZone": "UTC",
            "preserve_insertion_order": False,
        }
        if memory_limit is not None:
            settings["memory_limit"] = memory_limit
        if threads is not None:
            settings["threads"] = threads
        # In a notebook without ipywidgets the bar is off and refuses to be mentioned.
        if self.rows("SELECT current_setting('enable_progress_bar') AS shown")[0]["shown"]:
            settings["enable_progress_bar"] = False
        for name, value in settings.items():
            self._connection.execute(f"SET {name} = {literal(value)}")
        self._lock_down([str(path) for path in files])

    def _lock_down(self, files: list[str]) -> None:
        listed = ", ".join(literal(path) for path in files)
        self._connection.execute(f"SET allowed_paths = [{listed}]")
        self._connection.execute("SET enable_external_access = false")
        self._connection.execute("SET lock_configuration = true")

    def query(self, sql: str) -> pa.Table:
        """The result of a query as an Arrow table."""
        return self._connection.sql(sql).to_arrow_table()

    def rows(self, sql: str) -> list[dict[str, object]]:
        """The result of a small query as a list of dictionaries."""
        found: list[dict[str, object]] = self.query(sql).to_pylist()
        return found

    def create(self, name: str, sql: str) -> None:
        """A table of that name, made of the query's result, in the place of an earlier one."""
        self._connection.execute(f"CREATE OR REPLACE TEMP TABLE {identifier(name)} AS {sql}")

    def drop_column(self, name: str, column: str) -> None:
        """The table without that column."""
        self._connection.execute(f"ALTER TABLE {identifier(name)} DROP {identifier(column)}")

    def lazy(self, name: str) -> Frame:
        """The table of that name, as a lazy frame."""
        return nw.from_native(self._connection.table(identifier(name)))

    def store(self, frame: Frame, name: str) -> None:
        """A table of that name that holds the frame's rows, computed once, spilled if large."""
        with self._connection_errors(name):
            self.create(name, frame.to_native().sql_query())

    def accept(self, frame: object) -> str:
        """A new table that holds an Arrow, pandas or Polars frame; its name."""
        name = f"frame_{next(self._names)}"
        view = f"{name}_view"
        self._connection.register(view, _as_arrow(frame))
        self.create(name, f"SELECT * FROM {identifier(view)}")
        self._connection.unregister(view)
        return name

    def values(self, columns: Mapping[str, Sequence[object]]) -> Frame:
        """A small table of constants, as a lazy frame."""
        return self.lazy(self.accept(pa.table({k: pa.array(v) for k, v in columns.items()})))

    def batches(self, frame: Frame, *, rows: int = 100_000) -> Iterator[pa.RecordBatch]:
        """The frame's rows in Arrow batches, so that no result has to fit in memory."""
        with self._connection_errors("result"):
            yield from frame.to_native().to_arrow_reader(rows)

    def collect(self, frame: Frame) -> pa.Table:
        """The frame's rows as one Arrow table."""
        with self._connection_errors("result"):
            return frame.to_native().to_arrow_table()

    def close(self) -> None:
        """Ends the connection and removes what it spilled."""
        self._connection.close()
        self._cleanup()

    @contextmanager
    def reading(self, source: str) -> Iterator[None]:
        """Turns DuckDB's failures while a source is read into our own, naming the source."""
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
            raise DataError(
                f"{source} must be a whole, readable file of its kind",
                got=_first_line(failure),
                fix="Export it again.",
            ) from None


def _first_line(failure: Exception) -> str:
    """What went wrong in a line, files by their names alone."""
    text = str(failure).strip().splitlines()[0]
    return re.sub(r"'[^']*/([^'/]*)'", r"'\1'", text)[:160]


def _as_arrow(frame: object) -> pa.Table:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pyarrow's way of reading pandas 3 makes pandas warn
            return pa.table(frame)
    except (TypeError, ValueError) as failure:
        raise DataError(
            "a table must be a pandas, Polars or Arrow frame with one type a column",
            got=type(failure).__name__,
            fix="Give each column its own name, and make e.g. ids all text: .astype(str).",
        ) from None


def identifier(name: str) -> str:
    """A quoted SQL name.

    >>> print(identifier('t"; drop table x'))
    "t""; drop table x"
    """
    return '"' + name.replace('"', '""') + '"'


def literal(value: object) -> str:
    """A quoted SQL constant.

    >>> print(literal("it's"))
    'it''s'
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    return "'" + str(value).replace("'", "''") + "'"
