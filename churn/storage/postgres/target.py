"""Rows of one run, written to a table as a whole, and read back and verified."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from churn.errors import BusyError, ChurnError, ConfigError, DataError, StorageError
from churn.storage.files import canonical_json
from churn.storage.postgres.address import LONGEST_NAME_BYTES, TableAddress, identifier
from churn.storage.postgres.connection import Server, connected
from churn.storage.postgres.layout import (
    KnownTable,
    Layout,
    differing,
    digest_of_rows,
    existing_table,
    find_table,
)

if TYPE_CHECKING:
    import pyarrow as pa


RUNS, LATEST = "_runs", "_latest"
"""Suffixes of the table of runs, and of the view of the latest run."""

LOCK_WAIT_SECONDS = 5.0  # a killed writer's server process may take a moment to notice
_TABLES = ("r", "p")  # PostgreSQL's letters for writable tables
_RUNS_SQL = (
    "run_id text PRIMARY KEY, written_at timestamp with time zone NOT NULL DEFAULT now(), "
    "rows bigint NOT NULL, sha256 text NOT NULL, facts text NOT NULL"
)
_RIGHTS = """
SELECT r AS right FROM unnest(ARRAY['SELECT', 'INSERT', 'DELETE']) AS r
WHERE NOT pg_catalog.has_table_privilege($1, r)
"""
_LOCK = "SELECT pg_catalog.pg_try_advisory_lock(CAST($1 AS bigint)) AS ours"
_MAY_CREATE = "SELECT pg_catalog.has_schema_privilege($1, 'CREATE') AS may"
_SCHEMA = """
SELECT coalesce(nullif($1, ''), pg_catalog.current_schema()::text) AS name,
       current_setting('transaction_read_only') AS read_only,
       EXISTS (SELECT 1 FROM pg_catalog.pg_namespace
               WHERE nspname = coalesce(nullif($1, ''), pg_catalog.current_schema()::text)) AS there
