"""Blocks of customers, each with all of their rows, cut from rows that arrive sorted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from churn.arrays import Bools
from churn.data.history.columns import (
    Column,
    arrow_mask,
    arrow_numbers,
    changes,
    numbers,
    text_codes,
    whole_numbers,
)
from churn.data.history.days import day_sums
from churn.data.history.rows import ARRIVALS, GRAINS, TEXTS, WHOLE, Layout

WITHOUT_NULLS = ("local_day", *WHOLE)


@dataclass(frozen=True)
class Block:
    """Some customers and all of their rows.

    `customer_ids`: distinct, in byte order, shape (customers,). `grains`: for each grain its
    columns, each of shape (rows,), sorted by `customer` (a place in `customer_ids`) and local_day;
    orders that arrive as they happen are summed up by day (`day_sums`). `texts`: the distinct
    texts of each column that holds codes.
    """

    customer_ids: pa.Array
    grains: Mapping[str, Mapping[str, Column]]
    texts: Mapping[tuple[str, str], pa.Array]

    def __len__(self) -> int:
        return len(self.customer_ids)

    def only(self, wanted: Bools) -> Block:
        """The block of those customers."""
        if wanted.all():
            return self
        place = np.cumsum(wanted) - 1
        grains = {}
        for grain, columns in self.grains.items():
            kept = wanted[columns["customer"]]
            grains[grain] = {name: values[kept] for name, values in columns.items()}
            grains[grain]["customer"] = place[grains[grain]["customer"]]
        return Block(self.customer_ids.filter(arrow_mask(wanted)), grains, self.texts)


def blocks_of(layout: Layout, batches: Iterable[pa.RecordBatch]) -> Iterator[Block]:
    """The blocks in batches of `history_rows` that are sorted by customer, grain and day."""
    for rows in _whole_customers(batches):
        yield block_of(layout, rows)


def _whole_customers(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """The same rows in tables that end with a customer: if the next batch continues the last one of
    a batch, their rows wait for it.
    """
    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        if not batch.num_rows:
            continue
        if waiting:
            ids = waiting[-1]["customer_id"]
            goes_on = batch["customer_id"][0].equals(ids[-1])
            end = pc.index(ids, ids[-1]).as_py() if goes_on else len(ids)
            if end:
                yield pa.Table.from_batches([*waiting[:-1], waiting[-1].slice(0, end)])
                waiting = [waiting[-1].slice(end)] if goes_on else []
        waiting.append(batch)
    if waiting:
        yield pa.Table.from_batches(waiting)


def block_of(layout: Layout, rows: pa.Table) -> Block:
    """The block of rows that are sorted by customer, grain and day."""
    begins = changes(rows["customer_id"])
    customer = np.cumsum(begins) - 1
    ids = rows["customer_id"].cast(pa.string()).combine_chunks()
    ids = ids.take(arrow_numbers(np.flatnonzero(begins)))
    code = whole_numbers(rows["grain"])
    grains, texts = {}, {}
    for grain, names in layout.items():
        here = code == GRAINS.index(grain)
        own = rows.select(["local_day", *names])
        if not here.all():
            own = own.filter(arrow_mask(here))
        columns: dict[str, Column] = {"customer": customer[here]}
        for name in ("local_day", *names):
            if name in TEXTS:
                columns[name], texts[grain, name] = text_codes(own[name])
            else:
                read = whole_numbers if name in WITHOUT_NULLS else numbers
                columns[name] = read(own[name])
        is_summed = grain == "orders" and not set(names) & set(ARRIVALS)
        grains[grain] = day_sums(columns) if is_summed else columns
    return Block(ids, grains, texts)
