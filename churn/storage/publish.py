"""Atomic publishing of files and folders, and private temporary folders."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from pathlib import Path
from typing import Final, Literal

from churn.errors import BusyError, StorageError
from churn.storage.files import storage_errors
from churn.storage.locks import Process, exclusive, lock_beside

_POINTER_WAIT_SECONDS = 10.0
_WRITER = r"\.(\d+)-(\d+)-[0-9a-f]{8}\.tmp(?:-journal|-wal|-shm)?"  # SQLite writes next to its file


class Anything(Enum):
    """The type of `ANY`."""

    ANY = "whatever it is now"


ANY: Final = Anything.ANY


@contextmanager
def publish_file(target: Path) -> Iterator[Path]:
    """A path to write to, which becomes `target` if the block succeeds.

    After an exception the old target is unchanged. StorageError, before the block begins, if
    nothing can be written. The directory is created, and leftovers of killed writers in it are
    removed.
    """
    temporary = _temporary_beside(target)
    with storage_errors(target, doing="write", temporary=temporary):
        _prepare(target, temporary)
        _refuse_other_kinds(target)
        try:
            yield temporary
            _sync(temporary)
            temporary.replace(target)
            _sync(target.parent)
        finally:
            _remove(temporary)


def check_writable(target: Path) -> None:
    """Raises the StorageError that `publish_file` would begin with."""
    temporary = _temporary_beside(target)
    with storage_errors(target, doing="write", temporary=temporary):
        _prepare(target, temporary)
        _refuse_other_kinds(target)


@contextmanager
def publish_directory(target: Path) -> Iterator[Path]:
    """A new directory to fill, which becomes `target` if the block succeeds.

    Leftovers of killed writers of any directory next to it are removed, because names are not
    reused. StorageError if `target` exists, before the block or at its end: it is never
    overwritten.
    """
    temporary = _temporary_beside(target)
    with storage_errors(target, doing="write", temporary=temporary):
        _refuse_existing(target)
        _prepare(target, temporary)
        _remove_all(_leftovers(target, of_any_name=True))
        temporary.mkdir()
        try:
            yield temporary
            _sync_tree(temporary)
            _refuse_existing(target)
            temporary.rename(target)
            _sync(target.parent)
        finally:
            _remove(temporary)


def remove_leftovers(target: Path) -> int:
    """Removes temporary files of killed writers of `target`; returns their number."""
    if not target.parent.is_dir():
        return 0
    with storage_errors(target, doing="write"):
        found = _leftovers(target)
        for leftover in found:
            _remove(leftover)
    return len(found)


def read_pointer(pointer: Path) -> str | None:
    """The content of a pointer file, None if there is none."""
    with storage_errors(pointer, doing="read"):
        try:
            return pointer.read_text(encoding="utf-8", errors="replace").strip()
        except FileNotFoundError:
            return None


def swap_pointer(
    pointer: Path, value: str, *, expected: str | Literal[Anything.ANY] | None = ANY
) -> None:
    """Makes a pointer file contain `value`, if it still contains `expected` (None: does not exist).

    BusyError naming the winning value if another process was faster.
    """
    what = f"moving {pointer}"
    with exclusive(lock_beside(pointer), what=what, wait_seconds=_POINTER_WAIT_SECONDS):
        current = read_pointer(pointer)
        if expected is not ANY and current != expected:
            rule = f"{pointer} must still contain {_shown(expected)} to be moved to {value!r}"
            fix = "Another run has moved it: compare with that one, then try again."
            raise BusyError(rule, got=_shown(current), fix=fix)
        with publish_file(pointer) as temporary:
            temporary.write_text(f"{value}\n", encoding="utf-8")


def _shown(value: str | None) -> str:
    return "nothing" if value is None else repr(value)


def _temporary_beside(target: Path) -> Path:
    writer = Process.current()
    token = f"{writer.pid}-{writer.started}-{secrets.token_hex(4)}"
    return target.with_name(f".{target.name}.{token}.tmp")


def _prepare(target: Path, temporary: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    _remove_all(_leftovers(target))
    temporary.touch()
    temporary.unlink()


def _remove_all(leftovers: list[Path]) -> None:
    for leftover in leftovers:
        with suppress(OSError):
            _remove(leftover)


def _leftovers(target: Path, *, of_any_name: bool = False) -> list[Path]:
    """Temporary files for `target` whose writers are gone, or directories of any name."""
    name = ".+" if of_any_name else re.escape(target.name)
    pattern = re.compile(rf"\.{name}{_WRITER}")
    found = [(path, pattern.fullmatch(path.name)) for path in target.parent.iterdir()]
    return [
        path
        for path, match in found
        if match and not _writer(match).is_alive and (path.is_dir() or not of_any_name)
    ]


def _writer(match: re.Match[str]) -> Process:
    return Process(pid=int(match[1]), started=int(match[2]))


def _refuse_other_kinds(target: Path) -> None:
    if target.exists() and not target.is_file():
        rule = f"{target} must be a file to be replaced"
        raise StorageError(rule, got="a directory or device", fix="Choose another name.")


def _refuse_existing(target: Path) -> None:
    if target.exists() or target.is_symlink():
        rule = f"{target} must not exist yet, because published results are never overwritten"
        raise StorageError(rule, fix="Choose another name.")


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _sync_tree(directory: Path) -> None:
    for parent, _, names in os.walk(directory):
        for name in names:
            _sync(Path(parent, name))
        _sync(Path(parent))


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def private_folder(prefix: str) -> Path:
    """A new folder that only its owner can read, whose name contains the owning process."""
    _remove_leftovers(prefix)
    me = Process.current()
    place = Path(tempfile.gettempdir())
    with storage_errors(place, doing="write"):
        return Path(tempfile.mkdtemp(prefix=f"{prefix}{me.pid}-{me.started}-", dir=place))


def _remove_leftovers(prefix: str) -> None:
    for left in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        match = re.match(rf"{prefix}(\d+)-(\d+)-", left.name)
        if match is not None and not Process(int(match[1]), int(match[2])).is_alive:
            with suppress(OSError):
                shutil.rmtree(left)
