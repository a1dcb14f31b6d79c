"""The published file, opened again when `churn publish` has replaced it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from copy import copy
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from churn.errors import ChurnError
from churn.reporting.published import Published
from churn.serving.collection import settle

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

MAX_REMEMBERED = 1_000
Mark = tuple[int, int, int]
"""What tells a file from the one that replaces it: inode, time, size."""


@dataclass
class Edition:
    """One published file: its connection, and what was asked of it before."""

    published: Published
    mark: Mark
    remembered: dict[Any, Any] = field(default_factory=dict)
    documents: dict[str, Any] = field(default_factory=dict)
    kept: dict[Any, Any] = field(default_factory=dict)

    @cached_property
    def row(self) -> dict[str, Any]:
        """The one row of the table `published`."""
        return asdict(self.published.row)

    def document(self, name: str) -> Any:
        """The document of that name, None if it was not published; parsed once."""
        if name not in self.documents:
            self.documents[name] = self.published.document(name)
        return self.documents[name]

    def rows(self, sql: str, values: list[Any] | None = None) -> list[dict[str, Any]]:
        """The rows of a query, which may run beside others."""
        found = self._cursor().execute(sql, values or [])
        names = [column[0] for column in found.description]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

    def table(self, sql: str) -> pa.Table:
        """The rows of a query as an Arrow table."""
        return self._cursor().sql(sql).to_arrow_table()

    def column(self, sql: str, values: list[Any] | None = None) -> np.ndarray[Any, Any]:
        """The only column of a query as an array."""
        found = self._cursor().execute(sql, values or []).fetchnumpy()
        (values_found,) = found.values()
        return np.asarray(values_found)

    def batches(self, sql: str, values: list[Any], *, size: int) -> pa.RecordBatchReader:
        """The rows of a query as a stream."""
        return self._cursor().sql(sql, params=values).to_arrow_reader(size)

    def _cursor(self) -> duckdb.DuckDBPyConnection:
        """A connection of its own, so that queries of several threads do not mix."""
        cursor = self.published.connection.cursor()
        cursor.execute("USE page")
        return cursor

    def own_reader(self) -> Published:
        """The same edition with a connection that no other thread uses."""
        found = copy(self.published)
        found.connection = self._cursor()
        return found

    def once(self, key: Any, sql: str, values: list[Any] | None = None) -> list[dict[str, Any]]:
        """The rows of a query, remembered as long as this edition is the newest."""
        if key not in self.remembered:
            if len(self.remembered) >= MAX_REMEMBERED:
                self.remembered.clear()
            self.remembered[key] = self.rows(sql, values)
        found: list[dict[str, Any]] = self.remembered[key]
        return found


class Reader:
    """The newest edition of the file at a path, shown once it is prepared.

    `prepare` is called with each edition, in a thread. The first edition is shown while it is
    prepared; later ones replace it only afterwards, so that no request waits for them.
    """

    def __init__(self, path: Path, prepare: Callable[[Edition], None] = lambda _: None) -> None:
        self.path = path
        self._prepare = prepare
        self._edition: Edition | None = None
        self._failure: tuple[Mark, ChurnError] | None = None
        self._loading: threading.Thread | None = None
        self._lock = threading.Lock()

    def newest(self, *, wait: bool = False) -> Edition | None:
        """The newest edition; None as long as nothing has been published.

        `wait` for one that is being prepared. Requests that still read an older one keep it.
        Raises DataError if the newest file cannot be read.
        """
        self._look()
        loading = self._loading
        if wait and loading is not None:
            loading.join()
        if self._failure is not None:
            raise self._failure[1]
        return self._edition

    def begin(self) -> None:
        """Opens the file, if there is one, before somebody asks for it."""
        with suppress(ChurnError):  # `newest` says it to whoever asks
            self._look()

    def _look(self) -> None:
        """Opens the file if it is new: at once if there is no edition yet, else in a thread."""
        mark = self._mark()
        if mark is None:
            return
        with self._lock:
            if self._edition is None:
                self._edition = edition = Edition(Published(self.path), mark)
                self._in_thread(lambda: self._prepared(edition))
            elif self._loading is None and mark != self._seen:
                self._in_thread(lambda: self._replace(mark))

    @property
    def _seen(self) -> Mark:
        """The newest file that was opened, or could not be."""
        if self._failure is not None:
            return self._failure[0]
        assert self._edition is not None
        return self._edition.mark

    def _replace(self, mark: Mark) -> None:
        try:
            edition = Edition(Published(self.path), mark)
        except ChurnError as failure:
            self._failure = mark, failure
            return
        try:
            self._prepared(edition)
        finally:  # what could not be prepared fails where it is shown
            self._edition, self._failure = edition, None

    def _prepared(self, edition: Edition) -> None:
        self._prepare(edition)
        settle()

    def _in_thread(self, work: Callable[[], None]) -> None:
        def run() -> None:
            try:
                work()
            finally:
                self._loading = None

        # Not a daemon: a process that ends inside a query of DuckDB is aborted.
        self._loading = threading.Thread(target=run, name="edition")
        self._loading.start()

    def _mark(self) -> Mark | None:
        try:
            found = os.stat(self.path)  # noqa: PTH116 - one call per request
        except FileNotFoundError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size
