"""The rows of one run, read back from a table that was written to, and proved to be those."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from churn.errors import ConfigError, DataError
from churn.files.postgres.address import TableAddress
from churn.files.postgres.catalogue import KnownTable, existing_table, find_table
from churn.files.postgres.connection import Server, connected
from churn.files.postgres.digest import digest_of_rows
from churn.files.postgres.layout import Layout, differing
from churn.files.postgres.target import RUNS

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["customers_of_run", "facts_of_run", "has_run", "read_run", "rows_of_run"]


def has_run(address: TableAddress) -> bool:
    """Whether the table is there and at least one run is on record beside it."""
    with connected(address) as server:
        table = find_table(server, address.table, address.schema)
        return table is not None and _run(server, table, address) is not None


def facts_of_run(address: TableAddress) -> dict[str, Any] | None:
    """What the newest run told of its rows; None where no run is on record beside the table."""
    with connected(address) as server:
        table = find_table(server, address.table, address.schema)
        run = None if table is None else _run(server, table, address)
        return None if run is None else json.loads(run["facts"])


def customers_of_run(address: TableAddress) -> set[str]:
    """The customers in the rows of the newest run; nobody where no run is on record."""
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

    DataError where they are not those that were written; `command` is what writes them.
    """
    fix = f"Write it first, e.g. with `churn {command} --out {address}`."
    with connected(address) as server, server.snapshot():
        table = existing_table(server, address, fix=fix)
        unlike = differing(table, layout, address)
        if unlike is not None:
            raise unlike
        run = _run(server, table, address)
        if run is None:
            rule = f"{address} must hold the run {address.run_id or 'that was written last'}"
            raise ConfigError(rule, got="none on record beside it", fix=fix)
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
    """The rows of one run as they stand there."""
    import pyarrow as pa

    from churn.files.postgres.address import identifier

    columns = ", ".join(map(identifier, layout.schema.names))
    sql = f"SELECT {columns} FROM {table.sql} WHERE run_id = $1"
    with server.reading(sql, run_id) as (schema, batches):
        return pa.Table.from_batches(list(batches), schema).cast(layout.schema)
