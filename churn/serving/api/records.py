"""The ledger as the API sees it: keys, erasures, objections, consent and decisions.

One thread owns the connection. What other processes write is noticed by SQLite's data version, so
an erasure or a withdrawal counts from the next request on.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from math import inf
from pathlib import Path
from typing import TypeVar

from churn.storage.api_keys import ApiKey, api_keys, note_use
from churn.storage.erasures import Erased, read_erased
from churn.storage.ledger import Ledger
from churn.storage.objections import objections

WAIT_SECONDS = 3.0
NOTE_SECONDS = 60.0
"""How often the use of keys is recorded at most."""

Found = TypeVar("Found")


@dataclass(frozen=True)
class Restrictions:
    """Who must not be scored: erased customers, and those who object to profiling."""

    erased: Erased | None = None
    objecting: frozenset[str] = frozenset()

    def allows(self, customer_id: str) -> bool:
        """Whether this customer, in canonical form, may be scored."""
        return customer_id not in self.objecting and not self.is_erased(customer_id)

    def is_erased(self, customer_id: str) -> bool:
        """Whether this customer was erased, so that nothing about them may be recorded."""
        return self.erased is not None and self.erased.date_of(customer_id) is not None


@dataclass
class LedgerThread:
    """Runs functions of the ledger one at a time, on the one thread that owns its connection."""

    path: Path
    erasure_key: str | None
    same_customer: Callable[[str], str]
    keys: Mapping[str, ApiKey] = field(default_factory=dict, repr=False)
    restrictions: Restrictions = field(default_factory=Restrictions, repr=False)
    _used: set[str] = field(default_factory=set, repr=False)
    _noted_at: float = -inf
    _version: int | None = None
    _ledger: Ledger | None = None
    _file: tuple[int, int] | None = None
    _pool: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(1, "ledger"), repr=False
    )

    async def run(self, function: Callable[[Ledger], Found]) -> Found:
        """What the function returns for the ledger, after changes by others were noticed."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, partial(self._run, function))

    async def restricted(self) -> Restrictions:
        """The current restrictions."""
        await self.run(lambda _: None)
        return self.restrictions

    def refresh(self) -> None:
        """Notices changes by others, and records which keys were used; from any thread."""
        self._pool.submit(self._run, self._note_use).result()

    def use(self, key: ApiKey) -> None:
        """Remembers that a key was used."""
        self._used.add(key.prefix)

    def _run(self, function: Callable[[Ledger], Found]) -> Found:
        with self._opened() as ledger:
            self._notice(ledger)
            return function(ledger)

    @contextlib.contextmanager
    def _opened(self) -> Iterator[Ledger]:
        """The open ledger; closed after a failure, and if the file at its path is gone or another
        one, so that no answer comes from a ledger that was taken away.
        """
        if self._ledger is not None and self._file != _file_at(self.path):
            self._close()
        if self._ledger is None:
            self._file = _file_at(self.path)
            self._ledger = Ledger(self.path, wait_seconds=WAIT_SECONDS).__enter__()
            self._version = None
        try:
            yield self._ledger
        except BaseException:
            self._close()
            raise

    def _close(self) -> None:
        if self._ledger is not None:
            self._ledger.__exit__(None, None, None)
            self._ledger = None

    def _notice(self, ledger: Ledger) -> None:
        with ledger.reading() as connection:
            (version,) = connection.execute("PRAGMA data_version").fetchone()
        if version == self._version:
            return
        erased = read_erased(self.path, self.erasure_key, canonical=self.same_customer)
        self.restrictions = Restrictions(erased, objections(ledger))
        self.keys = {key.prefix: key for key in api_keys(ledger)}
        self._version = version

    def reread(self) -> None:
        """Makes the next call read everything again; for changes made by this connection."""
        self._version = None

    def _note_use(self, ledger: Ledger) -> None:
        if self._used and time.monotonic() - self._noted_at > NOTE_SECONDS:
            used, self._used, self._noted_at = self._used, set(), time.monotonic()
            note_use(ledger, used)


def _file_at(path: Path) -> tuple[int, int] | None:
    """Which file is at that path; None without one."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
