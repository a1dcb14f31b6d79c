"""The one connection to PostgreSQL: ADBC, which reads and writes rows as Arrow, with plain errors.

No message shows a password, or the content of a row.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import parse_qsl, urlencode, urlsplit

from churn.errors import BusyError, ChurnError, DataError, StorageError, check_extra
from churn.storage.postgres.address import TableAddress

if TYPE_CHECKING:
    import pyarrow as pa


# An unreachable server costs seconds, while connecting and later; the address may override this.
DEFAULTS = {
    "connect_timeout": "5",
    "application_name": "churn",
    "client_encoding": "UTF8",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}
LOCK_WAIT_MILLISECONDS = 15_000

_RIGHTS = "Grant them, or connect as a user who has them."
_CAUSES: dict[str, tuple[type[ChurnError], str, str]] = {
    "42501": (StorageError, "the user lacks the required rights", _RIGHTS),
    "25006": (StorageError, "the database is read-only", "Connect to the primary server."),
    "53100": (StorageError, "there is no space left on the server", "Free some space there."),
    "53300": (StorageError, "the server has too many connections", "Try again later."),
    "57014": (StorageError, "the server ended the statement", "Raise its statement_timeout."),
    "3F000": (StorageError, "the schema does not exist", "Create it, or name another."),
    "55P03": (BusyError, "another session holds a lock on the table", "Try again later."),
    "40P01": (BusyError, "another session changed the same rows", "Try again."),
    "40001": (BusyError, "another session changed the same rows", "Try again."),
    "23502": (DataError, "an extra column must not be null", "Drop it, or allow nulls."),
    "42P01": (DataError, "the table does not exist", "Check its name; case counts."),
}
_LOST = "Check the address, the password and the server, then try again."


class Server:
    """A connection; statements are committed individually unless they are in a transaction."""

    def __init__(self, connection: Any, address: TableAddress) -> None:
        self._connection = connection
        self._address = address

    def run(self, sql: str, *values: str) -> None:
        """Executes one statement; `values` are its $1, $2 and so on."""
        with _failures(self._address), self._connection.cursor() as cursor:
            cursor.execute(sql, values or None)

    def rows(self, sql: str, *values: str) -> list[dict[str, Any]]:
        """The small result of a query."""
        with _failures(self._address), self._connection.cursor() as cursor:
            cursor.execute(sql, values or None)
            found: list[dict[str, Any]] = cursor.fetch_arrow_table().to_pylist()
            return found

    @contextmanager
    def reading(self, sql: str, *values: str) -> Iterator[tuple[pa.Schema, Iterator[Any]]]:
        """The result of a query as its schema and its batches, of which one is held at a time."""
        with self._connection.cursor() as cursor:
            with _failures(self._address):
                cursor.execute(sql, values or None)
                reader = cursor.fetch_record_batch()
            yield reader.schema, self._batches(reader)

    def _batches(self, reader: Any) -> Iterator[Any]:
        while True:
            with _failures(self._address):
                batch = next(reader, None)
            if batch is None:
                return
            yield batch

    def append(self, schema: str, table: str, rows: pa.Table) -> None:
        """Adds rows to a table by COPY; the columns must have exactly the same types there."""
        with _failures(self._address), self._connection.cursor() as cursor:
            cursor.adbc_ingest(table, rows, mode="append", db_schema_name=schema)

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """A block in which all queries see the database at one moment, and change nothing."""
        self.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        yield
        self.run("COMMIT")


@contextmanager
def connected(address: TableAddress) -> Iterator[Server]:
    """A connection that ends with the block; uncommitted changes are rolled back.

    StorageError if the server cannot be reached or rejects the connection.
    """
    check_extra("postgres", "adbc_driver_postgresql", what=str(address))
    import adbc_driver_postgresql.dbapi as adbc

    with _failures(address):
        connection = adbc.connect(_with_defaults(address.uri), autocommit=True)
    with connection:
        server = Server(connection, address)
        server.run(
            "SELECT set_config('TimeZone', 'UTC', false), set_config('lock_timeout', $1, false)",
            str(LOCK_WAIT_MILLISECONDS),
        )
        yield server


def _with_defaults(uri: str) -> str:
    given = dict(parse_qsl(urlsplit(uri).query, keep_blank_values=True))
    base = uri.partition("?")[0]
    return f"{base}?{urlencode({**DEFAULTS, **given})}".replace("+", "%20")


@contextmanager
def _failures(address: TableAddress) -> Iterator[None]:
    """Converts the driver's errors into our own: by the server's code, else by its message."""
    import adbc_driver_manager as adbc
    import pyarrow as pa

    try:
        yield
    except (adbc.Error, pa.ArrowException, OSError) as failure:
        _explain(failure, address)


def _explain(failure: Exception, address: TableAddress) -> NoReturn:
    code = getattr(failure, "sqlstate", None) or _code_in(str(failure)) or ""
    if code in _CAUSES:
        kind, cause, fix = _CAUSES[code]
        raise kind(f"cannot use {address}: {cause}", fix=fix) from None
    if code.startswith("22"):  # the server's message would show the value
        rule = f"cannot use {address}: it holds values that do not fit their type, code {code}"
        raise DataError(rule, fix="See the server's log.") from None
    rule = f"cannot use {address}: {_explanation(failure, address)}"
    raise StorageError(rule, fix=_LOST if not code else "Fix this on the server.") from None


def _code_in(text: str) -> str | None:
    found = re.search(r"SQLSTATE: (\w{5})", text)
    return None if found is None else found[1]


def _explanation(failure: Exception, address: TableAddress) -> str:
    """The first line of the server's or libpq's message, without secrets and without our query."""
    line = re.split(r"\n|Query was", str(failure).strip())[0].strip()
    line = re.sub(r"^.*(?:failed: |libpq\] |ERROR: )\s*", "", line)
    line = re.sub(r"^(?:FATAL: |Failed to connect: )\s*", "", line)
    secret = address.password
    return line.replace(secret, "***") if secret else line
