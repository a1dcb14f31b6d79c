"""The file of the ledger, verified to be the original one, and the files next to it.

Its content cannot be recreated: who refused, who was erased, who received what. It is therefore
never recreated silently. Next to it is its mark, a small file with its id: if the mark exists and
the ledger does not, or is a different one, no command continues. To start over, remove the mark.

The key with which erased customers are hashed is a setting, or a third file next to them. Anyone
with the key and the ledger can test names; so the file is readable by its owner only, and must not
be shared. Without it the list of erased customers recognises nobody.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import NoReturn

from churn.errors import ConfigError, StorageError
from churn.storage.database import database_errors, open_database
from churn.storage.files import storage_errors
from churn.storage.locks import exclusive, lock_beside
from churn.storage.publish import publish_file
from churn.storage.records import APPLICATION_ID, MIGRATIONS

IN_MEMORY = ":memory:"
BACKUP = "Restore the ledger from a backup"
START_OVER = "docs/privacy.md explains how to start over."
KEY_VARIABLE = "CHURN_PRIVACY_KEY"
LEAST_KEY_LENGTH = 32


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


def key_beside(ledger_path: Path) -> Path:
    """The path of the generated key."""
    return ledger_path.with_name("erasure.key")


def stored_key(ledger_path: Path, given: str | None) -> bytes | None:
    """The given key, else the one in the file; None if there is neither."""
    if given is not None:
        return _long_enough(given, what="[privacy] key")
    path = key_beside(ledger_path)
    with storage_errors(path, doing="read"):
        try:
            text = path.read_text(encoding="ascii", errors="replace").strip()
        except FileNotFoundError:
            return None
    return _long_enough(text, what=f"the key in {path.name}")


def made_key(ledger_path: Path, given: str | None) -> bytes:
    """The same, generated if there is none: 256 random bits, readable by the file's owner."""
    found = stored_key(ledger_path, given)
    if found is not None:
        return found
    text = secrets.token_hex(32)
    with publish_file(key_beside(ledger_path)) as temporary:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        with os.fdopen(os.open(temporary, flags, 0o600), "w", encoding="ascii") as file:
            file.write(f"{text}\n")
    return text.encode()


def _long_enough(text: str, *, what: str) -> bytes:
    if len(text) < LEAST_KEY_LENGTH:
        rule = f"{what} must have at least {LEAST_KEY_LENGTH} characters"
        fix = "Make one with `openssl rand -hex 32`; keep it for as long as the ledger."
        raise ConfigError(rule, got=f"{len(text)}", fix=fix)
    return text.encode()
