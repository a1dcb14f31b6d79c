"""What customers say of offers: which kinds, on which channels, how often."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from churn.retention.consents import known_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ANY", "Limit", "PreferenceBook", "saying_nothing"]

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
ANY = ""
"""Stands for every channel, or every kind."""


class Limit(NamedTuple):
    """At most how many contacts, in so many days, each of some customers (as positions) allows."""

    channel: str
    kind: str
    days: float
    position: Ints
    most: Floats


@dataclass(frozen=True)
class PreferenceBook:
    """Preferences (see `churn.data.preferences`) of known customers, as positions among them."""

    size: int
    rows: pa.Table
    position: Ints
    channel: Words
    kind: Words
    no: Bools
    yes: Bools

    @classmethod
    def read(cls, preferences: pa.Table, customer_ids: pa.ChunkedArray) -> Self:
        """The preferences of these customers."""
        rows = known_rows(preferences, customer_ids)
        return cls(
            size=len(customer_ids),
            rows=rows,
            position=rows["position"].to_numpy(),
            channel=Words.of(rows["channel"]),
            kind=Words.of(rows["kind"]),
            no=_true(pc.invert(rows["allowed"])),
            yes=_true(rows["allowed"]),
        )

    def unwanted(self, channel: str, kind: str | None) -> Bools:
        """Customers who want no offer of that kind on that channel.

        A "no" to all kinds, or on all channels, is lifted by a "yes" that is narrower and no wider
        in the other. Of a kind that is not known every "no" counts that may be meant.
        """
        if kind is None:
            return self._customers(self.no & (self.channel.are(ANY) | self.channel.are(channel)))
        no, yes = partial(self._at, self.no), partial(self._at, self.yes)
        broad = no(channel, ANY) | no(ANY, kind)
        broad |= no(ANY, ANY) & ~yes(channel, ANY) & ~yes(ANY, kind)
        return no(channel, kind) | broad & ~yes(channel, kind)

    def limits(self) -> Iterator[Limit]:
        """Every limit that somebody set."""
        limited = self.rows.filter(pc.is_valid(self.rows["max_contacts"]))
        listed = [("position", "list"), ("max_contacts", "list")]
        grouped = limited.group_by(["channel", "kind", "cap_days"]).aggregate(listed)
        for row in range(grouped.num_rows):
            channel, kind, days = (
                grouped[name][row].as_py() for name in ("channel", "kind", "cap_days")
            )
            each = (grouped[f"{name}_list"][row].values.to_numpy() for name, _ in listed)
            yield Limit(channel, kind, days, *each)

    def _at(self, rows: Bools, channel: str, kind: str) -> Bools:
        return self._customers(rows & self.channel.are(channel) & self.kind.are(kind))

    def _customers(self, rows: Bools) -> Bools:
        found = np.zeros(self.size, dtype=bool)
        found[self.position[rows]] = True
        return found


@dataclass(frozen=True)
class Words:
    """A column of words as numbers, which are quick to compare."""

    code: Ints
    codes: dict[str, int]

    @classmethod
    def of(cls, column: pa.ChunkedArray) -> Self:
        """The words of a column without gaps."""
        words = pc.unique(column)
        code = pc.index_in(column, value_set=words).to_numpy()
        return cls(code, {word: number for number, word in enumerate(words.to_pylist())})

    def are(self, word: str) -> Bools:
        """Where that word stands."""
        return np.asarray(self.code == self.codes.get(word, -1), dtype=bool)


def saying_nothing(preferences: pa.Table) -> int:
    """How many preferences neither allow nor limit anything, perhaps for they could not be read."""
    limited = pc.is_valid(preferences["max_contacts"])
    told = pc.or_(pc.is_valid(preferences["allowed"]), limited)
    return int(pc.sum(pc.invert(told)).as_py() or 0)


def _true(flags: Any) -> Bools:
    return np.asarray(pc.fill_null(flags, False), dtype=bool)
