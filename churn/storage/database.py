"""SQLite files: opened at a known schema, changed in transactions, with readable errors."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from churn.errors import BusyError, StorageError
from churn.storage.os_errors import storage_errors

Migration = Sequence[str]
"""The statements that lead from one schema version to the next."""

_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def open_database(
    path: Path, migrations: Sequence[Migration], *, wait_seconds: float = 30.0
) -> sqlite3.Connection:
    """A connection to the file at `path`, created or migrated to the newest schema if needed.

    The schema's version is the number of migrations applied (`PRAGMA user_version`).
    """
    with storage_errors(path, doing="write"):
        path.parent.mkdir(parents=True, exist_ok=True)
    with database_errors(path):
        connection = sqlite3.connect(path, timeout=wait_seconds, isolation_level=None)
        try:
            _migrate(connection, path, migrations)
        except BaseException:
            connection.close()
            raise
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """A block whose changes are all kept if it ends without an exception, else none."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


@contextmanager
def database_errors(path: Path) -> Iterator[None]:
    """A block whose SQLite errors become BusyError or StorageError naming the file."""
    try:
        yield
    except (sqlite3.IntegrityError, sqlite3.ProgrammingError):
        raise
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the low byte is the primary code
        if code in _BUSY:
            rule = f"{path} must be written by one run at a time"
            raise BusyError(rule, fix="Another run is writing it: wait, then try again.") from error
        fix = "Check the disk, the permissions, and that the file is the ledger of churn."
        raise StorageError(f"cannot use {path}: {error}", fix=fix) from error


def _migrate(connection: sqlite3.Connection, path: Path, migrations: Sequence[Migration]) -> None:
    if _version(connection) == len(migrations):
        return
    with transaction(connection):
        version = _version(connection)
        if version > len(migrations):
            rule = f"{path} must have a schema version up to {len(migrations)}"
            raise StorageError(rule, got=version, fix="Upgrade churn, or name another file.")
        for statement in (line for migration in migrations[version:] for line in migration):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(migrations)}")


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
