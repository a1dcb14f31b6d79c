"""What customers agreed to and refused, looked up for many of them at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

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
            channel=_lower_case(table["channel"]),
            purpose=_lower_case(table["purpose"]),
            granted=table["granted"].to_numpy(),
        )

    def customers(self, *, purpose: str, channel: str | None, granted: bool) -> Bools:
        """Customers with a row in this state; channel None means any."""
        rows = (self.purpose == purpose) & (self.granted == granted)
        if channel is not None:
            rows &= self.channel == channel
        found = np.zeros(self.size, dtype=bool)
        found[self.position[rows]] = True
        return found


def known_rows(table: pa.Table, customer_ids: pa.ChunkedArray) -> pa.Table:
    """The table's rows of these customers, with their `position` among them."""
    position = pc.index_in(table["customer_id"], value_set=customer_ids)
    placed = table.append_column("position", position)
    return placed.filter(pc.is_valid(placed["position"]))


def _lower_case(words: pa.ChunkedArray) -> np.ndarray[Any, Any]:
    """The words without case and surrounding space: 'Email ' refuses what 'email' would send."""
    return np.asarray(pc.utf8_lower(pc.utf8_trim_whitespace(words)))