"""


class RowsWriter:
    """Writes one result into a table inside `writing_rows`; `sha256` is the digest of its rows."""

    def __init__(self, server: Server, address: TableAddress, layout: Layout) -> None:
        self._server = server
        self._address = address
        self._layout = layout
        self._open = False
        self.sha256 = ""

    def write(self, table: pa.Table, facts: Mapping[str, Any]) -> None:
        """Replaces the rows with the same facts; visible once the block succeeds."""
        rows = table.select(self._layout.schema.names).cast(self._layout.schema)
        self.sha256 = digest_of_rows(rows, self._layout.key)
        self._server.run("BEGIN")
        self._open = True
        made = self._make()
        self._delete(made, facts)
        if rows.num_rows:
            self._server.append(made.schema, made.name, rows)
        if self._layout.keeps_runs:
            self._record(made, {**facts, "rows": rows.num_rows})

    def commit(self) -> None:
        """Makes the written rows visible to others."""
        if self._open:
            self._server.run("COMMIT")

    def _make(self) -> KnownTable:
        """The table, created if it does not exist, with the objects that belong to it."""
        schema, name = str(self._address.schema), self._address.table
        key = f"PRIMARY KEY ({self._layout.key_sql()})"
        made = KnownTable(schema, name, "r", {})
        self._create(name, f"TABLE {made.sql} ({self._layout.column_sql()}, {key})")
        if self._layout.keeps_runs:
            runs = _beside(made, RUNS)
            self._create(runs.name, f"TABLE {runs.sql} ({_RUNS_SQL})")
            newest = f"SELECT run_id FROM {runs.sql} ORDER BY written_at DESC LIMIT 1"
            latest = f"SELECT * FROM {made.sql} WHERE run_id = ({newest})"
            self._create(name + LATEST, f"VIEW {_beside(made, LATEST).sql} AS {latest}")
        return made

    def _create(self, name: str, sql: str) -> None:
        if find_table(self._server, name, self._address.schema) is None:
            self._server.run(f"CREATE {sql}")

    def _delete(self, made: KnownTable, facts: Mapping[str, Any]) -> None:
        values = [facts[fact] for fact in self._layout.replaces.values()]
        if None in values:  # a plan without rows has no campaign
            return
        same = " AND ".join(
            f"{identifier(column)} = CAST(${number} AS {self._layout.type_of(column)})"
            for number, column in enumerate(self._layout.replaces, start=1)
        )
        self._server.run(f"DELETE FROM {made.sql} WHERE {same}", *map(str, values))

    def _record(self, made: KnownTable, facts: Mapping[str, Any]) -> None:
        runs = _beside(made, RUNS).sql
        run_id = str(facts["run_id"])
        self._server.run(f"DELETE FROM {runs} WHERE run_id = $1", run_id)
        self._server.run(
            f"INSERT INTO {runs} (run_id, rows, sha256, facts) "
            "VALUES ($1, CAST($2 AS bigint), $3, $4)",
            *(run_id, str(facts["rows"]), self.sha256, canonical_json(facts).decode()),
        )


@contextmanager
def writing_rows(address: TableAddress, layout: Layout) -> Iterator[RowsWriter]:
    """A writer whose rows are in the table if the block succeeds; after an exception the table is
    unchanged.

    Before the block begins: BusyError while another run writes the table, StorageError if nothing
    can be written, DataError if the table has other columns.
    """
    with connected(address) as server:
        target = _checked(server, address, layout)
        hold_table(server, target)
        writer = RowsWriter(server, target, layout)
        yield writer
        writer.commit()


def check_target(address: TableAddress, layout: Layout) -> None:
    """Raises the errors of `writing_rows` that can be detected without writing."""
    with connected(address) as server:
        _checked(server, address, layout)


def _checked(server: Server, address: TableAddress, layout: Layout) -> TableAddress:
    """The address with its schema, if the result can be written there."""
    if address.run_id is not None:
        rule = "a table to write to must be named without ?run_id="
        raise ConfigError(rule, got=address.run_id, fix="Remove it.")
    longest = LONGEST_NAME_BYTES - len(LATEST)
    if len(address.table.encode()) > longest:
        rule = f"the name of a table to write to must have at most {longest} bytes"
        raise ConfigError(rule, got=len(address.table.encode()), fix="Choose a shorter one.")
    known = find_table(server, address.table, address.schema)
    target = replace(address, schema=_schema(server, address, known))
    if known is not None:
        _check_known(known, layout, target)
    _check_rights(server, layout, target)
    return target


def _check_rights(server: Server, layout: Layout, target: TableAddress) -> None:
    """Raises StorageError if the user may not write existing objects or create missing ones."""
    endings = ("", RUNS, LATEST) if layout.keeps_runs else ("",)
    there = [find_table(server, target.table + ending, target.schema) for ending in endings]
    if None in there and not server.rows(_MAY_CREATE, str(target.schema))[0]["may"]:
        raise _no_right(target, "to create a table there")
    for one in there:
        if one is not None and one.kind in _TABLES:
            lacking = [row["right"] for row in server.rows(_RIGHTS, one.sql)]
            if lacking:
                raise _no_right(replace(target, table=one.name), ", ".join(lacking))


def _schema(server: Server, address: TableAddress, known: KnownTable | None) -> str:
    """The schema of the existing table, else the one in which it would be created."""
    found = server.rows(_SCHEMA, address.schema or "")[0]
    if found["read_only"] == "on":
        rule = f"cannot write to {address}: the database is read-only"
        raise StorageError(rule, fix="Connect to the primary server.")
    if known is not None:
        return known.schema
    if not found["there"]:
        rule = f"cannot write to {address}: there is no schema of that name"
        raise StorageError(rule, fix="Create it there, or name another.")
    return str(found["name"])


def _check_known(known: KnownTable, layout: Layout, target: TableAddress) -> None:
    if known.kind not in _TABLES:
        rule = f"{target} must be a writable table"
        raise ConfigError(rule, got="a view or a foreign table", fix="Name another.")
    unlike = differing(known, layout, target)
    if unlike is not None:
        raise unlike


def _no_right(target: TableAddress, right: str) -> ChurnError:
    rule = f"cannot write to {target}: the user lacks the right {right}"
    return StorageError(rule, fix="Grant it, or connect as a user who has it.")


def hold_table(server: Server, target: TableAddress) -> None:
    """Holds the table's lock for as long as the connection lives; readers never wait for it."""
    named = f"churn {target.schema}\0{target.table}".encode()
    number = int.from_bytes(hashlib.sha256(named).digest()[:8], "big", signed=True)
    deadline = time.monotonic() + LOCK_WAIT_SECONDS
    while not server.rows(_LOCK, str(number))[0]["ours"]:
        if time.monotonic() >= deadline:
            rule = f"writing {target} must be done by one run at a time"
            fix = "Wait until it has ended, then try again."
            raise BusyError(rule, got="another run", fix=fix)
        time.sleep(0.1)


