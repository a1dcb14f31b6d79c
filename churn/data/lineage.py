"""The data of a run as hashes: each file, each table of a database, and one fingerprint of all."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from churn.data.databases import FetchedTables
from churn.data.settings import DataSettings
from churn.data.sources import files_of
from churn.storage.files import canonical_json, sha256_of


def lineage_of(
    settings: DataSettings, folder: Path, fetched: FetchedTables | None = None
) -> dict[str, Any]:
    """`files`: table → file name → SHA-256; `fingerprint`: SHA-256 of all of them.

    File names have no folders; if several folders have a file of the same name, the second one is
    `name#2`, and so on. A table `fetched` from a database is named without its server, and hashed
    by the rows that were read.
    """
    databases = {} if fetched is None else fetched.tables
    files = {
        table: {databases[table].label: databases[table].digest}
        if table in databases
        else _hashes(files_of(source, table=table, folder=folder))
        for table, source in settings.sources().items()
    }
    fingerprint = hashlib.sha256(canonical_json(files)).hexdigest()
    return {"files": files, "fingerprint": fingerprint}


def _hashes(files: Iterable[Path]) -> dict[str, str]:
    hashes, seen = {}, Counter[str]()
    for path in files:
        seen[path.name] += 1
        again = f"#{seen[path.name]}" if seen[path.name] > 1 else ""
        hashes[path.name + again] = sha256_of(path)
    return hashes
