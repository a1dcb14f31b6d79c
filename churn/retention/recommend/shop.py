"""What the shop as a whole says of its products at a moment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from churn.retention.recommend.arrays import Bools, Floats, Ints
from churn.retention.recommend.copurchase import CoPurchase
from churn.retention.recommend.purchases import Past

__all__ = ["Shop"]

DOUBT = 5.0  # so many customers of the average are added to those of each product


@dataclass(frozen=True)
class Shop:
    """By number in the catalogue: `buyers` in the last horizon, whether it is `on_sale`,
    `repeat_rate` (the share of its buyers who came back for it), `gap_days` between two purchases
    of it by a customer; both drawn towards all products where few bought it. `tie` orders equals.
    """

    buyers: Ints
    on_sale: Bools
    repeat_rate: Floats
    gap_days: Floats
    tie: Ints
    together: CoPurchase

    @classmethod
    def at(
        cls, past: Past, tie: Ints, *, horizon_days: int, within_days: int, least_buyers: int
    ) -> Self:
        """The shop as its customers' past tells; on sale is what they bought in `within_days`."""
        spans = past.first_age - past.last_age
        return cls(
            buyers=_sums(past, past.last_age <= horizon_days, tie.size).astype(np.int64),
            on_sale=_sums(past, past.last_age <= within_days, tie.size) > 0,
            repeat_rate=_drawn(
                _sums(past, past.times > 1, tie.size),
                _sums(past, np.ones(past.times.size), tie.size),
            ),
            gap_days=_drawn(_sums(past, spans, tie.size), _sums(past, past.times - 1, tie.size)),
            tie=tie,
            together=CoPurchase.fit(past, tie, least_buyers=least_buyers),
        )


def _sums(past: Past, values: Bools | Ints | Floats, size: int) -> Floats:
    """The values' sum over the customers of each product."""
    return np.bincount(past.product, values.astype(np.float64), size).astype(np.float64)


def _drawn(sums: Floats, counts: Floats) -> Floats:
    """Sums by counts, drawn towards the ratio of all."""
    average = sums.sum() / max(1.0, counts.sum())
    return np.asarray((sums + DOUBT * average) / (counts + DOUBT))
