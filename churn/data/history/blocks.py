"""Blocks of customers, each with all of their rows, cut from rows that arrive sorted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from churn.arrays import Bools
from churn.data.history.columns import (
    NO_TEXT,
    Column,
    arrow_mask,
    arrow_numbers,
    changes,
    numbers,
    text_codes,
    whole_numbers,
)
from churn.data.history.days import day_sums, joined_days
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
    """The blocks in batches of `history_rows` that are sorted by customer, grain and day.

    A customer of several batches is summed up batch by batch, so that no more than two of them are
    in memory.
    """
    held: Block | None = None
    for rows, goes_on in _parts(batches):
        block = block_of(layout, rows)
        if held is not None:
            block = _joined(held, block)
        held = block if goes_on else None
        if not goes_on:
            yield block


def _parts(batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[pa.Table, bool]]:
    """The same rows in tables that end with a customer: if the next batch continues the last one of
    a batch, their rows wait for it. A table of one customer that a whole batch more continues is
    marked by true.
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
                yield pa.Table.from_batches([*waiting[:-1], waiting[-1].slice(0, end)]), False
                waiting = [waiting[-1].slice(end)] if goes_on else []
            elif len(waiting) > 1:
                yield pa.Table.from_batches(waiting), True
                waiting = []
        waiting.append(batch)
    if waiting:
        yield pa.Table.from_batches(waiting), False


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


def _joined(one: Block, next_one: Block) -> Block:
    """Two blocks as one; the last customer of the first may be the first of the second."""
    ids, more = one.customer_ids, next_one.customer_ids
    same = ids[-1].equals(more[0])
    texts = {key: pa.concat_arrays([one.texts[key], next_one.texts[key]]) for key in one.texts}
    sorted_texts = {key: names.unique().sort() for key, names in texts.items()}
    grains = {}
    for grain, columns in one.grains.items():
        others = dict(next_one.grains[grain])
        others["customer"] = others["customer"] + len(ids) - same
        both = {}
        for name, values in columns.items():
            parts = [values, others[name]]
            if (key := (grain, name)) in texts:
                parts = [
                    _recoded(codes, block.texts[key], sorted_texts[key])
                    for codes, block in zip(parts, (one, next_one), strict=True)
                ]
            both[name] = np.concatenate(parts)
        grains[grain] = joined_days(both) if same and "orders" in both else both
    return Block(pa.concat_arrays([ids, more.slice(int(same))]), grains, sorted_texts)


def _recoded(codes: Column, names: pa.Array, sorted_names: pa.Array) -> Column:
    """The codes of the same texts among others."""
    places = pc.index_in(names, value_set=sorted_names)
    new = np.append(whole_numbers(pa.chunked_array([places])), NO_TEXT)
    return new[codes]
