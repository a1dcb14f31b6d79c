"""Polars behind the engine interface: files are imported through DuckDB, frames run in Polars.

A table is handed over when a frame first needs it, and DuckDB then reads Polars' copy, so that it
is held in memory once. SQL for small results stays with DuckDB.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import narwhals as nw
import polars as pl
import pyarrow as pa

from churn.data.engines.base import Block, Cut, Frame, Relation, identifier
from churn.data.engines.duck import SORTED_AT_ONCE, DuckDBEngine, as_arrow, constants
from churn.data.engines.kept import KeptBlocks
from churn.data.engines.parquet import plain_schema


class PolarsEngine:
    """Polars in this process, behind a DuckDB that can open no file except `files`."""

    row_id = "rowid"

    def __init__(self, files: Iterable[Path] = ()) -> None:
        self._reader = DuckDBEngine(files)
        self._frames: dict[str, pl.DataFrame] = {}
        self._accepted = 0

    @property
    def reader(self) -> DuckDBEngine:
        """The DuckDB through which files and frames are imported."""
        return self._reader

    def admit(self, name: str, relation: Relation, sql: Callable[[str], str]) -> None:
        """Creates a table of that name from `sql(relation)` in DuckDB's SQL."""
        self.create(name, sql(relation.sql))

    def query(self, sql: str) -> pa.Table:
        """The small result of a DuckDB query as an Arrow table."""
        return self._reader.query(sql)

    def rows(self, sql: str) -> list[dict[str, object]]:
        """The small result of a DuckDB query as a list of dictionaries."""
        return self._reader.rows(sql)

    def columns(self, name: str) -> list[str]:
        """The columns of the table with that name."""
        return self._reader.columns(name)

    def create(self, name: str, sql: str) -> None:
        """Creates a table of that name with DuckDB, replacing an earlier one."""
        if name not in self._frames:
            self._reader.create(name, sql)
            return
        made = self._reader.query(sql)
        self._keep(name, _frame(made))

    def may_agree(self, name: str, columns: Sequence[str]) -> bool:
        """Whether the hashes of two rows agree in those columns."""
        return self._reader.may_agree(name, columns)

    def all_differ(self, name: str, columns: Sequence[str]) -> bool:
        """Whether no two rows of the table agree in all of those columns, according to DuckDB."""
        return self._reader.all_differ(name, columns)

    def drop_column(self, name: str, column: str) -> None:
        """The table without that column."""
        if name in self._frames:
            self._keep(name, self._frames[name].drop(column))
        else:
            self._reader.drop_column(name, column)

    def lazy(self, name: str) -> Frame:
        """The table with that name, as a lazy frame of Polars."""
        if name not in self._frames:
            self._keep(name, _frame(self._reader.query(f"SELECT * FROM {identifier(name)}")))
        return nw.from_native(self._frames[name].lazy())

    def _keep(self, name: str, frame: pl.DataFrame) -> None:
        """Keeps the table in Polars, and exposes it to DuckDB under the same name."""
        self._frames[name] = frame
        self._reader.show(name, _arrow(frame))

    def store(self, frame: Frame, name: str) -> None:
        """Creates a table of that name with the frame's rows, computed once, in memory."""
        self._keep(name, frame.to_native().collect(engine="streaming"))

    def sorted(self, frame: Frame, by: Sequence[str], cut: Cut[Block]) -> KeptBlocks[Block]:
        """The frame's rows in that order, kept in the blocks into which `cut` makes them."""
        return KeptBlocks(cut(self.batches(frame.sort(*by), rows=SORTED_AT_ONCE)), self._import)

    def _import(self, batches: pa.RecordBatchReader, name: str) -> Frame:
        """A table of that name with those rows."""
        self._keep(name, _frame(batches.read_all()))
        return self.lazy(name)

    def accept(self, frame: object) -> str:
        """Creates a table from an Arrow, pandas or Polars frame; returns its name."""
        self._accepted += 1
        name = f"polars_frame_{self._accepted}"
        self._keep(name, _frame(as_arrow(frame)))
        return name

    def values(self, columns: Mapping[str, Sequence[object]]) -> Frame:
        """A small table of constants, as a lazy frame."""
        return nw.from_native(_frame(constants(columns)).lazy())

    def batches(self, frame: Frame, *, rows: int = 100_000) -> Iterator[pa.RecordBatch]:
        """The frame's rows in Arrow batches, from Polars' streaming engine."""
        lazy = frame.to_native()
        schema = _schema(lazy)
        for piece in lazy.collect_batches(chunk_size=rows, engine="streaming"):
            for slice_ in piece.iter_slices(rows):
                yield from _arrow(slice_).cast(schema).combine_chunks().to_batches()

    def collect(self, frame: Frame) -> pa.Table:
        """The frame's rows as one Arrow table."""
        collected = _arrow(frame.to_native().collect(engine="streaming"))
        return collected.cast(plain_schema(collected.schema))

    def reading(self, source: str) -> AbstractContextManager[None]:
        """Converts DuckDB's errors while a source is read into our own, naming the source."""
        return self._reader.reading(source)

    def close(self) -> None:
        """Releases the tables and closes DuckDB."""
        self._frames.clear()
        self._reader.close()


def _frame(table: pa.Table) -> pl.DataFrame:
    frame = pl.from_arrow(table, rechunk=False)
    assert isinstance(frame, pl.DataFrame)
    return frame


def _arrow(frame: pl.DataFrame) -> pa.Table:
    return frame.to_arrow(compat_level=pl.CompatLevel.oldest())


def _schema(lazy: pl.LazyFrame) -> pa.Schema:
    return plain_schema(_arrow(pl.DataFrame(schema=lazy.collect_schema())).schema)
