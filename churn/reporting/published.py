"""The file that `churn publish` writes, opened for reading: pages, report and digest read only it.

The file is replaced as a whole, never changed: whoever has it open keeps the old version, and
`is_replaced` says when to open it again.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from datetime import date, datetime
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from churn.errors import ConfigError, DataError

if TYPE_CHECKING:
    import duckdb

VERSION = 1
DOCUMENTS = (
    *("overview", "score", "plan", "metrics", "cohorts", "segments", "journey", "signals"),
    *("feedback", "measurements", "model", "monitor", "missing", "notes"),
)
"""The documents that a published file may contain, each the JSON of a command."""


@dataclass(frozen=True, kw_only=True)
class PublishedRow:
    """What the published file is of. `as_of` is exclusive; `published_at` and `orders_read_at` are
    in UTC; `orders_until` is the date of the last order before `as_of`.
    """

    run_id: str
    as_of: date
    published_at: datetime
    orders_until: date | None
    orders_read_at: datetime
    model_id: str | None
    model_as_of: date | None
    currency: str
    shop: str
    language: str
    version: int = VERSION


class Published:
    """A published file, open for reading.

    Raises ConfigError if there is none, DataError if it is no such file or of another release.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen = _identity(path)
        self.connection = _connected(path)
        try:
            self.row = self._row()
        except BaseException:
            self.close()
            raise

    def document(self, name: str) -> Any | None:
        """The JSON of a command, of `DOCUMENTS`; None if it could not run."""
        found = self._documents.get(name)
        return None if found is None else json.loads(found)

    @cached_property
    def _documents(self) -> dict[str, str]:
        return dict(self.connection.execute("SELECT name, json FROM documents").fetchall())

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """A connection of its own to the same file, for another thread."""
        cursor = self.connection.cursor()
        cursor.execute("USE page")
        return cursor

    @property
    def is_replaced(self) -> bool:
        """Whether another file is in its place by now."""
        return _identity(self.path) != self._seen

    def close(self) -> None:
        """Closes the file."""
        self.connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.close()

    def _row(self) -> PublishedRow:
        import duckdb

        names = [one.name for one in fields(PublishedRow)]
        rule = f"{self.path.name} must be a file of `churn publish`"
        try:
            found = self.connection.sql("SELECT * FROM published").to_arrow_table().to_pylist()
        except duckdb.Error:
            raise DataError(rule, got="another database", fix="Publish again.") from None
        row = found[0] if found else {}
        if row.get("version") != VERSION:
            fix = "Run `churn publish` of this release."
            raise DataError(f"{rule} of version {VERSION}", got=row.get("version"), fix=fix)
        return PublishedRow(**{name: row[name] for name in names})


def _connected(path: Path) -> duckdb.DuckDBPyConnection:
    """A connection whose default schema is the file's, read-only.

    The file is attached to a database in memory: opened directly, a replaced file would still be
    the old one for as long as the process has any connection to it.
    """
    import duckdb

    connection = duckdb.connect()
    try:
        quoted = str(path.absolute()).replace("'", "''")
        connection.execute(f"ATTACH '{quoted}' AS page (READ_ONLY)")
        connection.execute("USE page")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET TimeZone = 'UTC'")
    except duckdb.Error as failure:
        connection.close()
        rule = f"{path.name} must be a file of `churn publish`"
        raise DataError(rule, got=type(failure).__name__, fix="Publish again.") from None
    return connection


def _identity(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except FileNotFoundError:
        rule = f"there is no published file {path.name!r}"
        raise ConfigError(rule, fix="Write it with `churn publish`.") from None
    return status.st_ino, status.st_mtime_ns
