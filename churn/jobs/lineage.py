"""What a model was made from: the files of its tables by their hashes, and one fingerprint."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from churn.config import Settings
from churn.data.sources import files_of
from churn.files.hashes import canonical_json, sha256_of

__all__ = ["data_lineage"]


def data_lineage(settings: Settings) -> dict[str, Any]:
    """`files`: table → file name → SHA-256; `fingerprint`: SHA-256 over all of that.

    Names are those of the files alone: where a folder lies is nobody's business. Of files of one
    name in several folders the second is `name#2`, and so on.
    """
    files = {
        table: _hashes(files_of(source, table=table, folder=settings.folder))
        for table, source in settings.data.sources().items()
    }
    fingerprint = hashlib.sha256(canonical_json(files)).hexdigest()
    return {"files": files, "fingerprint": fingerprint}


def _hashes(files: Iterable[Path]) -> dict[str, str]:
    found, seen = {}, Counter[str]()
    for path in files:
        seen[path.name] += 1
        again = f"#{seen[path.name]}" if seen[path.name] > 1 else ""
        found[path.name + again] = sha256_of(path)
    return found