def _beside(table: KnownTable, ending: str) -> KnownTable:
    return KnownTable(table.schema, table.name + ending, "r", {})


def has_run(address: TableAddress) -> bool:
    """Whether the table exists and at least one run is on record for it."""
    with connected(address) as server:
        table = find_table(server, address.table, address.schema)
        return table is not None and _run(server, table, address) is not None


def facts_of_run(address: TableAddress) -> dict[str, Any] | None:
    """The facts of the newest run about its rows; None if no run is on record."""
    with connected(address) as server:
        table = find_table(server, address.table, address.schema)
        run = None if table is None else _run(server, table, address)
        return None if run is None else json.loads(run["facts"])


def customers_of_run(address: TableAddress) -> set[str]:
    """The customers in the rows of the newest run; empty if no run is on record."""
    with connected(address) as server:
        table = find_table(server, address.table, address.schema)
        run = None if table is None else _run(server, table, address)
        if table is None or run is None:
            return set()
        sql = f"SELECT customer_id FROM {table.sql} WHERE run_id = $1"
        return {str(row["customer_id"]) for row in server.rows(sql, run["run_id"])}


def read_run(
    address: TableAddress, layout: Layout, *, command: str
) -> tuple[pa.Table, dict[str, Any]]:
    """The rows of the run that the address names, else of the newest, and the facts of the run.

    DataError if they are not the rows that were written; `command` is what writes them.
    """
    fix = f"Write it first, e.g. with `churn {command} --out {address}`."
    with connected(address) as server, server.snapshot():
        table = existing_table(server, address, fix=fix)
        unlike = differing(table, layout, address)
        if unlike is not None:
            raise unlike
        run = _run(server, table, address)
        if run is None:
            rule = f"{address} must hold the run {address.run_id or 'written last'}"
            raise ConfigError(rule, got="no such run on record", fix=fix)
        rows = rows_of_run(server, table, layout, run["run_id"])
    if digest_of_rows(rows, layout.key) != run["sha256"]:
        rule = f"{address} must hold the rows that run {run['run_id']} wrote"
        fix = f"They were altered: write them again with `churn {command}`."
        raise DataError(rule, got=f"{rows.num_rows:,} other rows", fix=fix)
    return rows, json.loads(run["facts"])


def _run(server: Server, table: KnownTable, address: TableAddress) -> dict[str, Any] | None:
    runs = find_table(server, table.name + RUNS, table.schema)
    if runs is None:
        return None
    found = server.rows(
        f"SELECT run_id, sha256, facts FROM {runs.sql} "
        "WHERE $1 IN ('', run_id) ORDER BY written_at DESC LIMIT 1",
        address.run_id or "",
    )
    return found[0] if found else None


def rows_of_run(server: Server, table: KnownTable, layout: Layout, run_id: str) -> pa.Table:
    """The rows of one run as they are in the table."""
    import pyarrow as pa

    from churn.storage.postgres.address import identifier

    columns = ", ".join(map(identifier, layout.schema.names))
    sql = f"SELECT {columns} FROM {table.sql} WHERE run_id = $1"
    with server.reading(sql, run_id) as (schema, batches):
        return pa.Table.from_batches(list(batches), schema).cast(layout.schema)
