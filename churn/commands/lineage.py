"""What a model was made from: the files of its tables by their hashes, and one fingerprint."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from churn.config import Settings
from churn.data.databases import FetchedTable, FetchedTables
from churn.data.sources import files_of
from churn.storage.names import canonical_json, sha256_of


def data_lineage(settings: Settings, fetched: FetchedTables | None = None) -> dict[str, Any]:
    """`files`: table → file name → SHA-256; `fingerprint`: SHA-256 of all of them.

    File names have no folders; if several folders have a file of the same name, the second one is
    `name#2`, and so on. A table `fetched` from a database is named without its server, and hashed
    by the rows that were read.
    """
    databases = {} if fetched is None else fetched.tables
    files = {
        table: _rows_hash(databases[table])
        if table in databases
        else _hashes(files_of(source, table=table, folder=settings.folder))
        for table, source in settings.data.sources().items()
    }
    fingerprint = hashlib.sha256(canonical_json(files)).hexdigest()
    return {"files": files, "fingerprint": fingerprint}


def _rows_hash(fetched: FetchedTable) -> dict[str, str]:
    address = fetched.address
    return {f"{address.database}#{address.name}": fetched.digest}


def _hashes(files: Iterable[Path]) -> dict[str, str]:
    found, seen = {}, Counter[str]()
    for path in files:
        seen[path.name] += 1
        again = f"#{seen[path.name]}" if seen[path.name] > 1 else ""
        found[path.name + again] = sha256_of(path)
    return found
