"""One hash over the rows of a result, by which a table can prove that they are those written."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from io import BytesIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["digest_of_rows"]

_ROWS_AT_ONCE = 100_000


def digest_of_rows(rows: pa.Table, key: Sequence[str]) -> str:
    """SHA-256 of the rows as CSV in the order of their key, lists with a control character between.

    >>> import pyarrow as pa
    >>> digest_of_rows(pa.table({"id": ["a", "b"]}), ["id"])[:8]
    '0d3530f7'
    >>> digest_of_rows(pa.table({"id": ["b", "a"]}), ["id"])[:8]
    '0d3530f7'
    """
    import pyarrow.csv as pa_csv

    ordered = _flat(rows).sort_by([(name, "ascending") for name in key])
    digest = hashlib.sha256()
    for start in range(0, max(ordered.num_rows, 1), _ROWS_AT_ONCE):
        text = BytesIO()
        pa_csv.write_csv(ordered.slice(start, _ROWS_AT_ONCE), text)
        digest.update(text.getbuffer())
    return digest.hexdigest()


def _flat(rows: pa.Table) -> pa.Table:
    import pyarrow as pa
    import pyarrow.compute as pc

    columns = {
        one.name: pc.binary_join(rows[one.name], "\x1f")
        if pa.types.is_list(one.type)
        else rows[one.name]
        for one in rows.schema
    }
    return pa.table(columns)
