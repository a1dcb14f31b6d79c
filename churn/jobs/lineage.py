"""What a model was made from: the files of its tables by their hashes, and one fingerprint."""

from __future__ import annotations

import hashlib
from typing import Any

from churn.config import Settings
from churn.data.sources import files_of
from churn.files.hashes import canonical_json, sha256_of

__all__ = ["data_lineage"]


def data_lineage(settings: Settings) -> dict[str, Any]:
    """`files`: table → file name → SHA-256; `fingerprint`: SHA-256 over all of that.

    Names are those of the files alone: where a folder lies is nobody's business.
    """
    files = {
        table: {
            path.name: sha256_of(path)
            for path in files_of(source, table=table, folder=settings.folder)
        }
        for table, source in settings.data.sources().items()
    }
    fingerprint = hashlib.sha256(canonical_json(files)).hexdigest()
    return {"files": files, "fingerprint": fingerprint}
