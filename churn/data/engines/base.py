"""The interface of all engines, and the SQL quoting that they share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar

import narwhals as nw

if TYPE_CHECKING:
    import pyarrow as pa

    from churn.data.engines.duck import DuckDBEngine


Frame: TypeAlias = "nw.LazyFrame[Any]"
Block = TypeVar("Block")
Kept_co = TypeVar("Kept_co", covariant=True)
Cut: TypeAlias = "Callable[[Iterable[pa.RecordBatch]], Iterator[Block]]"
Sweep: TypeAlias = "Callable[[Iterable[Block]], Iterator[pa.RecordBatch]]"


@dataclass(frozen=True)
class Relation:
    """Rows that DuckDB can read: `sql` reads all of them, `pieces` the same in parts.

    Without `files` it is a table that the import database already holds. `unread` are columns of
    the source that were not read, `notes` describe what was left out of the files.
    """

    sql: str
    files: tuple[Path, ...] = ()
    pieces: Callable[[], Sequence[str]] = tuple
    unread: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class SortedRows(Protocol[Kept_co]):
    """Blocks of sorted rows that an engine keeps, to be swept several times."""

    def batches(self, sweep: Sweep[Kept_co], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        """What the function makes of the blocks, each block once, in Arrow batches."""

    def stored(self, sweep: Sweep[Kept_co], schema: pa.Schema, name: str) -> Frame:
        """The same as a table of that name."""


class Engine(Protocol):
    """Tables by name, SQL for small results, lazy frames for everything else.

    SQL that runs on an engine is limited to what both DuckDB and Spark understand. `row_id` is the
    SQL of a number that identifies a row.
    """

    row_id: str

    @property
    def reader(self) -> DuckDBEngine:
        """The DuckDB through which files and frames are imported, the same for every engine."""

    def admit(self, name: str, relation: Relation, sql: Callable[[str], str]) -> None:
        """Creates a table of that name from `sql(relation)` in DuckDB's SQL, row by row."""

    def query(self, sql: str) -> pa.Table:
        """The small result of a query as an Arrow table."""

    def rows(self, sql: str) -> list[dict[str, object]]:
        """The small result of a query as a list of dictionaries."""

    def columns(self, name: str) -> list[str]:
        """The columns of the table with that name."""

    def create(self, name: str, sql: str) -> None:
        """Creates a table of that name from the query's result, replacing an earlier one."""

    def may_agree(self, name: str, columns: Sequence[str]) -> bool:
        """False if no two rows of the table agree in all of those columns, as far as can be seen
        quickly; True if some do, or if only a slower query would tell.
        """

    def all_differ(self, name: str, columns: Sequence[str]) -> bool:
        """Whether no two rows of the table agree in all of those columns."""

    def drop_column(self, name: str, column: str) -> None:
        """The table without that column."""

    def lazy(self, name: str) -> Frame:
        """The table with that name, as a lazy frame."""

    def store(self, frame: Frame, name: str) -> None:
        """Creates a table of that name with the frame's rows, computed once."""

    def sorted(self, frame: Frame, by: Sequence[str], cut: Cut[Block]) -> SortedRows[Block]:
        """The frame's rows in that order, kept in the blocks into which `cut` makes them.

        The rows that agree in the first of `by` reach `cut` together.
        """

    def accept(self, frame: object) -> str:
        """Creates a table from an Arrow, pandas or Polars frame; returns its name."""

    def values(self, columns: Mapping[str, Sequence[object]]) -> Frame:
        """A small table of constants, as a lazy frame."""

    def batches(self, frame: Frame, *, rows: int = 100_000) -> Iterator[pa.RecordBatch]:
        """The frame's rows in Arrow batches, so that no result has to fit in memory."""

    def collect(self, frame: Frame) -> pa.Table:
        """The frame's rows as one Arrow table."""

    def reading(self, source: str) -> AbstractContextManager[None]:
        """Converts the engine's errors while a source is read into our own, naming the source."""

    def close(self) -> None:
        """Closes what the engine opened and removes its spilled files."""


def identifier(name: str) -> str:
    """A quoted SQL name.

    >>> print(identifier('t"; drop table x'))
    "t""; drop table x"
    """
    return '"' + name.replace('"', '""') + '"'


def agreeing(name: str, columns: Sequence[str]) -> str:
    """The SQL that gives one row if two rows of the table agree in those columns, else none."""
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
