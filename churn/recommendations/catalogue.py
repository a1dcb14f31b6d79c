"""The products, or categories, that a shop has sold, numbered in the order of their ids."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from churn.arrays import Bools, Ints
from churn.data.days import day_number
from churn.data.ids import id_hashes
from churn.data.product_days import Level, product_facts
from churn.data.tables import Snapshot


@dataclass(frozen=True)
class Catalogue:
    """Products in the order of their ids. `tie` breaks ties, by a hash of the id; `categories` and
    `names` are null if unknown; `last_day` is the day of the last sale. `never_sold` are names to
    exclude that match no product or category: mostly typing errors.
    """

    level: Level
    ids: pa.Array
    categories: pa.Array
    names: pa.Array
    last_day: Ints
    tie: Ints
    never_sold: tuple[str, ...]

    @classmethod
    def of(cls, snapshot: Snapshot, *, level: Level, exclude: Collection[str]) -> Self:
        """Everything sold before the snapshot except the products and categories in `exclude`."""
        engine = snapshot.tables.engine
        facts = engine.collect(product_facts(snapshot, level=level)).sort_by("product")
        never_sold = _never_sold(facts, exclude)
        facts = facts.filter(pc.invert(_named(facts, exclude))).combine_chunks()
        ids = _text(facts, "product")
        return cls(
            level=level,
            ids=ids,
            categories=_text(facts, "category"),
            names=pc.utf8_trim_whitespace(_text(facts, "name")),
            last_day=np.asarray(facts["last_day"], dtype=np.int64),
            tie=_ties(ids),
            never_sold=never_sold,
        )

    def __len__(self) -> int:
        return len(self.ids)

    def sold_since(self, snapshot: Snapshot, days: int) -> Bools:
        """Whether each was sold in the last `days` before the snapshot."""
        return np.asarray(self.last_day >= day_number(snapshot.as_of) - days)


def _named(facts: pa.Table, names: Collection[str]) -> pa.Array:
    """Whether a product, or its category, is among the names."""
    listed = pa.array(sorted(names), pa.string())
    by_product = pc.is_in(_text(facts, "product"), value_set=listed)
    return pc.or_(by_product, pc.is_in(_text(facts, "category"), value_set=listed))


def _never_sold(facts: pa.Table, names: Collection[str]) -> tuple[str, ...]:
    """The names that match no product or category."""
    sold = {*_text(facts, "product").to_pylist(), *_text(facts, "category").to_pylist()}
    return tuple(sorted(set(names) - sold))


def _text(facts: pa.Table, column: str) -> pa.Array:
    if column not in facts.column_names:
        return pa.nulls(len(facts), pa.string())
    texts = facts[column].cast(pa.string())
    return pa.concat_arrays(texts.chunks) if texts.num_chunks else pa.array([], pa.string())


def _ties(ids: pa.Array) -> Ints:
    order = np.argsort(id_hashes(ids.to_pylist(), person=b"tie"), kind="stable")
    tie = np.empty(len(ids), dtype=np.int64)
    tie[order] = np.arange(len(ids))
    return tie
