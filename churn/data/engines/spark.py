"""Spark behind the engine interface, for data that outgrows one machine.

Workers read the files and cast them with the same DuckDB SQL as every engine; operations on whole
tables are Spark's. Only small results reach the driver, and long ones one batch at a time.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic

import narwhals as nw
import pyarrow as pa

from churn.data.engines.base import Block, Cut, Frame, Relation, Sweep, agreeing
from churn.data.engines.duck import DuckDBEngine, as_arrow, constants, damaged
from churn.data.engines.parquet import plain_schema
from churn.data.engines.sessions import open_session, release_session
from churn.data.engines.tasks import PACKED, pack, read_pieces, swept, unpack

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


QUOTED = re.compile(r""""(?:[^"]|"")*"|'(?:[^']|'')*'""")
FROM_DUCKDB = re.compile(r"duckdb\.\w+: (.+)")


class SparkEngine:
    """The running Spark session, or a local one; tables are kept in its memory and on disk."""

    row_id = "monotonically_increasing_id()"

    def __init__(self, files: Iterable[Path] = (), *, memory_limit: str | None = None) -> None:
        self._session = open_session(memory_limit)
        self._reader = DuckDBEngine(files)
        self._kept: dict[str, DataFrame] = {}
        self._accepted = 0
        self._sorted: list[DataFrame] = []

    @property
    def reader(self) -> DuckDBEngine:
        """The DuckDB in the driver, which inspects files and reads frames."""
        return self._reader

    def admit(self, name: str, relation: Relation, sql: Callable[[str], str]) -> None:
        """Creates a table of that name from `sql(relation)` in DuckDB's SQL, piece by piece."""
        if not relation.files:  # a frame of this process
            self._keep(name, self._local(self._reader.query(sql(relation.sql))))
            return
        schema = self._reader.query(f"SELECT * FROM ({sql(relation.sql)}) LIMIT 0").schema
        pieces = [sql(piece) for piece in relation.pieces()]
        numbers = self._session.range(0, len(pieces), 1, len(pieces))
        read = partial(read_pieces, pieces, relation.files)
        self._keep(name, _map_in_arrow(numbers, read, schema))

    def _local(self, table: pa.Table) -> DataFrame:
        return self._session.createDataFrame(table)

    def _keep(self, name: str, frame: DataFrame) -> None:
        """Computes the table once, then releases the one that it replaces."""
        frame.persist()
        frame.count()
        frame.createOrReplaceTempView(_quoted(name))
        earlier = self._kept.pop(name, None)
        self._kept[name] = frame
        if earlier is not None:
            earlier.unpersist()

    def _sql(self, sql: str) -> DataFrame:
        return self._session.sql(QUOTED.sub(_with_plain_backslashes, sql))

    def query(self, sql: str) -> pa.Table:
        """The small result of a query as an Arrow table."""
        return _plain(self._sql(sql).toArrow())

    def rows(self, sql: str) -> list[dict[str, object]]:
        """The small result of a query as a list of dictionaries."""
        found: list[dict[str, object]] = self.query(sql).to_pylist()
        return found

    def columns(self, name: str) -> list[str]:
        """The columns of the table with that name."""
        return list(self._session.table(_quoted(name)).columns)

    def create(self, name: str, sql: str) -> None:
        """Creates a table of that name from the query's result, replacing an earlier one."""
        self._keep(name, self._sql(sql))

    def may_agree(self, name: str, columns: Sequence[str]) -> bool:
        """True: Spark has no way to tell that is quicker than to compare the rows."""
        return True

    def all_differ(self, name: str, columns: Sequence[str]) -> bool:
        """Whether no two rows of the table agree in all of those columns."""
        return not self.rows(agreeing(name, columns))

    def drop_column(self, name: str, column: str) -> None:
        """The table without that column."""
        left = [known for known in self.columns(name) if known != column]
        frame = self._session.table(_quoted(name)).select(*map(_quoted, left))
        frame.createOrReplaceTempView(_quoted(name))

    def lazy(self, name: str) -> Frame:
        """The table with that name, as a lazy frame of Spark."""
        return nw.from_native(self._session.table(_quoted(name)))

    def store(self, frame: Frame, name: str) -> None:
        """Creates a table of that name with the frame's rows, computed once, spilled if large."""
        self._keep(name, frame.to_native())

    def sorted(self, frame: Frame, by: Sequence[str], cut: Cut[Block]) -> SparkBlocks[Block]:
        """The frame's rows in that order within partitions, kept in memory and on disk; workers cut
        them into blocks.
        """
        rows = frame.to_native()
        ordered = rows.repartitionByRange(_quoted(by[0])).sortWithinPartitions(*map(_quoted, by))
        self._sorted.append(ordered.persist())
        return SparkBlocks(self, ordered, cut)

    def accept(self, frame: object) -> str:
        """Creates a table from an Arrow, pandas or Polars frame; returns its name."""
        self._accepted += 1
        name = f"frame_{self._accepted}"
        self._local(as_arrow(frame)).createOrReplaceTempView(name)
        return name

    def values(self, columns: Mapping[str, Sequence[object]]) -> Frame:
        """A small table of constants, as a lazy frame."""
        return nw.from_native(self._local(constants(columns)))

    def batches(self, frame: Frame, *, rows: int = 100_000) -> Iterator[pa.RecordBatch]:
        """The frame's rows in Arrow batches, one partition after another."""
        schema = _arrow_schema(frame.to_native())
        packed = _map_in_arrow(frame.to_native(), pack, PACKED)
        for row in packed.toLocalIterator(prefetchPartitions=True):
            for batch in unpack(row.batch):
                for start in range(0, batch.num_rows, rows):
                    yield batch.slice(start, rows).cast(schema)

    def collect(self, frame: Frame) -> pa.Table:
        """The frame's rows as one Arrow table, in the driver's memory."""
        return _plain(frame.to_native().toArrow())

    @contextmanager
    def reading(self, source: str) -> Iterator[None]:
        """Converts errors while a source is read into our own, naming the source."""
        from pyspark.errors import PySparkException

        try:
            with self._reader.reading(source):
                yield
        except PySparkException as failure:
            said = FROM_DUCKDB.findall(str(failure))
            if not said:
                raise
            raise damaged(source, said[-1]) from None

    def close(self) -> None:
        """Releases its tables; stops Spark if it was started here and nothing else uses it."""
        for name, frame in self._kept.items():
            frame.unpersist()
            self._session.catalog.dropTempView(name)
        for frame in self._sorted:
            frame.unpersist()
        self._reader.close()
        release_session(self._session)


