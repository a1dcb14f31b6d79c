"""Recommendations for every customer at a date, with a reason for each, in batches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from churn.arrays import Ints
from churn.data.engines.base import Frame
from churn.data.tables import Snapshot
from churn.errors import ConfigError
from churn.recommendations.candidates import Ranker, candidates
from churn.recommendations.catalogue import Catalogue
from churn.recommendations.copurchase import Shop
from churn.recommendations.evaluation import Judgement
from churn.recommendations.lists import (
    MAX_LENGTH,
    Kind,
    Lists,
    learnt_lists,
    own_best,
    own_then_shop,
    shop_best,
)
from churn.recommendations.purchases import Moment, Past, Purchases, whole_customers
from churn.recommendations.training import half_life_days

ROWS_AT_ONCE = 500_000
REASONS_AT_ONCE = 5_000
BEST_SELLER = "a recent best seller"
RECOMMENDED_SCHEMA = pa.schema(
    [
        ("customer_id", pa.string()),
        ("run_id", pa.string()),
        ("as_of", pa.date32()),
        ("rank", pa.int64()),
        ("product_id", pa.string()),
        ("category", pa.string()),
        ("name", pa.string()),
        ("kind", pa.string()),
        ("score", pa.float64()),
        ("source", pa.string()),
        ("because", pa.string()),
    ]
)


@dataclass(frozen=True)
class Recommender:
    """A shop at a date, the ranker fitted before it, and the `judgement` of its recipe at earlier
    cutoffs, by kind of list, for the kinds that could be evaluated.

    `customers` counts customers with a purchase who do not object to profiling, `objectors` those
    who do.
    """

    snapshot: Snapshot
    horizon_days: int
    catalogue: Catalogue
    purchases: Frame
    shop: Shop
    ranker: Ranker | None
    cutoffs: tuple[date, ...]
    judgement: Judgement
    customers: int
    objectors: int

    def learnt(self, kind: Kind) -> bool:
        """Whether lists of that kind are learnt; otherwise they are best sellers."""
        judged = self.judgement.get(kind)
        serves = self.ranker is not None and (kind == "repeat" or self.ranker.new is not None)
        return serves and judged is not None and judged.is_better

    def source(self, kind: Kind) -> str:
        """`learnt`, or `best_sellers`."""
        return "learnt" if self.learnt(kind) else "best_sellers"

    def batches(
        self, *, kind: Kind = "all", top: int = 10, run_id: str = ""
    ) -> Iterator[pa.RecordBatch]:
        """`RECOMMENDED_SCHEMA` by customer and rank, in batches of some thousand customers."""
        if not 1 <= top <= MAX_LENGTH:
            rule = f"top must be between 1 and {MAX_LENGTH}"
            raise ConfigError(rule, got=top, fix="Pass e.g. 10.")
        now = Moment.of(self.snapshot.as_of, self.snapshot.tables.settings.day_timezone)
        engine = self.snapshot.tables.engine
        ordered = engine.batches(self.purchases.sort("customer_id"))
        for rows in whole_customers(ordered, rows=ROWS_AT_ONCE):
            purchases = Purchases.of(rows, self.catalogue.ids)
            past = purchases.before(now, half_life_days=half_life_days(self.horizon_days))
            if past.customer.size:
                lists = self._lists(past, kind, top)
                yield from self._table(lists, past, purchases, run_id, kind).to_batches()

    def _lists(self, past: Past, kind: Kind, top: int) -> Lists:
        if self.learnt(kind):
            assert self.ranker is not None
            own, new = candidates(past, self.shop)
            return learnt_lists(own, new, self.ranker, self.shop, kind=kind, top=top)
        best_sellers = {"all": own_then_shop, "repeat": own_best, "new": shop_best}[kind]
        return best_sellers(past, self.shop, top=top)

    def _table(
        self, lists: Lists, past: Past, purchases: Purchases, run_id: str, kind: Kind
    ) -> pa.Table:
        size, catalogue = lists.product.size, self.catalogue
        ids = catalogue.ids.take(pa.array(lists.product))
        by_product = catalogue.level == "product"
        columns = {
            "customer_id": purchases.customer_ids.take(pa.array(lists.customer)),
            "run_id": pa.repeat(run_id, size),
            "as_of": pa.repeat(pa.scalar(self.snapshot.as_of), size),
            "rank": pa.array(lists.rank),
            "product_id": ids if by_product else pa.nulls(size, pa.string()),
            "category": catalogue.categories.take(pa.array(lists.product)) if by_product else ids,
            "name": catalogue.names.take(pa.array(lists.product)),
            "kind": pa.array(np.where(lists.is_new, "new", "repeat")),
            "score": pa.array(lists.score, from_pandas=True),
            "source": pa.repeat(self.source(kind), size),
            "because": because(lists, past, self.shop, catalogue, purchases.products),
        }
        return pa.table(columns).cast(RECOMMENDED_SCHEMA)


def because(lists: Lists, past: Past, shop: Shop, catalogue: Catalogue, products: int) -> pa.Array:
    """The reason of each row: how often and when an own product was bought; for a new one the
    customer's product that adds most to its score, if any.
    """
    own = _own_reasons(lists, past, products)
    names = pc.coalesce(catalogue.names, catalogue.ids)
    basis = np.where(np.isnan(lists.score), -1, basis_of(lists, past, shop))
    basis_names = names.take(pa.array(basis, mask=basis < 0))
    popular = pc.binary_join_element_wise("popular with customers who bought ", basis_names, "")
    return pc.if_else(pa.array(lists.is_new), pc.coalesce(popular, BEST_SELLER), own)


def _own_reasons(lists: Lists, past: Past, products: int) -> pa.Array:
    """'bought on 5 days, usually every 14 days, last 20 days ago'; null for new products."""
    rows = _rows_of(lists, past, products)
    times, last = past.times[rows], past.last_age[rows]
    gap = np.round((past.first_age[rows] - last) / np.maximum(times - 1, 1)).astype(np.int64)
    ago = pc.binary_join_element_wise("last", _days(last), "ago", " ")
    often = pc.binary_join_element_wise("bought on", _days(times), "", " ")
    every = pc.binary_join_element_wise("usually every", _days(np.maximum(gap, 1)), " ")
    many = pc.binary_join_element_wise(pc.utf8_trim_whitespace(often), every, ago, ", ")
    once = pc.binary_join_element_wise("bought once,", _days(last), "ago", " ")
    return pc.if_else(pa.array(times > 1), many, once)


def _days(days: Ints) -> pa.Array:
    """'1 day', '14 days'."""
    numbers = pa.array(days).cast(pa.string())
    word = pc.if_else(pa.array(days == 1), "day", "days")
    return pc.binary_join_element_wise(numbers, word, " ")


def _rows_of(lists: Lists, past: Past, products: int) -> Ints:
    """The row of the past behind each recommendation; any row for new products."""
    key = past.customer * products + past.product
    rows = np.searchsorted(key, lists.customer * products + lists.product)
    return np.minimum(rows, key.size - 1)


def basis_of(lists: Lists, past: Past, shop: Shop) -> Ints:
    """The customer's product that adds most to the score of a new one; -1 if none adds anything,
    and for own products.
    """
    together = shop.together
    basis = np.full(lists.product.size, -1, dtype=np.int64)
    strength = together.strength(past)
    rows = np.flatnonzero(lists.is_new & (together.place[lists.product] >= 0))
    for begin in range(0, rows.size, REASONS_AT_ONCE):
        batch = rows[begin : begin + REASONS_AT_ONCE]
        own = strength[lists.customer[batch]]
        line = np.repeat(np.arange(batch.size), np.diff(own.indptr))
        target = together.place[lists.product[batch]][line]
        adds = own.data * together.weights[own.indices, target]
        order = np.lexsort((own.indices, -adds, line))
        first = order[np.flatnonzero(np.diff(line[order], prepend=-1))]
        first = first[adds[first] > 0]
        basis[batch[line[first]]] = together.products[own.indices[first]]
    return basis
