"""Erasure of customers from a result table: their rows, and the record of each run."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from churn.storage.erasures import Erased
from churn.storage.files import canonical_json
from churn.storage.postgres.address import TableAddress
from churn.storage.postgres.connection import Server, connected
from churn.storage.postgres.layout import KnownTable, Layout, digest_of_rows, find_table
from churn.storage.postgres.target import RUNS, hold_table, rows_of_run

if TYPE_CHECKING:
    import pyarrow as pa


Follow = Callable[["pa.Table", "pa.Table"], None]
"""Called with the rows of each run before and after, while the erasure can still be undone."""


def erase_from_table(
    address: TableAddress,
    layouts: Sequence[Layout],
    erased: Erased,
    *,
    follow: Follow,
    dry_run: bool = False,
) -> int:
    """Deletes the erased customers' rows from the table in one transaction; returns their number.

    The digest of each run is recomputed. BusyError while a run writes the table. The server frees
    the space, and its backups and logs, by its own rules.
    """
    with connected(address) as server:
        table = find_table(server, address.table, address.schema)
        if table is None or "customer_id" not in table.columns:
            return 0
        names = _among(server, table, erased)
        found = sum(_count(server, table, name) for name in names)
        if found and not dry_run:
            hold_table(server, replace(address, schema=table.schema))
            _erase(server, table, names, _layout_of(table, layouts), follow)
    return found


def _among(server: Server, table: KnownTable, erased: Erased) -> list[str]:
    names: list[str] = []
    with server.reading(f"SELECT DISTINCT customer_id FROM {table.sql}") as (_, batches):
        for batch in batches:
            names += erased.among(batch.column(0).drop_null().to_pylist())
    return names


def _count(server: Server, table: KnownTable, name: str) -> int:
    counted = f"SELECT count(*) AS n FROM {table.sql} WHERE customer_id = $1"
    return int(server.rows(counted, name)[0]["n"])


def _layout_of(table: KnownTable, layouts: Sequence[Layout]) -> Layout | None:
    """The layout with which the table was written: the widest that it contains; the shop may have
    added columns of its own.
    """
    held = [one for one in layouts if set(one.schema.names) <= set(table.columns)]
    return max(held, key=lambda one: len(one.schema), default=None)


def _erase(
    server: Server, table: KnownTable, names: list[str], layout: Layout | None, follow: Follow
) -> None:
    server.run("BEGIN")
    runs = find_table(server, table.name + RUNS, table.schema)
    if runs is None or layout is None or not layout.keeps_runs:
        _delete(server, table, names)
    else:
        before = _held(server, table, layout, names)
        _delete(server, table, names)
        for run_id, rows in before.items():
            after = rows_of_run(server, table, layout, run_id)
            follow(rows, after)
            _record(server, runs, run_id, rows.num_rows - after.num_rows, after, layout)
    server.run("COMMIT")


def _delete(server: Server, table: KnownTable, names: list[str]) -> None:
    for name in names:
        server.run(f"DELETE FROM {table.sql} WHERE customer_id = $1", name)


def _held(
    server: Server, table: KnownTable, layout: Layout, names: list[str]
) -> dict[str, pa.Table]:
    """The rows of each run that has one of the customers."""
    asked = f"SELECT DISTINCT run_id FROM {table.sql} WHERE customer_id = $1"
    found = {row["run_id"] for name in names for row in server.rows(asked, name)}
    return {run_id: rows_of_run(server, table, layout, run_id) for run_id in sorted(found)}


def _record(
    server: Server, runs: KnownTable, run_id: str, gone: int, rows: pa.Table, layout: Layout
) -> None:
    asked = f"SELECT facts FROM {runs.sql} WHERE run_id = $1"
    for row in server.rows(asked, run_id):
        facts: dict[str, Any] = json.loads(row["facts"])
        facts |= {"rows": rows.num_rows, "erased": facts.get("erased", 0) + gone}
        server.run(
            f"UPDATE {runs.sql} SET rows = CAST($2 AS bigint), sha256 = $3, facts = $4 "
            "WHERE run_id = $1",
            *(run_id, str(rows.num_rows), digest_of_rows(rows, layout.key)),
            canonical_json(facts).decode(),
        )
