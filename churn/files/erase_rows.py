"""Customers out of the ledger: every table with a customer_id, and the pages that it freed."""

from __future__ import annotations

import sqlite3

from churn.errors import BusyError
from churn.files.erasures import Erased
from churn.files.ledger import Ledger
from churn.files.records import TREATED

__all__ = ["check_alone", "compact", "erase_rows", "exports_to", "rows_of", "tables_of_customers"]


def tables_of_customers(ledger: Ledger) -> list[str]:
    """The tables of the ledger that have a column customer_id, whoever made them."""
    with ledger.reading() as connection:
        return _tables(connection)


def rows_of(ledger: Ledger, customer_id: str) -> dict[str, list[dict[str, object]]]:
    """Every row of the ledger on a customer, by table; tables without one are left out."""
    found = {}
    with ledger.reading() as connection:
        for table in _tables(connection):
            asked = f'SELECT * FROM "{table}" WHERE customer_id = ?'  # noqa: S608
            rows = connection.execute(asked, (customer_id,))
            names = [column[0] for column in rows.description]
            found[table] = [dict(zip(names, row, strict=True)) for row in rows]
    return {table: rows for table, rows in found.items() if rows}


def erase_rows(ledger: Ledger, erased: Erased, *, dry_run: bool = False) -> dict[str, int]:
    """Rows of the erased by table, which are gone unless it is a dry run; zeros are left out.

    What is deleted is overwritten, not only marked as free.
    """
    with ledger.reading() as connection:
        connection.execute("PRAGMA secure_delete = ON")
    with ledger.changing() as connection:
        counts = {name: _erase(connection, name, erased, dry_run) for name in _tables(connection)}
    return {table: count for table, count in counts.items() if count}


def compact(ledger: Ledger) -> None:
    """Writes the ledger anew without freed pages, where earlier changes left old rows."""
    with ledger.reading() as connection:
        connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def check_alone(ledger: Ledger, run_id: str) -> None:
    """Nothing, or BusyError while other runs are under way: they may have read the tables before,
    and write what they read when they end. `serve` looks into the ledger at each request anew.
    """
    with ledger.reading() as connection:
        found = connection.execute(
            "SELECT DISTINCT command FROM runs WHERE status = 'running' AND run_id <> ? "
            "AND command <> 'serve' ORDER BY command",
            (run_id,),
        ).fetchall()
    if found:
        rule = "erasing must wait for runs that began before it"
        got = ", ".join(f"churn {command}" for (command,) in found)
        fix = "The customers are on the list, so later runs leave them out: run it again then."
        raise BusyError(rule, got=got, fix=fix)


def exports_to(ledger: Ledger, erased: Erased) -> list[dict[str, object]]:
    """The exports of plans in which the erased had an offer: audience, campaign_id, as_of,
    offer_id and the date, the oldest first. Consent may have kept them out of the list itself.
    """
    found: set[tuple[object, ...]] = set()
    with ledger.reading() as connection:
        ids = connection.execute("SELECT DISTINCT customer_id FROM plans")
        for name in erased.among(row[0] for row in ids.fetchall()):
            found |= set(connection.execute(_EXPORTED, (name,)))
    names = ("exported_on", "audience", "campaign_id", "as_of", "offer_id")
    rows = sorted(found, key=lambda row: tuple(map(str, row)))
    return [dict(zip(names, row, strict=True)) for row in rows]


_EXPORTED = f"""
    SELECT e.exported_on, e.audience, e.campaign_id, e.as_of, p.offer_id
    FROM exports AS e JOIN (SELECT * FROM plans WHERE customer_id = ? AND {TREATED}) AS p
    ON p.campaign_id = e.campaign_id AND p.as_of = e.as_of
    WHERE (e.offer_id IS NULL OR e.offer_id = p.offer_id)
    AND (e.audience = 'list' OR p.channel = 'ads')
"""  # noqa: S608


def _tables(connection: sqlite3.Connection) -> list[str]:
    found = connection.execute(
        "SELECT m.name FROM sqlite_master AS m JOIN pragma_table_info(m.name) AS c "
        "WHERE m.type = 'table' AND c.name = 'customer_id' ORDER BY m.name"
    )
    return [name for (name,) in found]


def _erase(connection: sqlite3.Connection, table: str, erased: Erased, dry_run: bool) -> int:
    ids = connection.execute(f'SELECT DISTINCT customer_id FROM "{table}"')  # noqa: S608
    names = [(name,) for name in erased.among(str(row[0]) for row in ids.fetchall())]
    if dry_run:
        counted = f'SELECT count(*) FROM "{table}" WHERE customer_id = ?'  # noqa: S608
        return sum(connection.execute(counted, name).fetchone()[0] for name in names)
    deleted = f'DELETE FROM "{table}" WHERE customer_id = ?'  # noqa: S608
    return max(connection.executemany(deleted, names).rowcount, 0) if names else 0
