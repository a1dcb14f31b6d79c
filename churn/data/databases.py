"""PostgreSQL tables as temporary Parquet files, all read from one database snapshot."""

from __future__ import annotations

import shutil
import weakref
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from churn.data.contracts import TABLES
from churn.data.engines.base import identifier, literal
from churn.data.mapping import mapped_columns
from churn.data.settings import TableSource
from churn.data.statuses import status_columns
from churn.data.where import where_of
from churn.errors import ConfigError
from churn.storage.os_errors import storage_errors
from churn.storage.postgres.address import TableAddress, is_address, table_address
from churn.storage.publish import private_folder

if TYPE_CHECKING:
    from churn.storage.postgres.connection import Server
    from churn.storage.postgres.layout import KnownTable


PREFIX = "churn-tables-"
# Types that Arrow and the import read unchanged; all others arrive as PostgreSQL's text.
AS_THEY_ARE = {"boolean", "smallint", "integer", "bigint", "real", "double precision"}
TEXTS = {"text", "character varying", "name"}
TIMES = {"date", "timestamp without time zone", "timestamp with time zone"}
LATEST = "290000-01-01"  # Arrow's microseconds end a little later


@dataclass(frozen=True)
class FetchedTable:
    """A table's file, its address, and the columns that were not requested."""

    path: Path
    address: TableAddress
    unread: tuple[str, ...]

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


def address_of(source: TableSource, *, table: str) -> TableAddress | None:
    """The address of a table in a database; None if the source consists of files.

    ConfigError if it is neither, or is combined with settings for text files.
    """
    named = [source.source] if isinstance(source.source, str) else source.source
    if not any(map(is_address, named)):
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
    return table_address(named[0], what=f"[data.{table}] source")


def fetch(sources: Mapping[str, TableSource]) -> FetchedTables:
    """The tables of `sources` that are in databases, each database read from one snapshot.

    Only columns that the contract or the mapping of a table names are read.
    """
    addresses = {table: address_of(source, table=table) for table, source in sources.items()}
    wanted = {table: address for table, address in addresses.items() if address is not None}
    if not wanted:
        return FetchedTables({})
    folder = private_folder(PREFIX)
    try:
        found: dict[str, FetchedTable] = {}
        for uri in dict.fromkeys(address.uri for address in wanted.values()):
            there = {table: address for table, address in wanted.items() if address.uri == uri}
            found |= _fetch_snapshot(there, sources, folder)
        return FetchedTables(found)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _fetch_snapshot(
    addresses: Mapping[str, TableAddress], sources: Mapping[str, TableSource], folder: Path
) -> dict[str, FetchedTable]:
    from churn.storage.postgres.connection import connected

    with connected(next(iter(addresses.values()))) as server, server.snapshot():
        return {
            table: _fetch_table(server, table, address, sources[table], folder)
            for table, address in addresses.items()
        }


def _fetch_table(
    server: Server, table: str, address: TableAddress, source: TableSource, folder: Path
) -> FetchedTable:
    from churn.data.engines.parquet import write_batches
    from churn.storage.postgres.layout import existing_table

    fix = f"Check the name after the # in [data.{table}] source; case counts."
    known = existing_table(server, address, fix=fix)
    names = _named(table, known, source)
    path = folder / f"{table}.parquet"
    rows = server.reading(_select_sql(known, names))
    with rows as (schema, batches), storage_errors(path, doing="write"):
        write_batches(batches, schema, path, compression="zstd")
    unread = tuple(name for name in known.columns if name not in names)
    return FetchedTable(path, address, unread)


def _named(table: str, known: KnownTable, source: TableSource) -> list[str]:
    """The columns that the contract or the mapping names, in the table's order."""
    from churn.data.casts import source_columns

    types = dict(known.columns)
    mapped = mapped_columns(TABLES[table], types, source)
    used = {name for theirs in mapped.values() for name in source_columns(theirs, types)}
    used.update(where_of(table, types, source, "UTC", mapped=mapped).columns)
    if table == "orders":  # whether they mark rows that are not purchases
        used.update(column.name for column in status_columns(types))
    return [name for name in types if name in used]


def _select_sql(table: KnownTable, names: Sequence[str]) -> str:
    shown = [f"{_as_read(name, table.columns[name])} AS {identifier(name)}" for name in names]
    return f"SELECT {', '.join(shown)} FROM {table.sql}"


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


def _digest(path: Path) -> str:
    """Rows are hashed one by one, and their hashes are summed."""
    import hashlib

    from churn.data.engines.duck import DuckDBEngine
    from churn.data.sources import columns_of
    from churn.storage.names import canonical_json

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
