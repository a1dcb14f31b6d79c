"""The arrays that this room works on, and what is done to them in several places."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["Bools", "Floats", "Ints", "Singles", "first_of_each", "runs"]

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Singles = NDArray[np.float32]


def runs(ordered: Ints) -> tuple[Ints, Ints]:
    """Where each run of equal values begins, and how long it is.

    >>> runs(np.array([4, 4, 7]))
    (array([0, 2]), array([2, 1]))
    """
    begins = np.flatnonzero(np.diff(ordered, prepend=ordered[:1] - 1))
    return begins, np.diff(begins, append=ordered.size)


def first_of_each(customer: Ints, value: Floats, tie: Ints, *, top: int) -> tuple[Ints, Ints]:
    """The rows of each customer's `top` highest values, by customer and rank, and their ranks.

    Of equal values the lower tie goes first.

    >>> first_of_each(np.array([1, 1, 0]), np.array([0.2, 0.9, 0.5]), np.arange(3), top=1)
    (array([2, 1]), array([1, 1]))
    """
    order = np.lexsort((tie, -value, customer))
    begins, sizes = runs(customer[order])
    rank = np.arange(order.size) - np.repeat(begins, sizes) + 1
    best = rank <= top
    return order[best], rank[best]
