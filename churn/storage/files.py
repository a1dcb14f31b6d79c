"""Files: safe names, hashes, and errors of the operating system in plain words."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Literal

from churn.errors import ConfigError, ModelError, StorageError

_ALLOWED = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_LONGEST_SHOWN = 80
_NO_SPACE = "Free some space, or write to another disk."
_NO_RIGHT = "Choose a writable location, or change its permissions."
_OTHER_LOCATION = "Choose another location."

_CAUSES = {
    errno.ENOSPC: ("there is no space left on the disk", _NO_SPACE),
    errno.EDQUOT: ("the disk quota is used up", _NO_SPACE),
    errno.EFBIG: ("the file exceeds the maximum size allowed here", _NO_SPACE),
    errno.EACCES: ("permission is denied", _NO_RIGHT),
    errno.EPERM: ("permission is denied", _NO_RIGHT),
    errno.EROFS: ("the file system is read-only", _NO_RIGHT),
    errno.ENOENT: ("there is no such file or directory", "Check the path."),
    errno.ENOTDIR: ("a part of the path is not a directory", "Check the path."),
    errno.EISDIR: ("it is a directory", "Name a file."),
    errno.EEXIST: ("it already exists", _OTHER_LOCATION),
    errno.ENOTEMPTY: ("it already exists", _OTHER_LOCATION),
    errno.ENAMETOOLONG: ("the name is too long", "Choose a shorter one."),
    errno.ELOOP: ("symbolic links form a loop", "Check the path."),
    errno.EIO: ("the disk reports an error", "Check the disk."),
    errno.EMFILE: ("too many files are open", "Raise the limit (ulimit -n)."),
}


def check_name(name: str, *, what: str = "name") -> str:
    """The name itself; ConfigError unless it is safe in a file name, a key and an address.

    >>> check_name("spring-2017.v2")
    'spring-2017.v2'
    """
    if _ALLOWED.fullmatch(name):
        return name
    raise ConfigError(
        f"{what} must be 1 to 64 of a-z, 0-9, '.', '_' and '-', beginning with a letter or digit",
        got=_shown(name),
        fix='Write e.g. "spring-2017".',
    )


def inside(directory: Path, name: str) -> Path:
    """The path of a file below `directory`, which need not exist yet.

    ModelError if the name leads out of the directory, or through a symbolic link.
    """
    relative = PurePosixPath(name)
    parts = relative.parts
    if not parts or relative.is_absolute() or ".." in parts or "\0" in name:
        rule = f"a file of {directory} must be named by a path inside it"
        raise ModelError(rule, got=_shown(name), fix="Take the model from a source you trust.")
    path = directory.resolve()
    for part in parts:
        path /= part
        if path.is_symlink():
            rule = f"a file of {directory} must not be reached through a symbolic link"
            fix = "Put the file itself there, or take the model from a source you trust."
            raise ModelError(rule, got=_shown(name), fix=fix)
    return path


def _shown(name: str) -> str:
    shown = ascii(name)
    return shown if len(shown) <= _LONGEST_SHOWN else f"{shown[:_LONGEST_SHOWN]}…"


def sha256_of(path: Path) -> str:
    """Lower-case hexadecimal SHA-256 of a file of any size, read in pieces."""
    with storage_errors(path, doing="read"), path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def canonical_json(obj: object) -> bytes:
    """UTF-8 JSON with sorted keys and no spaces: equal values give equal bytes.

    ValueError for NaN and infinities, which JSON does not have.

    >>> canonical_json({"b": 1, "a": ["é", None]}).decode()
    '{"a":["é",null],"b":1}'
    """
    separators = (",", ":")
    text = json.dumps(
        obj, sort_keys=True, separators=separators, ensure_ascii=False, allow_nan=False
    )
    return text.encode()


@contextmanager
def storage_errors(
    path: Path, *, doing: Literal["read", "write"], temporary: Path | None = None
) -> Iterator[None]:
    """A block whose OSErrors become StorageErrors naming the file that failed and why.

    Errors at `temporary` are reported for `path`, the only name that the user knows.
    """
    try:
        yield
    except OSError as error:
        failed = _failed_path(error, path, temporary)
        cause, fix = _CAUSES.get(
            error.errno or 0, (error.strerror or str(error), "Then try again.")
        )
        verb = doing if failed == path else "use"
        raise StorageError(f"cannot {verb} {failed}: {cause}", fix=fix) from error


def _failed_path(error: OSError, path: Path, temporary: Path | None) -> Path:
    if not isinstance(error.filename, str | bytes):
        return path
    failed = Path(os.fsdecode(error.filename))
    ours = temporary is not None and failed.is_relative_to(temporary)
    return path if ours else failed
