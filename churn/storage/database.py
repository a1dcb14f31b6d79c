"""SQLite files: opened at a known schema, changed in transactions, with readable errors; and
records that are rows of their tables.
"""

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from datetime import date, datetime
from functools import cache
from operator import attrgetter
from pathlib import Path
from types import UnionType
from typing import Any, Self, get_args, get_origin, get_type_hints

from churn.errors import BusyError, StorageError
from churn.storage.files import storage_errors

Migration = Sequence[str]
"""The statements that lead from one schema version to the next."""

_READERS: Mapping[object, Callable[[Any], Any]] = {
    bool: bool,
    date: date.fromisoformat,
    datetime: datetime.fromisoformat,
    dict: json.loads,
}
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


class Record:
    """Base of dataclasses whose fields are columns of a table, of the same names.

    Dates and times are stored as ISO 8601, dictionaries as JSON, and flags as 0 and 1.
    """

    __slots__ = ()

    @classmethod
    @cache
    def _readers(cls: Any) -> Mapping[str, Callable[[Any], Any] | None]:
        """The names of the columns, and how those are read that are not stored as they are."""
        hints = get_type_hints(cls)
        return {one.name: _reader(hints[one.name]) for one in fields(cls)}

    @classmethod
    def columns(cls) -> str:
        """The columns in SQL, in the order of `row`."""
        return ", ".join(cls._readers())

    @classmethod
    def marks(cls) -> str:
        """A parameter in SQL for each of them."""
        return ", ".join("?" * len(cls._readers()))

    @classmethod
    def from_row(cls, row: Iterable[Any]) -> Self:
        """The record in a row of `columns`."""
        values = zip(cls._readers().items(), row, strict=True)
        return cls(
            **{
                name: value if read is None or value is None else read(value)
                for (name, read), value in values
            }
        )

    def row(self) -> tuple[object, ...]:
        """The values of `columns` as they are stored."""
        values = attrgetter(*self._readers())(self)
        return tuple([one.isoformat() if isinstance(one, date) else one for one in values])


def _reader(hint: object) -> Callable[[Any], Any] | None:
    options = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    return next((_READERS[o] for one in options if (o := get_origin(one) or one) in _READERS), None)
