"""Names of stored objects, and hashes of files."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path, PurePosixPath

from churn.errors import ConfigError, ModelError
from churn.storage.os_errors import storage_errors

_ALLOWED = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_LONGEST_SHOWN = 80


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
