"""Blocks of sorted rows in this process's memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Generic

import pyarrow as pa

from churn.data.engines.base import Block, Frame, Sweep


class KeptBlocks(Generic[Block]):
    """Blocks that were made once; `store` makes a table of an engine from batches."""

    def __init__(
        self, blocks: Iterable[Block], store: Callable[[pa.RecordBatchReader, str], Frame]
    ) -> None:
        self._blocks = list(blocks)
        self._store = store

    def batches(self, sweep: Sweep[Block], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        """What the function makes of the blocks, in their order."""
        return sweep(self._blocks)

    def stored(self, sweep: Sweep[Block], schema: pa.Schema, name: str) -> Frame:
        """The same as a table of that name."""
        made = _Remembering(self.batches(sweep, schema))
        try:
            return self._store(pa.RecordBatchReader.from_batches(schema, made), name)
        except Exception as failure:
            raise made.failure or failure from None


class _Remembering:
    """An iterator that keeps its own error: an engine loses the cause on the way through."""

    def __init__(self, batches: Iterator[pa.RecordBatch]) -> None:
        self._batches = batches
        self.failure: BaseException | None = None

    def __iter__(self) -> _Remembering:
        return self

    def __next__(self) -> pa.RecordBatch:
        try:
            return next(self._batches)
        except StopIteration:
            raise
        except BaseException as failure:
            self.failure = failure
            raise
