"""Locks between processes that vanish with their holder, even after kill -9."""

import errno
import fcntl
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from churn.errors import BusyError, StorageError
from churn.files.causes import storage_errors

__all__ = ["exclusive", "lock_beside"]

_POLL_SECONDS = 0.02


def lock_beside(target: Path) -> Path:
    """The hidden lock file that writers of `target` share.

    >>> lock_beside(Path("out/scores.parquet")).name
    '.scores.parquet.lock'
    """
    return target.with_name(f".{target.name}.lock")


@contextmanager
def exclusive(path: Path, *, what: str, wait_seconds: float = 0.0) -> Iterator[None]:
    """A block that one process, and one thread in it, is in at a time.

    `path` is created with its directories and kept. BusyError naming `what` and the holder's
    process when it is still taken after `wait_seconds`.
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
    """The lock file, made where there is none; StorageError where it is a link or no file, for
    what it leads to would be overwritten.
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
    rule = f"{path} must be a file of its own, by which runs keep off each other"
    return StorageError(rule, got="a link, a pipe or a device", fix="Remove it.")


def _acquire(descriptor: int, *, what: str, wait_seconds: float) -> None:
    deadline = time.monotonic() + wait_seconds
    while not _try_lock(descriptor):
        if time.monotonic() >= deadline:
            holder = os.pread(descriptor, 20, 0).decode(errors="replace") or "unknown"
            rule = f"{what} must be the work of one run at a time"
            got = f"another run (process {holder}) at it"
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
