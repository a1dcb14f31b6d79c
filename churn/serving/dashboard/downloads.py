"""Rows as CSV and JSON, streamed; no cell of a CSV file starts a formula in a spreadsheet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

BATCH = 20_000


def csv_of_batches(reader: pa.RecordBatchReader) -> Iterator[bytes]:
    """The batches as one CSV file, encoded in UTF-8."""
    import pyarrow as pa
    import pyarrow.csv as pa_csv

    from churn.results.spreadsheets import guarded

    yield (",".join(reader.schema.names) + "\n").encode()
    options = pa_csv.WriteOptions(include_header=False)
    for batch in reader:
        columns = [
            guarded(column) if pa.types.is_string(column.type) else column
            for column in batch.columns
        ]
        out = io.BytesIO()
        pa_csv.write_csv(pa.record_batch(columns, names=batch.schema.names), out, options)
        yield out.getvalue()


def json_of_batches(reader: pa.RecordBatchReader) -> Iterator[bytes]:
    """The batches as one JSON array of objects."""
    yield b"["
    first = True
    for batch in reader:
        texts = [_json(row) for row in batch.to_pylist()]
        if texts:
            yield ("\n" if first else ",\n").encode() + ",\n".join(texts).encode()
            first = False
    yield b"\n]\n"


def csv_of_rows(names: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> bytes:
    """A small table as CSV.

    >>> csv_of_rows(["a"], [{"a": "=1+1"}, {"a": 2.5}])
    b"a\\r\\n'=1+1\\r\\n2.5\\r\\n"
    """
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(names)
    writer.writerows([_cell(row.get(name)) for name in names] for row in rows)
    return out.getvalue().encode()


def json_of_rows(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """A small table as a JSON array."""
    return ("[" + ",\n".join(_json(row) for row in rows) + "]\n").encode()


def _cell(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    import pyarrow as pa

    from churn.results.spreadsheets import guarded

    return guarded(pa.array([value])).to_pylist()[0]


def _json(row: Mapping[str, Any]) -> str:
    return json.dumps(dict(row), ensure_ascii=False, default=_text, allow_nan=False)


def _text(value: Any) -> str:
    return value.isoformat() if isinstance(value, date | datetime) else str(value)
