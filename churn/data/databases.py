"""Tables of databases as temporary Parquet files, each database read from one snapshot."""

from __future__ import annotations

import re
import shutil
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from churn.data.contracts import TABLES
from churn.data.engines.base import identifier, literal
from churn.data.settings import TableSource
from churn.data.sources import mapped_columns
from churn.data.statuses import status_columns
from churn.data.where import where_of
from churn.errors import ConfigError
from churn.storage.adbc import AdbcSource
from churn.storage.files import storage_errors
from churn.storage.lakes import DeltaLake, Iceberg
from churn.storage.postgres.source import PostgresSource
from churn.storage.publish import private_folder

PREFIX = "churn-tables-"


class Address(Protocol):
    """A table of a database. As text it shows neither user nor password.

    `uri` identifies the database and may contain both; `database` and `name` name it and the table
    without its server.
    """

    @property
    def uri(self) -> str: ...  # noqa: D102 - above

    @property
    def database(self) -> str: ...  # noqa: D102 - above

    @property
    def name(self) -> str: ...  # noqa: D102 - above


class DatabaseSnapshot(Protocol):
    """The tables of one database at one moment, by their addresses."""

    def columns(self, address: Any, *, fix: str) -> Mapping[str, str]:
        """The columns of a table and their types; DataError with that fix if it does not exist."""
        ...

    def read(
        self, address: Any, names: Sequence[str]
    ) -> AbstractContextManager[tuple[Any, Iterator[Any]]]:
        """The Arrow schema and batches of these columns, in types that Arrow represents exactly."""
        ...


class Database(Protocol):
    """A kind of database, recognised by the `schemes` of its addresses, such as "postgresql"."""

    @property
    def schemes(self) -> tuple[str, ...]: ...  # noqa: D102 - above

    def address(self, text: str, *, what: str, folder: Path) -> Address:
        """The table that the text names; ConfigError about `what`, without any secret, if it is
        not an address. Relative paths start at `folder`.
        """
        ...

    def snapshot(self, address: Any) -> AbstractContextManager[DatabaseSnapshot]:
        """The address's database at one moment; its driver is imported inside."""
        ...


DATABASES: tuple[Database, ...] = (PostgresSource(), AdbcSource(), DeltaLake(), Iceberg())
"""Every kind of database that tables are read from."""


@dataclass(frozen=True)
class FetchedTable:
    """A table's file, its address, and the columns that were not requested."""

    path: Path
    address: Address
    unread: tuple[str, ...]

    @property
    def label(self) -> str:
        """The name of the table with its database, without the server."""
        return f"{self.address.database}#{self.address.name}"

    @cached_property
    def digest(self) -> str:
        """A hash of the rows that were read, independent of their order."""
        return _digest(self.path)


class FetchedTables:
    """What was read from databases, by table name; `close` removes the files."""

    def __init__(self, tables: Mapping[str, FetchedTable]) -> None:
        self.tables = tables
        self._cleanup = weakref.finalize(self, _remove, [one.path for one in tables.values()])

    def close(self) -> None:
        """Removes the files."""
        self._cleanup()


def is_address(text: object) -> bool:
    """Whether a text is the address of a database rather than a file.

    >>> is_address("postgresql://host/shop#orders"), is_address("orders.parquet")
    (True, False)
    """
    return isinstance(text, str) and _database_of(text) is not None


def _database_of(text: str) -> Database | None:
    scheme = re.match(r"([a-z]+):/", text, re.IGNORECASE)
    name = None if scheme is None else scheme[1].lower()
    return next((database for database in DATABASES if name in database.schemes), None)


def address_of(source: TableSource, *, table: str, folder: Path) -> Address | None:
    """The address of a table in a database; None if the source consists of files.

    ConfigError if it is neither, or is combined with settings for text files.
    """
    found = _located(source, table, folder)
    return None if found is None else found[1]


