"""The interface of every engine, and the SQL names and constants that all of them read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import narwhals as nw

if TYPE_CHECKING:
    import pyarrow as pa

    from churn.data.engines.duck import DuckDBEngine


Frame: TypeAlias = "nw.LazyFrame[Any]"
RowFunction: TypeAlias = "Callable[[pa.Table], pa.Table]"
Sweep: TypeAlias = "Callable[[Iterable[pa.RecordBatch]], Iterator[pa.Table]]"


@dataclass(frozen=True)
class Relation:
    """Rows that DuckDB can read: `sql` reads all of them, `pieces` the same in parts.

    Without `files` it is a table that the door holds already. `unread` are columns that the
    source has and that were left there, `notes` what was left out of the files, in words.
    """

    sql: str
    files: tuple[Path, ...] = ()
    pieces: Callable[[], Sequence[str]] = tuple
    unread: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class Engine(Protocol):
    """Tables by name, SQL for small results, lazy frames for everything else.

    SQL that runs on an engine keeps to what DuckDB and Spark both read. `row_id` is the SQL
    of a number that tells rows apart.
    """

    row_id: str

    @property
    def door(self) -> DuckDBEngine:
        """The DuckDB through which files and frames come in, the same on every engine."""

    def admit(self, name: str, relation: Relation, sql: Callable[[str], str]) -> None:
        """A table of that name: what `sql(relation)` says in DuckDB's SQL, row by row."""

    def query(self, sql: str) -> pa.Table:
        """The small result of a query as an Arrow table."""

    def rows(self, sql: str) -> list[dict[str, object]]:
        """The small result of a query as a list of dictionaries."""

    def columns(self, name: str) -> list[str]:
        """The columns of the table of that name."""

    def create(self, name: str, sql: str) -> None:
        """A table of that name, made of the query's result, in the place of an earlier one."""

    def all_differ(self, name: str, columns: Sequence[str]) -> bool:
        """Whether no two rows of the table agree in all of those columns."""

    def drop_column(self, name: str, column: str) -> None:
        """The table without that column."""

    def lazy(self, name: str) -> Frame:
        """The table of that name, as a lazy frame."""

    def store(self, frame: Frame, name: str) -> None:
        """A table of that name that holds the frame's rows, computed once."""

    def sweep(self, frame: Frame, name: str, function: Sweep, *, by: Sequence[str]) -> bool:
        """A table of that name that holds the frame's rows after a function that sees them sorted,
        batch by batch; False where the engine is better off without, and nothing was made.
        """

    def accept(self, frame: object) -> str:
        """A new table that holds an Arrow, pandas or Polars frame; its name."""

    def values(self, columns: Mapping[str, Sequence[object]]) -> Frame:
        """A small table of constants, as a lazy frame."""

    def mapped(self, frame: Frame, function: RowFunction, columns: Mapping[str, Any]) -> Frame:
        """The frame's rows after a function that takes and gives Arrow tables.

        The function sees the rows in tables of any size and order; `columns` are the names and
        Arrow types of what it gives.
        """

    def batches(self, frame: Frame, *, rows: int = 100_000) -> Iterator[pa.RecordBatch]:
        """The frame's rows in Arrow batches, so that no result has to fit in memory."""

    def collect(self, frame: Frame) -> pa.Table:
        """The frame's rows as one Arrow table."""

    def write_parquet(
        self,
        frame: Frame,
        path: Path,
        *,
        sort_by: Sequence[str] = (),
        cuts: Sequence[str] = (),
        compression: str = "zstd",
    ) -> int:
        """One Parquet file with the frame's rows in that order, written batch by batch; rows.

        `cuts` are values of the first of `sort_by`, in order: where an engine computes a frame
        anew for each range between them, it needs the memory of the largest range only.
        """

    def reading(self, source: str) -> AbstractContextManager[None]:
        """Turns the engine's failures while a source is read into our own, naming the source."""

    def close(self) -> None:
        """Ends what the engine began and removes what it spilled."""


def identifier(name: str) -> str:
    """A quoted SQL name.

    >>> print(identifier('t"; drop table x'))
    "t""; drop table x"
    """
    return '"' + name.replace('"', '""') + '"'


def agreeing(name: str, columns: Sequence[str]) -> str:
    """The SQL for one row where two rows of the table agree in those columns, else none."""
    listed = ", ".join(map(identifier, columns))
    groups = f"SELECT {listed} FROM {identifier(name)} GROUP BY {listed} HAVING count(*) > 1"
    return f"SELECT 1 AS found FROM ({groups}) AS agreeing LIMIT 1"


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
