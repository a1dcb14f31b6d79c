"""The file of the ledger: verified to be the original one, or created if there never was one.

Its content cannot be recreated: who refused, who was erased, who received what. It is therefore
never recreated silently. Next to it is its mark, a small file with its id: if the mark exists and
the ledger does not, or is a different one, no command continues. To start over, remove the mark.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import NoReturn

from churn.errors import StorageError
from churn.storage.database import database_errors, open_database
from churn.storage.erasure_key import key_beside
from churn.storage.locks import exclusive, lock_beside
from churn.storage.os_errors import storage_errors
from churn.storage.publish import publish_file
from churn.storage.records import APPLICATION_ID, MIGRATIONS

IN_MEMORY = ":memory:"
BACKUP = "Restore the ledger from a backup"
START_OVER = "docs/privacy.md explains how to start over."


def mark_beside(path: Path) -> Path:
    """The path of a ledger's mark.

    >>> mark_beside(Path("shop/ledger.db")).name
    'ledger.id'
    """
    return path.with_suffix(".id")


def open_ledger_file(path: Path, *, wait_seconds: float = 30.0) -> sqlite3.Connection:
    """A connection to the ledger, which is created if there never was one.

    StorageError if it is gone, empty, another program's, or not the original.
    """
    if str(path) == IN_MEMORY:
        return open_database(path, MIGRATIONS, wait_seconds=wait_seconds)
    with storage_errors(path, doing="write"):
        path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        _make(path)
    _check_ours(path)
    connection = open_database(path, MIGRATIONS, wait_seconds=wait_seconds)
    try:
        _check_mark(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def check_kept(path: Path) -> None:
    """Raises StorageError if a ledger that must exist is missing, or lacks the list of erased
    customers although their key is next to it.
    """
    if not path.exists():
        _refuse_lost(path)
        return
    if not key_beside(path).exists():
        return
    with closing(open_ledger_file(path)) as connection, database_errors(path):
        known = connection.execute("SELECT 1 FROM erasure_key").fetchone()
        begun = connection.execute("SELECT 1 FROM runs WHERE command = 'forget'").fetchone()
    if known is None and begun is None:
        _refuse(path, "one without the list of erased customers, whose key is next to it")


def _make(path: Path) -> None:
    """A new ledger, complete when it appears: no process ever sees an empty one."""
    with exclusive(lock_beside(path), what="making the ledger", wait_seconds=30.0):
        if path.exists():
            return
        _refuse_lost(path)
        with publish_file(path) as temporary, closing(open_database(temporary, MIGRATIONS)):
            pass


def _refuse_lost(path: Path) -> None:
    beside = (mark_beside(path), key_beside(path))
    there = next((one for one in beside if one.exists()), None)
    if there is not None:
        _refuse(path, f"none, although {there.name} shows that there was one")


def _check_ours(path: Path) -> None:
    """Raises StorageError if the file is not a ledger of ours."""
    with storage_errors(path, doing="read"):
        empty = path.stat().st_size == 0
    if empty:
        _refuse(path, "an empty file")
    with database_errors(path), closing(sqlite3.connect(path)) as connection:
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        runs = "SELECT 1 FROM pragma_table_info('runs') WHERE name = 'pid_started'"
        older = application == 0 and connection.execute(runs).fetchone() is not None
    if application != APPLICATION_ID and not older:
        _refuse(path, "a database of another program, or an emptied one")


def _check_mark(connection: sqlite3.Connection, path: Path) -> None:
    """Raises StorageError if the mark identifies another ledger; creates a missing mark."""
    mark = mark_beside(path)
    with database_errors(path):
        ledger_id = _id_of(connection)
    with storage_errors(mark, doing="read"):
        try:
            named = mark.read_text(encoding="ascii", errors="replace").strip()
        except FileNotFoundError:
            named = None
    if named is None:
        with publish_file(mark) as temporary:
            temporary.write_text(f"{ledger_id}\n", encoding="ascii")
    elif named != ledger_id:
        _refuse(path, f"not the one that {mark.name} identifies")


def _id_of(connection: sqlite3.Connection) -> str:
    return str(connection.execute("SELECT id FROM ledger_id").fetchone()[0])


def _refuse(path: Path, got: str) -> NoReturn:
    rule = (
        f"{path} must be the original ledger: it records who refused, was erased or was contacted"
    )
    raise StorageError(rule, got=got, fix=f"{BACKUP}; {START_OVER}")