def _located(source: TableSource, table: str, folder: Path) -> tuple[Database, Address] | None:
    named = [source.source] if isinstance(source.source, str) else source.source
    database = next((found for text in named if (found := _database_of(text))), None)
    if database is None:
        return None
    if len(named) > 1:
        rule = f"[data.{table}] source must be one table of a database, or files"
        raise ConfigError(rule, got=f"{len(named)} tables", fix="Combine them in a view.")
    usual = TableSource(source="")
    for key in ("delimiter", "decimal", "encoding", "sheet", "skip"):
        if getattr(source, key) != getattr(usual, key):
            what = "files" if key in ("sheet", "skip") else "text files"
            rule = f"[data.{table}] {key} applies to {what}, not to a database"
            raise ConfigError(rule, fix="Remove it.")
    return database, database.address(named[0], what=f"[data.{table}] source", folder=folder)


def fetch(
    sources: Mapping[str, TableSource], *, folder: Path = Path(), whole: bool = False
) -> FetchedTables:
    """The tables of `sources` that are in databases, each database read from one snapshot.

    Only columns that the contract or the mapping of a table names are read, unless `whole`.
    """
    located = {table: _located(source, table, folder) for table, source in sources.items()}
    wanted = {table: found for table, found in located.items() if found is not None}
    if not wanted:
        return FetchedTables({})
    private = private_folder(PREFIX)
    try:
        fetched: dict[str, FetchedTable] = {}
        for uri, database in {
            address.uri: database for database, address in wanted.values()
        }.items():
            there = {table: one for table, (_, one) in wanted.items() if one.uri == uri}
            with database.snapshot(next(iter(there.values()))) as snapshot:
                for table, address in there.items():
                    source = None if whole else sources[table]
                    fetched[table] = _fetch_table(snapshot, table, address, source, private)
        return FetchedTables(fetched)
    except BaseException:
        shutil.rmtree(private, ignore_errors=True)
        raise


def _fetch_table(
    snapshot: DatabaseSnapshot,
    table: str,
    address: Address,
    source: TableSource | None,
    folder: Path,
) -> FetchedTable:
    """The columns that the source needs, all without one, as a file in the folder."""
    from churn.data.engines.parquet import write_batches

    fix = f"Check the name after the # in [data.{table}] source; case counts."
    types = dict(snapshot.columns(address, fix=fix))
    names = list(types) if source is None else _named(table, types, source)
    path = folder / f"{table}.parquet"
    rows = snapshot.read(address, names)
    with rows as (schema, batches), storage_errors(path, doing="write"):
        write_batches(batches, schema, path, compression="zstd")
    return FetchedTable(path, address, tuple(name for name in types if name not in names))


def _named(table: str, types: dict[str, str], source: TableSource) -> list[str]:
    """The columns that the contract or the mapping names, in the table's order."""
    from churn.data.casts import source_columns

    mapped = mapped_columns(TABLES[table], types, source)
    used = {name for theirs in mapped.values() for name in source_columns(theirs, types)}
    used.update(where_of(table, types, source, "UTC", mapped=mapped).columns)
    if table == "orders":  # whether they mark rows that are not purchases
        used.update(column.name for column in status_columns(types))
    return [name for name in types if name in used]


def _digest(path: Path) -> str:
    """Rows are hashed one by one, and their hashes are summed."""
    import hashlib

    from churn.data.engines.duck import DuckDBEngine
    from churn.data.sources import columns_of
    from churn.storage.files import canonical_json

    engine = DuckDBEngine([path])
    try:
        rows = f"read_parquet({literal(path)})"
        types = columns_of(engine, rows, name=path.name)
        texts = [f"coalesce(CAST({identifier(name)} AS VARCHAR), chr(1))" for name in types]
        hashed = f"md5_number(concat_ws(chr(2), {', '.join(texts)}))"
        low, high = f"({hashed} & 18446744073709551615)", f"({hashed} >> 64)"
        sums = engine.rows(
            f"SELECT count(*) AS n, CAST(sum(CAST({low} AS HUGEINT)) AS VARCHAR) AS low, "
            f"CAST(sum(CAST({high} AS HUGEINT)) AS VARCHAR) AS high FROM {rows}"
        )
        content = {
            "columns": types,
            "rows": sums[0]["n"],
            "sums": [sums[0]["low"], sums[0]["high"]],
        }
        return hashlib.sha256(canonical_json(content)).hexdigest()
    finally:
        engine.close()


def _remove(files: Sequence[Path]) -> None:
    """Removes the files, and their folder with the last of them."""
    for path in files:
        path.unlink(missing_ok=True)
        with suppress(OSError):
            path.parent.rmdir()
