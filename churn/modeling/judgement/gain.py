"""Gain and lift: what share of the lapsed is found in the first so many of a ranked list."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from churn.modeling.metrics import share_caught

__all__ = ["SHARES", "Gain", "gain_curve"]

SHARES = tuple(step / 50 for step in range(51))


@dataclass(frozen=True)
class Gain:
    """For every share of customers listed, the share of the lapsed among them; both from 0 to 1."""

    predictor: str
    listed: tuple[float, ...]
    caught: tuple[float, ...]

    def lift(self, listed: float) -> float:
        """Lapse rate of the listed over that of all, at one of the shares above zero."""
        return self.caught[self.listed.index(listed)] / listed


def gain_curve(predictor: str, lapse: ArrayLike, probability: ArrayLike) -> Gain:
    """The curve of one predictor, highest probability first; NaN where nobody or everybody lapsed.

    Customers with the same probability count at their mean.

    >>> gain_curve("model", [1, 0, 0, 0], [0.9, 0.2, 0.1, 0.1]).lift(0.5)
    2.0
    """
    caught = share_caught(lapse, probability, SHARES)
    return Gain(predictor, SHARES, tuple(float(one) for one in np.asarray(caught)))
