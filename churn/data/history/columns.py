"""Arrow columns as NumPy arrays and back, without a copy where there are no nulls.

PyArrow's own conversions import pandas, which takes longer than many a command.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from churn.arrays import Bools, Floats, Ints

Column: TypeAlias = "np.ndarray[Any, np.dtype[Any]]"
NO_TEXT = -1
"""The code of a missing text."""


def numbers(column: pa.ChunkedArray) -> Floats:
    """The values as floats, NaN for null."""
    return np.asarray(_values(column.cast(pa.float64()), np.dtype(np.float64), np.nan))


def whole_numbers(column: pa.ChunkedArray) -> Ints:
    """The values of a column without nulls as integers."""
    return np.asarray(_values(column.cast(pa.int64()), np.dtype(np.int64)))


def text_codes(column: pa.ChunkedArray) -> tuple[Column, pa.Array]:
    """The place of each text among the distinct ones in byte order, `NO_TEXT` for null; and these.

    Byte order is how engines compare texts: the smallest code is the first by name.
    """
    coded = column.combine_chunks().dictionary_encode()
    order = _values(pc.sort_indices(coded.dictionary), np.dtype(np.uint64)).astype(np.int64)
    places = np.empty(len(order) + 1, dtype=np.int32)
    places[order] = np.arange(len(order), dtype=np.int32)
    places[-1] = NO_TEXT
    codes = _values(coded.indices, np.dtype(np.int32), len(order))
    return places[codes], coded.dictionary.take(arrow_numbers(order))


def changes(column: pa.ChunkedArray) -> Bools:
    """Where a column without nulls differs from the row before; the first row counts as different.

    >>> changes(pa.chunked_array([["ann", "ann", "bob"]]))
    array([ True, False,  True])
    """
    values = column.combine_chunks()
    differs = pc.not_equal(values.slice(1), values.slice(0, max(len(values) - 1, 0)))
    first = np.ones(min(len(values), 1), dtype=bool)
    return np.concatenate([first, _values(differs.cast(pa.uint8()), np.dtype(np.uint8)) == 1])


def equal_to(column: pa.ChunkedArray, text: str) -> Bools:
    """Whether each value of a column without nulls is that text.

    >>> equal_to(pa.chunked_array([["new", "lapsed"]]), "lapsed")
    array([False,  True])
    """
    places = pc.index_in(column, value_set=arrow_texts([text]))
    return np.asarray(_values(places, np.dtype(np.int32), NO_TEXT) == 0)


def arrow_numbers(values: Column) -> pa.Array:
    """An Arrow array of those numbers; NaN becomes null.

    >>> arrow_numbers(np.array([1.5, np.nan])).to_pylist()
    [1.5, None]
    """
    values = np.ascontiguousarray(values)
    known = None
    if values.dtype.kind == "f" and (missing := np.isnan(values)).any():
        known = pa.py_buffer(np.packbits(~missing, bitorder="little").tobytes())
    kind = TYPES[values.dtype.str[1:]]
    return pa.Array.from_buffers(kind, len(values), [known, pa.py_buffer(values)])


def arrow_rows(values: Floats) -> list[pa.Array]:
    """An Arrow array for each row of a matrix; what is not finite becomes null.

    >>> [row.to_pylist() for row in arrow_rows(np.array([[1.5, np.inf], [0.0, 2.0]]))]
    [[1.5, None], [0.0, 2.0]]
    """
    values = np.ascontiguousarray(values)
    known = np.isfinite(values)
    bits = np.packbits(known, axis=1, bitorder="little")
    return [
        pa.Array.from_buffers(
            pa.float64(), len(row), [None if whole else pa.py_buffer(valid), pa.py_buffer(row)]
        )
        for row, valid, whole in zip(values, bits, np.atleast_1d(known.all(axis=1)), strict=True)
    ]


def arrow_texts(texts: Sequence[str]) -> pa.Array:
    """An Arrow array of those texts.

    >>> arrow_texts(["eligible", "new"]).to_pylist()
    ['eligible', 'new']
    """
    coded = [text.encode() for text in texts]
    ends = np.cumsum([0, *map(len, coded)], dtype=np.int32)
    buffers = [None, pa.py_buffer(ends), pa.py_buffer(b"".join(coded))]
    return pa.Array.from_buffers(pa.string(), len(coded), buffers)


def arrow_mask(mask: Bools) -> pa.Array:
    """An Arrow array of true and false."""
    bits = pa.py_buffer(np.packbits(mask, bitorder="little").tobytes())
    return pa.Array.from_buffers(pa.bool_(), len(mask), [None, bits])


TYPES = {
    "f8": pa.float64(),
    "f4": pa.float32(),
    "i8": pa.int64(),
    "i4": pa.int32(),
    "u1": pa.uint8(),
}


def _values(
    column: pa.ChunkedArray | pa.Array, kind: np.dtype[Any], missing: float | None = None
) -> Any:
    """The values of a column of that type; `missing` takes the place of null."""
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    parts = [_chunk(chunk, kind, missing) for chunk in chunks if len(chunk)]
    if len(parts) == 1:
        return parts[0]
    return np.concatenate(parts) if parts else np.empty(0, dtype=kind)


def _chunk(chunk: pa.Array, kind: np.dtype[Any], missing: float | None) -> Any:
    valid, buffer = chunk.buffers()
    start, rows = chunk.offset, len(chunk)
    values = np.frombuffer(buffer, dtype=kind, count=rows, offset=start * kind.itemsize)
    if missing is None or valid is None:
        return values
    bits = np.unpackbits(np.frombuffer(valid, np.uint8), bitorder="little")[start : start + rows]
    return np.where(bits == 1, values, np.asarray(missing, dtype=kind))
