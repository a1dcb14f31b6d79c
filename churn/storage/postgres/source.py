"""PostgreSQL as a source of tables: their columns, and their rows as Arrow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from churn.storage.postgres.address import TableAddress, identifier, table_address

if TYPE_CHECKING:
    from churn.storage.postgres.connection import Server
    from churn.storage.postgres.layout import KnownTable

# Types that Arrow and the import read unchanged; all others arrive as PostgreSQL's text.
AS_THEY_ARE = {"boolean", "smallint", "integer", "bigint", "real", "double precision"}
TEXTS = {"text", "character varying", "name"}
TIMES = {"date", "timestamp without time zone", "timestamp with time zone"}
LATEST = "290000-01-01"  # Arrow's microseconds end a little later


class PostgresSource:
    """Addresses are `postgresql://user@host:5432/database#schema.table`."""

    schemes = ("postgresql", "postgres")

    def address(self, text: str, *, what: str, folder: Path) -> TableAddress:
        """The table that the text names; ConfigError about `what` if it is not an address."""
        return table_address(text, what=what)

    @contextmanager
    def snapshot(self, address: TableAddress) -> Iterator[PostgresSnapshot]:
        """The address's database at one moment."""
        from churn.storage.postgres.connection import connected

        with connected(address) as server, server.snapshot():
            yield PostgresSnapshot(server)


class PostgresSnapshot:
    """The tables of one database at one moment."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._known: dict[TableAddress, KnownTable] = {}

    def columns(self, address: TableAddress, *, fix: str) -> Mapping[str, str]:
        """The columns of a table and their types; DataError with that fix if it does not exist."""
        from churn.storage.postgres.layout import existing_table

        self._known[address] = existing_table(self._server, address, fix=fix)
        return self._known[address].columns

    def read(
        self, address: TableAddress, names: Sequence[str]
    ) -> AbstractContextManager[tuple[Any, Iterator[Any]]]:
        """The Arrow schema and batches of these columns, which `columns` returned before."""
        table = self._known[address]
        shown = [f"{_as_read(name, table.columns[name])} AS {identifier(name)}" for name in names]
        return self._server.reading(f"SELECT {', '.join(shown)} FROM {table.sql}")


def _as_read(name: str, kind: str) -> str:
    """The SQL of a column in a type that Arrow represents exactly.

    A numeric arrives as text, because it may have more digits than any Arrow number; an infinite
    time becomes null.
    """
    quoted = identifier(name)
    if kind in AS_THEY_ARE:
        return quoted
    if kind in TIMES:
        return f"CASE WHEN isfinite({quoted}) AND {quoted} < '{LATEST}' THEN {quoted} END"
    if kind == "numeric":
        return f"trim_scale({quoted})::text"
    if kind == "money":
        return f"trim_scale({quoted}::numeric)::text"
    return quoted if kind in TEXTS else f"{quoted}::text"
