"""Fingerprints of files, and the bytes that stand for a value whatever order it was built in."""

import hashlib
import json
from pathlib import Path

from churn.files.causes import storage_errors

__all__ = ["canonical_json", "sha256_of"]


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
