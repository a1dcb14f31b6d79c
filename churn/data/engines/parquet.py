"""Writes a stream of Arrow batches as one Parquet file, the same for every engine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

ROW_GROUP_ROWS = 122_880


def write_batches(
    batches: Iterable[pa.RecordBatch], schema: pa.Schema, path: Path, *, compression: str
) -> int:
    """The number of rows written; row groups of even size, whatever the size of the batches."""
    import pyarrow.parquet as pq

    plain = plain_schema(schema)
    written = 0
    texts = [field.name for field in plain if pa.types.is_string(field.type)]
    options = {"compression": compression, "use_dictionary": texts}
    with pq.ParquetWriter(path, plain, **options) as writer:
        for table in _groups(batches, plain):
            writer.write_table(table, row_group_size=ROW_GROUP_ROWS)
            written += table.num_rows
    return written


def _groups(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.Table]:
    held: list[pa.Table] = []
    count = 0
    for batch in batches:
        held.append(pa.Table.from_batches([batch]).cast(schema))
        count += batch.num_rows
        if count >= ROW_GROUP_ROWS:
            whole = pa.concat_tables(held)
            full = count - count % ROW_GROUP_ROWS
            yield whole.slice(0, full)
            held, count = [whole.slice(full)], count - full
    if count:
        yield pa.concat_tables(held)


def plain_schema(schema: pa.Schema) -> pa.Schema:
    """The schema without an engine's own string types and metadata."""
    return pa.schema([pa.field(field.name, _plain(field.type)) for field in schema])


def _plain(kind: Any) -> Any:
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    return kind
