"""The customers of an edition in memory, by position: columns, sorts, and a search of their ids.

Filters compare numbers: texts are kept as codes. A sort is found once, as the positions of all
customers in its order, so that a page of any depth is a slice. A million customers take 110 MB,
and 4 MB for each sort and direction that was asked for.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from churn.arrays import Bools, Floats

if TYPE_CHECKING:
    import pyarrow as pa

    from churn.serving.dashboard.reader import Edition

TEXTS = (
    *("status", "segment", "risk_band", "reason_1", "reason_1_code", "offer_id", "offer_outcome"),
    *("outcome_reason", "channel"),
)
NUMBERS = (
    *("recency_days", "frequency", "monetary", "churn_probability", "value_at_risk"),
    "expected_net",
)
NOT_IN_TEXT = b"\xff"
"""A byte that no text in UTF-8 contains."""
FEW = 50_000
"""So many finds are looked up one by one."""
BLOCK = 65_536

Places = np.ndarray[Any, np.dtype[np.signedinteger[Any]]]
"""Positions of customers, or codes of texts: whole numbers as narrow as they may be."""

_making = threading.Lock()


@dataclass(frozen=True)
class Codes:
    """A column of texts: the code of each customer, -1 if unknown, and the text of each code."""

    codes: Places
    texts: pa.Array

    @classmethod
    def of(cls, column: pa.Array) -> Codes:
        """The column as codes in the order of the texts."""
        import pyarrow as pa
        import pyarrow.compute as pc

        found = column.dictionary_encode()
        codes = found.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        order = pc.sort_indices(found.dictionary).to_numpy()
        ranks = np.full(len(order) + 1, -1, np.int32)
        ranks[order] = np.arange(len(order))
        small = np.int16 if len(order) < 2**15 else np.int32
        return cls(ranks[codes].astype(small), found.dictionary.take(pa.array(order)))

    def equal(self, text: str) -> Bools:
        """Which customers have that text."""
        import pyarrow as pa
        import pyarrow.compute as pc

        code = pc.index(self.texts, pa.scalar(text, self.texts.type)).as_py()
        if code < 0:
            return np.zeros(len(self.codes), bool)
        return np.asarray(self.codes == code)

    def at(self, places: Places) -> list[str | None]:
        """The texts of the customers at these positions."""
        import pyarrow as pa

        codes = self.codes[places]
        found: list[str | None] = self.texts.take(pa.array(codes, mask=codes < 0)).to_pylist()
        return found


@dataclass(frozen=True)
class Ids:
    """The customer ids: as texts, and as one row of bytes with a byte of no text after each."""

    texts: pa.Array
    content: np.ndarray[Any, np.dtype[np.uint8]]
    starts: Places

    @classmethod
    def of(cls, column: pa.Array) -> Ids:
        """The ids of a column of texts without nulls."""
        import pyarrow as pa
        import pyarrow.compute as pc

        parts = column.cast(pa.large_binary())
        mark, nothing = (pa.scalar(text, pa.large_binary()) for text in (NOT_IN_TEXT, b""))
        marked = pc.binary_join_element_wise(parts, mark, nothing)
        _, offsets, content = marked.buffers()
        if content is None:
            return cls(column, np.zeros(0, np.uint8), np.zeros(0, np.int64))
        starts = np.frombuffer(offsets, np.int64, len(column))
        return cls(column, np.frombuffer(content, np.uint8), starts)

    def place_of(self, customer_id: str) -> int | None:
        """The position of the customer; None if nobody has that id."""
        import pyarrow as pa
        import pyarrow.compute as pc

        found: int = pc.index(self.texts, pa.scalar(customer_id, self.texts.type)).as_py()
        return found if found >= 0 else None

    def containing(self, text: str) -> Bools:
        """Which ids contain the text."""
        mask = np.zeros(len(self.starts), bool)
        found = self._finds(text.encode())
        if len(found) > FEW:
            hits = np.zeros(len(self.content), bool)
            hits[found] = True
            return np.asarray(np.logical_or.reduceat(hits, self.starts))
        mask[np.searchsorted(self.starts, found, side="right") - 1] = True
        return mask

    def _finds(self, wanted: bytes) -> Places:
        """Where the text begins in the row of bytes: its first 1, 2 or 4 bytes are compared as one
        number at each offset, then the others one by one.
        """
        width = next(one for one in (4, 2, 1) if one <= len(wanted))
        kind = np.dtype(f"<u{width}")
        number = kind.type(int.from_bytes(wanted[:width], "little"))
        found = []
        for shift in range(width):
            count = max(0, len(self.content) - shift) // width
            words = np.frombuffer(self.content, kind, count, shift) if count else np.zeros(0, kind)
            found.append(np.flatnonzero(words == number) * width + shift)
        starts: Places = np.concatenate(found)
        for n, byte in enumerate(wanted[width:], width):
            starts = starts[starts + n < len(self.content)]
            starts = starts[self.content[starts + n] == byte]
        return starts


@dataclass(frozen=True)
class CustomerColumns:
    """The columns of all customers by position. Numbers that are unknown are NaN."""

    ids: Ids
    texts: Mapping[str, Codes]
    numbers: Mapping[str, Floats]
    at_risk: Bools
    orders: dict[tuple[str, bool], Places] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def of(cls, table: pa.Table) -> CustomerColumns:
        """The columns of a table by position."""
        columns = {name: table[name].combine_chunks() for name in table.column_names}
        return cls(
            ids=Ids.of(columns["customer_id"]),
            texts={name: Codes.of(columns[name]) for name in TEXTS},
            numbers={
                name: columns[name].cast("float64").to_numpy(zero_copy_only=False)
                for name in NUMBERS
            },
            at_risk=columns["at_risk"].fill_null(False).to_numpy(zero_copy_only=False),
        )

    def __len__(self) -> int:
        return len(self.at_risk)

    def order(self, column: str, *, descending: bool) -> Places:
        """The positions of all customers by a column: unknown values last, ties by position."""
        key = column, descending
        if key not in self.orders:
            with self.lock:
                if key not in self.orders:
                    self.orders[key] = self._order(column, descending=descending)
        return self.orders[key]

    def _order(self, column: str, *, descending: bool) -> Places:
        everyone = np.arange(len(self), dtype=np.int32)
        if column == "position":
            return everyone[::-1].copy() if descending else everyone
        rising = self.orders.get((column, False))
        return self._sorted(column, everyone, descending=descending, rising=rising)

    def _sorted(
        self, column: str, places: Places, *, descending: bool, rising: Places | None = None
    ) -> Places:
        """These positions, which rise, by a column. `rising` are the same by rising values."""
        if column == "customer_id":
            rising = places[_by_text(self.ids.texts, places)] if rising is None else rising
            return rising[::-1].copy() if descending else rising
        values: Any = self.texts[column].codes if column in self.texts else self.numbers[column]
        if rising is None:
            rising = places[_rising(values[places])]
        return _falling(rising, values) if descending else rising

    def page(
        self, column: str, mask: Bools | None, *, descending: bool, start: int, count: int
    ) -> Places:
        """The positions from `start` on, in the order of the column, among those of the mask."""
        if mask is None:
            return self.order(column, descending=descending)[start : start + count]
        if column == "position" or np.count_nonzero(mask) <= FEW:
            hits = np.flatnonzero(mask).astype(np.int32)
            if column == "position":
                hits = hits[::-1] if descending else hits
            else:
                hits = self._sorted(column, hits, descending=descending)
            return hits[start : start + count]
        return _kept(self.order(column, descending=descending), mask, start=start, count=count)

    def rows(self, places: Places, columns: Sequence[str]) -> list[dict[str, Any]]:
        """The customers at these positions, in this order."""
        import pyarrow as pa

        found: dict[str, Any] = {}
        for name in columns:
            if name == "customer_id":
                found[name] = self.ids.texts.take(pa.array(places)).to_pylist()
            elif name in self.texts:
                found[name] = self.texts[name].at(places)
            else:
                found[name] = self.numbers[name][places].tolist()
        return [dict(zip(found, row, strict=True)) for row in zip(*found.values(), strict=True)]


def _by_text(texts: pa.Array, places: Places) -> Places:
    """The order of the texts at these positions, as indices into the positions."""
    import pyarrow as pa
    import pyarrow.compute as pc

    found: Places = pc.sort_indices(texts.take(pa.array(places))).to_numpy()
    return found


def _rising(values: Any) -> Places:
    """The indices by value, unknown values last (NaN, or the code -1), equal ones as they stand."""
    order = np.argsort(values, kind="stable")  # NaN come last, -1 first
    unknown = 0 if values.dtype.kind == "f" else int(np.count_nonzero(values < 0))
    return np.concatenate([order[unknown:], order[:unknown]])


def _falling(rising: Places, values: Any) -> Places:
    """The same by falling value: groups of equal values change places, but not within them."""
    ranked = values[rising]
    unknown = np.isnan(ranked) if values.dtype.kind == "f" else ranked < 0
    known = len(rising) - int(np.count_nonzero(unknown))
    if known == 0:
        return rising
    ends = np.append(np.flatnonzero(ranked[1:known] != ranked[: known - 1]) + 1, known)
    lengths = np.diff(ends, prepend=0)[::-1]
    starts = ends[::-1] - lengths
    indices = np.arange(known) + np.repeat(starts - (np.cumsum(lengths) - lengths), lengths)
    return np.concatenate([rising[indices], rising[known:]])


def _kept(order: Places, mask: Bools, *, start: int, count: int) -> Places:
    """The positions from `start` on, among those of the mask, in that order."""
    found: list[Places] = []
    passed, left = 0, count
    for first in range(0, len(order), BLOCK):
        block = order[first : first + BLOCK]
        kept = mask[block]
        passes = int(np.count_nonzero(kept))
        if passed + passes > start:
            found.append(block[kept][max(0, start - passed) :][:left])
            left -= len(found[-1])
        passed += passes
        if left == 0:
            break
    return np.concatenate(found) if found else order[:0]


def _by_position(edition: Edition) -> pa.Table:
    """The customers as they were written; sorted only if that is not by position."""
    names = ", ".join(("position", "customer_id", "at_risk", *TEXTS, *NUMBERS))
    found = edition.table(f"SELECT {names} FROM customers")  # noqa: S608 - names of ours
    positions = found["position"].to_numpy()
    return found if np.all(np.diff(positions) > 0) else found.sort_by("position")


def columns_of(edition: Edition) -> CustomerColumns:
    """The columns of an edition, read once."""
    if "columns" not in edition.kept:
        with _making:
            if "columns" not in edition.kept:
                edition.kept["columns"] = CustomerColumns.of(_by_position(edition))
    found: CustomerColumns = edition.kept["columns"]
    return found
