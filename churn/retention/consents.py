"""What customers agreed to and refused, looked up for many of them at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from churn.data.consent import EVERYWHERE
from churn.data.words import channel_of

__all__ = ["ConsentBook", "known_rows"]

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class ConsentBook:
    """Consent rows of known customers, as positions among them with lower-case words."""

    size: int
    position: Ints
    channel: np.ndarray[Any, Any]
    purpose: np.ndarray[Any, Any]
    granted: Bools

    @classmethod
    def read(cls, consents: pa.Table, customer_ids: pa.ChunkedArray) -> Self:
        """The consents (customer_id, channel, purpose, granted) of these customers."""
        table = known_rows(consents, customer_ids)
        return cls(
            size=len(customer_ids),
            position=table["position"].to_numpy(),
            channel=_named(table["channel"], channel_of),
            purpose=_named(table["purpose"], lambda word: word.strip().lower()),
            granted=table["granted"].to_numpy(),
        )

    def customers(self, *, purpose: str, channel: str | None, granted: bool) -> Bools:
        """Customers with a row in this state; channel None means any.

        A refusal on every channel holds where the customer has no row for the channel itself.
        """
        rows = self.purpose == purpose
        if channel is None:
            return self._are(rows & (self.granted == granted))
        named = rows & (self.channel == channel_of(channel))
        found = self._are(named & (self.granted == granted))
        if granted:
            return found
        everywhere = self._are(rows & (self.channel == EVERYWHERE) & ~self.granted)
        return found | (everywhere & ~self._are(named))

    def _are(self, rows: Bools) -> Bools:
        found = np.zeros(self.size, dtype=bool)
        found[self.position[rows]] = True
        return found


def known_rows(table: pa.Table, customer_ids: pa.ChunkedArray) -> pa.Table:
    """The table's rows of these customers, with their `position` among them."""
    position = pc.index_in(table["customer_id"], value_set=customer_ids)
    placed = table.append_column("position", position)
    return placed.filter(pc.is_valid(placed["position"]))


def _named(words: pa.ChunkedArray, naming: Callable[[str], str]) -> np.ndarray[Any, Any]:
    """What the words name: 'E-Mail ' refuses what 'email' would send."""
    unique = pc.unique(words)
    names = pa.array([naming(word) for word in unique.to_pylist()], pa.string())
    return np.asarray(names.take(pc.index_in(words, value_set=unique)))
