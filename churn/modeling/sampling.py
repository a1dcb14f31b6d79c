"""A reproducible sample of customers for training on huge customer bases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from churn.data.ids import id_hashes
from churn.data.tables import Tables

# Beyond that a row more moves no metric by what its interval can see, while every row costs time
# and memory: three million rows of 136 features are 3.3 GB as doubles.
MOST_ROWS = 3_000_000


@dataclass(frozen=True)
class Sample:
    """The ids of the sampled customers, and the number of those left out."""

    customers: Sequence[str]
    left_out: int


def draw_sample(tables: Tables, cutoffs: int, most_rows: int) -> Sample | None:
    """A sample whose rows at that many cutoffs do not exceed `most_rows`; None if that is
    everyone.
    """
    known = _known_customers(tables)
    most = max(1, most_rows // max(1, cutoffs))
    if len(known) <= most:
        return None
    kept = pick_customers(known, most)
    return Sample(kept, len(known) - len(kept))


def pick_customers(customer_ids: Sequence[str], most: int) -> list[str]:
    """At most `most` customers, chosen by a hash of the id, in the order given.

    The sample is the same on every run; a larger one contains every smaller one.

    >>> pick_customers(["ann", "bob", "cid"], 2)
    ['ann', 'bob']
    """
    # The person keeps these draws apart from those of holdouts and of ties.
    places = id_hashes(customer_ids, person=b"learnt from")
    kept = np.sort(np.argsort(places, kind="stable")[:most])
    return [customer_ids[position] for position in kept]


def _known_customers(tables: Tables) -> list[str]:
    """Everyone in the orders or the customer list, sorted."""
    listed = [_ids(tables, name) for name in ("orders", "customers") if tables.has(name)]
    known = pc.unique(pa.chunked_array(listed, pa.string()))
    names: list[str] = known.take(pc.sort_indices(known)).to_pylist()
    return names


def _ids(tables: Tables, name: str) -> pa.Array:
    ids = tables.frame(name).select("customer_id").unique()
    return tables.engine.collect(ids)["customer_id"].cast(pa.string()).combine_chunks()