class SparkBlocks(Generic[Block]):
    """Sorted rows in Spark, cut into blocks anew by each sweep, which the workers run."""

    def __init__(self, engine: SparkEngine, ordered: DataFrame, cut: Cut[Block]) -> None:
        self._engine = engine
        self._ordered = ordered
        self._cut = cut

    def batches(self, sweep: Sweep[Block], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        """What the function makes of the blocks, one partition after another."""
        return self._engine.batches(nw.from_native(self._swept(sweep, schema)))

    def stored(self, sweep: Sweep[Block], schema: pa.Schema, name: str) -> Frame:
        """The same as a table of that name."""
        self._engine.store(nw.from_native(self._swept(sweep, schema)), name)
        return self._engine.lazy(name)

    def _swept(self, sweep: Sweep[Block], schema: pa.Schema) -> DataFrame:
        return _map_in_arrow(self._ordered, partial(swept, self._cut, sweep, schema), schema)


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _plain(table: pa.Table) -> pa.Table:
    return table.cast(plain_schema(table.schema))


def _with_plain_backslashes(quoted: re.Match[str]) -> str:
    """A constant in which Spark also treats a backslash as an ordinary character."""
    return quoted[0].replace("\\", "\\\\") if quoted[0].startswith("'") else quoted[0]


def _map_in_arrow(
    frame: DataFrame, function: Callable[[Iterable[Any]], Iterator[Any]], schema: pa.Schema
) -> DataFrame:
    from pyspark.sql.pandas.types import from_arrow_schema

    with warnings.catch_warnings():
        # Spark warns about pandas 3, which a map over Arrow does not use.
        warnings.filterwarnings("ignore", "PySpark does not yet fully support", FutureWarning)
        return frame.mapInArrow(function, from_arrow_schema(schema))


def _arrow_schema(frame: DataFrame) -> pa.Schema:
    from pyspark.sql.pandas.types import to_arrow_schema

    return plain_schema(to_arrow_schema(frame.schema))
