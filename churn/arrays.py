"""Types of NumPy arrays that many modules annotate with, and sums that no thread count changes."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


def dot(one: NDArray[np.floating[Any]], other: NDArray[np.floating[Any]]) -> float:
    """The sum of the products of two arrays, the same on any number of cores.

    `@` splits long arrays over BLAS threads, so that its last digits depend on their number.

    >>> dot(np.array([1.0, 2.0]), np.array([3.0, 4.0]))
    11.0
    """
    return float((one * other).sum())


def one_blas_thread() -> AbstractContextManager[object]:
    """A context in which BLAS uses one thread: its results do not depend on the number of cores."""
    from threadpoolctl import threadpool_limits

    limits: AbstractContextManager[object] = threadpool_limits(limits=1, user_api="blas")
    return limits
