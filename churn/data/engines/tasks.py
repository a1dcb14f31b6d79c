"""Code that Spark's Python workers run, one Arrow batch at a time; they need this package."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from churn.data.engines.base import Block, Cut, Sweep

PACKED = pa.schema({"batch": pa.binary()})


def read_pieces(
    pieces: Sequence[str], files: Sequence[Path], numbers: Iterable[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    """The rows of the pieces with those numbers, read and cast by DuckDB."""
    from churn.data.engines.duck import DuckDBEngine

    engine = DuckDBEngine(files, threads=1)
    try:
        for batch in numbers:
            for number in batch.column(0).to_pylist():
                yield from engine.stream(pieces[number])
    finally:
        engine.close()


def swept(
    cut: Cut[Block], sweep: Sweep[Block], schema: pa.Schema, batches: Iterable[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    """What the sweep makes of the blocks of a partition."""
    for made in sweep(cut(batches)):
        yield made.cast(schema)


def pack(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Each batch as one row that holds its bytes, in which form a result reaches the driver."""
    for batch in batches:
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, batch.schema) as writer:
            writer.write_batch(batch)
        yield pa.record_batch([[sink.getvalue().to_pybytes()]], schema=PACKED)


def unpack(packed: bytes) -> Iterator[pa.RecordBatch]:
    """The batches that `pack` put into those bytes."""
    with pa.ipc.open_stream(pa.py_buffer(packed)) as reader:
        yield from reader
