"""Customers, not rows, are what folds divide and what the bootstrap draws."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

__all__ = ["customer_codes", "customer_draws", "customer_folds"]


def customer_codes(customer: ArrayLike) -> NDArray[np.int64]:
    """0, 1, 2 … for each distinct customer, row by row."""
    return np.asarray(pd.factorize(np.asarray(customer))[0], dtype=np.int64)


def customer_folds(customer: ArrayLike, folds: int, *, seed: int) -> NDArray[np.int64]:
    """The fold of each row: equal parts of the customers, each with all of its rows in one.

    >>> customer_folds(["ann", "bob", "ann", "cid"], 3, seed=1).tolist()
    [0, 1, 0, 2]
    """
    codes = customer_codes(customer)
    places = np.random.default_rng(seed).permutation(codes.max(initial=-1) + 1)
    return np.asarray(places[codes] % folds)


def customer_draws(
    customer: ArrayLike, *, replicates: int, seed: int
) -> Iterator[NDArray[np.float64]]:
    """For each replicate, how often each row is drawn when its customer is, with replacement."""
    rng = np.random.default_rng(seed)
    codes = customer_codes(customer)
    count = int(codes.max(initial=-1)) + 1
    for _ in range(replicates if count else 0):
        drawn = np.bincount(rng.integers(count, size=count), minlength=count)
        yield drawn[codes].astype(np.float64)
