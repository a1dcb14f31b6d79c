"""Locks between processes, which end with their holder even after kill -9."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from churn.errors import BusyError, StorageError
from churn.storage.files import storage_errors

_UNKNOWN = ("?", 0)

_POLL_SECONDS = 0.02


@dataclass(frozen=True)
class Process:
    """A process by its number and its start time, because numbers are reused.

    `started` counts clock ticks from boot to the start; 0 if the system does not report it.
    """

    pid: int
    started: int = 0

    @classmethod
    def current(cls) -> Process:
        """The current process."""
        pid = os.getpid()
        return cls(pid, _state_and_start(pid)[1])

    @property
    def is_alive(self) -> bool:
        """Whether this exact process is still running; a zombie is not."""
        if not _exists(self.pid):
            return False
        state, started = _state_and_start(self.pid)
        return state != "Z" and 0 in {started, self.started, started - self.started}


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return True


def _state_and_start(pid: int) -> tuple[str, int]:
    """Fields 3 and 22 of /proc/PID/stat, if it exists (proc(5))."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return _UNKNOWN
    fields = stat.rpartition(")")[2].split()
    return fields[0], int(fields[19])


def lock_beside(target: Path) -> Path:
    """The hidden lock file that writers of `target` share.

    >>> lock_beside(Path("out/scores.parquet")).name
    '.scores.parquet.lock'
    """
    return target.with_name(f".{target.name}.lock")


@contextmanager
def exclusive(path: Path, *, what: str, wait_seconds: float = 0.0) -> Iterator[None]:
    """A block that only one process, and one thread in it, can be in at a time.

    `path` is created with its directories and kept. BusyError naming `what` and the holder's
    process if it is still taken after `wait_seconds`.
    """
    with storage_errors(path, doing="write"):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = _opened(path)
    try:
        with storage_errors(path, doing="write"):
            _acquire(descriptor, what=what, wait_seconds=wait_seconds)
            _sign(descriptor)
        yield
    finally:
        os.close(descriptor)


def _opened(path: Path) -> int:
    """The lock file, created if there is none; StorageError if it is a link or not a regular file,
    because its target would be overwritten.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, 0o666)
    except OSError as failure:
        if failure.errno in (errno.ELOOP, errno.ENXIO):
            raise _no_lock_file(path) from None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _no_lock_file(path)
    return descriptor


def _no_lock_file(path: Path) -> StorageError:
    rule = f"{path} must be a regular file, used as a lock between runs"
    return StorageError(rule, got="a link, a pipe or a device", fix="Remove it.")


def _acquire(descriptor: int, *, what: str, wait_seconds: float) -> None:
    deadline = time.monotonic() + wait_seconds
    while not _try_lock(descriptor):
        if time.monotonic() >= deadline:
            holder = os.pread(descriptor, 20, 0).decode(errors="replace") or "unknown"
            rule = f"{what} must be done by one run at a time"
            got = f"another run (process {holder})"
            raise BusyError(rule, got=got, fix="Wait until it has ended, then try again.")
        time.sleep(_POLL_SECONDS)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _sign(descriptor: int) -> None:
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, str(os.getpid()).encode(), 0)
