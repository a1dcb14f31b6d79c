"""Fewer rows to learn from where a base is huge: whole customers, the same on every run."""

from __future__ import annotations

import zlib
from dataclasses import replace

import numpy as np
import pandas as pd

from churn.modeling.dataset import Dataset

__all__ = ["MOST_ROWS", "sample_customers"]

# What more rows would add is below what an interval can see, while a fit's time and memory grow
# with every row: 3 million rows of 136 float32 features are 1.6 GB.
MOST_ROWS = 3_000_000
_HASHES = 2**32


def sample_customers(dataset: Dataset, *, most_rows: int = MOST_ROWS) -> Dataset:
    """The dataset, or, where it has more than `most_rows` rows, whole customers up to that many.

    A hash of the customer decides, so a customer has all rows or none, at every cutoff and on
    every run; raising `most_rows` only adds customers. `dropped_rows` counts what was left out.
    """
    if len(dataset) <= most_rows:
        return dataset
    place = _places(dataset.rows["customer_id"])
    # The largest bound below which no more than most_rows lie; the rows at it stay out.
    bound = np.sort(place)[most_rows]
    kept = place < bound
    left_out = {"customers beyond most_rows": int((~kept).sum())}
    rows = dataset.rows[kept].reset_index(drop=True)
    return replace(dataset, rows=rows, dropped_rows={**dataset.dropped_rows, **left_out})


def _places(customer: pd.Series[str]) -> np.ndarray:
    """A number for each row that only its customer's id decides, spread evenly."""
    codes, names = pd.factorize(customer)
    # crc32 alone keeps names of one pattern close together; a multiplication spreads them.
    hashes = np.array([zlib.crc32(str(name).encode()) for name in names], dtype=np.uint64)
    return np.asarray((hashes * np.uint64(2654435761)) % np.uint64(_HASHES))[codes]
