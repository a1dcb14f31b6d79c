"""Verifiable outputs: a file with a manifest next to it, a directory with its hashes.

A file's sidecar `<file>.manifest.json` lists every version that may be there at this moment: one,
and during a replacement two. A file therefore always has its entry, whenever its writer is killed.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from churn.errors import BusyError, DataError, ModelError, StorageError
from churn.storage.files import canonical_json, sha256_of, storage_errors
from churn.storage.locks import exclusive, lock_beside
from churn.storage.publish import publish_file

BUNDLE_MANIFEST = "manifest.json"
"""The one file of a directory that is not hashed, because it holds the hashes."""

Facts = dict[str, Any]
"""What a manifest states about a file besides its hash and size: JSON values."""

_SCHEMA = 1
_OURS = ("sha256", "bytes")
_READ_ATTEMPTS = 20
_PROBLEMS_SHOWN = 5
_FIX_FILE = (
    "It was altered or damaged: write it again, or remove its .manifest.json if you meant to edit."
)


def sidecar_of(path: Path) -> Path:
    """The manifest next to a file.

    >>> sidecar_of(Path("out/scores.parquet")).name
    'scores.parquet.manifest.json'
    """
    return path.with_name(f"{path.name}.manifest.json")


@contextmanager
def publish_with_manifest(target: Path, facts: Facts | Callable[[], Facts]) -> Iterator[Path]:
    """A path to write to, which becomes `target`, with its manifest, if the block succeeds.

    A callable `facts` is called at the end of the block. BusyError while another process writes the
    same target, StorageError if nothing can be written, both before the block begins.
    """
    with exclusive(lock_beside(target), what=f"writing {target}"):
        with publish_file(target) as temporary:
            yield temporary
            entry = _entry(temporary, facts() if callable(facts) else facts)
            _write_sidecar(target, [*_current_entries(target), entry])
        with suppress(StorageError):  # already published; a manifest of both is just as true
            _write_sidecar(target, [entry])


def verify_file(path: Path) -> Facts | None:
    """The facts in the manifest about exactly the bytes in the file; None without a manifest.

    DataError naming the file if its bytes were never published.
    """
    for _ in range(_READ_ATTEMPTS):
        seen = _identity(path)
        if not sidecar_of(path).exists():
            return None
        entry = _entry_of(sha256_of(path), _read_sidecar(path))
        if entry is not None:
            return {key: value for key, value in entry.items() if key not in _OURS}
        if _identity(path) == seen:
            raise DataError(f"{path} must match its manifest", fix=_FIX_FILE)
    raise BusyError(f"{path} must not change while it is read", fix="Try again later.")


def hash_files(directory: Path) -> dict[str, str]:
    """SHA-256 of every file below a directory by relative name, without `manifest.json`.

    ModelError if anything in it is neither a directory nor a regular file.
    """
    found = _listing(directory)
    _refuse(directory, [_special(name) for name, regular in found.items() if not regular])
    return {name: sha256_of(directory / name) for name in found}


def verify_files(directory: Path, hashes: Mapping[str, str]) -> None:
    """ModelError naming each file that is missing, extra, altered, or a symbolic link."""
    found = _listing(directory)
    problems = [f"{name!r} is missing" for name in sorted(hashes.keys() - found.keys())]
    for name, regular in found.items():
        if not regular:
            problems.append(_special(name))
        elif name not in hashes:
            problems.append(f"{name!r} is extra")
        elif sha256_of(directory / name) != hashes[name]:
            problems.append(f"{name!r} was altered")
    _refuse(directory, problems)


def _special(name: str) -> str:
    return f"{name!r} is a symbolic link or a device"


def _refuse(directory: Path, problems: Sequence[str]) -> None:
    if problems:
        more = len(problems) - _PROBLEMS_SHOWN
        shown = [*problems[:_PROBLEMS_SHOWN], *([f"{more} more"] if more > 0 else [])]
        rule = f"{directory} must hold exactly the files that were published there"
        fix = "Restore it from a copy, or train again."
        raise ModelError(rule, got=", ".join(shown), fix=fix)


def _listing(directory: Path) -> dict[str, bool]:
    """Relative names in order, with whether each is a regular file; links are not followed."""
    if not directory.is_dir():
        fix = "Check the name, or train a model first."
        raise ModelError(f"{directory} must be the directory of a model", fix=fix)
    found = {}
    with storage_errors(directory, doing="read"):
        for parent, directories, names in os.walk(directory, onerror=_raise):
            links = [name for name in directories if Path(parent, name).is_symlink()]
            for path in (Path(parent, name) for name in names + links):
                regular = path.is_file() and not path.is_symlink()
                found[path.relative_to(directory).as_posix()] = regular
    if found.get(BUNDLE_MANIFEST):
        del found[BUNDLE_MANIFEST]
    return dict(sorted(found.items()))


def _raise(error: OSError) -> None:
    raise error


def _entry(path: Path, facts: Facts) -> Facts:
    return {**facts, "sha256": sha256_of(path), "bytes": path.stat().st_size}


def _current_entries(target: Path) -> list[Facts]:
    """The entry of the present target: none if it does not exist or its hash is unknown."""
    if not target.exists():
        return []
    if not sidecar_of(target).exists():
        return [_entry(target, {})]
    try:
        entry = _entry_of(sha256_of(target), _read_sidecar(target))
    except DataError:  # an unreadable manifest proves nothing and is replaced
        return []
    return [] if entry is None else [entry]


def _write_sidecar(target: Path, entries: Sequence[Facts]) -> None:
    manifest = {"schema": _SCHEMA, "versions": list(entries)}
    with publish_file(sidecar_of(target)) as temporary:
        temporary.write_bytes(canonical_json(manifest) + b"\n")


def _read_sidecar(path: Path) -> list[Facts]:
    sidecar = sidecar_of(path)
    with storage_errors(sidecar, doing="read"):
        content = sidecar.read_bytes()
    try:
        manifest = json.loads(content)
        entries: list[Facts] = list(manifest["versions"])
        hashed = all(isinstance(entry["sha256"], str) for entry in entries)
        known = manifest["schema"] == _SCHEMA and hashed
    except (ValueError, KeyError, TypeError, RecursionError):
        known = False
    if not known:
        fix = f"Write {path.name} again, or read it with the version of churn that wrote it."
        raise DataError(f"{sidecar} must be a manifest of schema {_SCHEMA}", fix=fix)
    return entries


def _entry_of(sha256: str, entries: Sequence[Facts]) -> Facts | None:
    """The newest entry with that hash, since the same bytes may have been published twice."""
    return next((entry for entry in reversed(entries) if entry["sha256"] == sha256), None)


def _identity(path: Path) -> tuple[int, ...]:
    with storage_errors(path, doing="read"):
        status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
