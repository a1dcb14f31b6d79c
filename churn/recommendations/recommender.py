"""Recommendations for every customer at a date, a batch of customers at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa

from churn.data.engines.base import Frame
from churn.data.tables import Snapshot
from churn.errors import ConfigError
from churn.recommendations.candidates import Ranker, candidates
from churn.recommendations.catalogue import Catalogue
from churn.recommendations.copurchase import Shop
from churn.recommendations.evaluation import Judgement
from churn.recommendations.explanations import because
from churn.recommendations.lists import (
    MOST,
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
    """A shop at a date, the ranker that was learnt before it, and how its like did at the cutoffs
    before: `judgement` by kind of list, of those kinds that could be judged.

    `customers` counts those who bought something and may be recommended to, `objectors` those who
    refuse profiling.
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
        """Whether lists of that kind are learnt ones; else best sellers stand in."""
        judged = self.judgement.get(kind)
        serves = self.ranker is not None and (kind == "repeat" or self.ranker.new is not None)
        return serves and judged is not None and judged.is_better

    def source(self, kind: Kind) -> str:
        """`learnt`, or `best_sellers`."""
        return "learnt" if self.learnt(kind) else "best_sellers"

    def batches(
        self, *, kind: Kind = "all", top: int = 10, run_id: str = ""
    ) -> Iterator[pa.RecordBatch]:
        """`RECOMMENDED_SCHEMA` by customer and rank, some thousand customers at a time."""
        if not 1 <= top <= MOST:
            rule = f"top must be between 1 and {MOST}"
            raise ConfigError(rule, got=top, fix="Pass e.g. 10.")
        now = Moment.of(self.snapshot.as_of, self.snapshot.tables.settings.day_timezone)
        engine = self.snapshot.tables.engine
        ordered = engine.batches(self.purchases.sort("customer_id"))
        for rows in whole_customers(ordered, rows=ROWS_AT_ONCE):
            purchases = Purchases.of(rows, self.catalogue.ids)
            past = purchases.before(now, half_life_days=half_life_days(self.horizon_days))
            if past.customer.size:
                lists = self._lists(past, kind, top)
                yield from self._told(lists, past, purchases, run_id, kind).to_batches()

    def _lists(self, past: Past, kind: Kind, top: int) -> Lists:
        if self.learnt(kind):
            assert self.ranker is not None
            found = candidates(past, self.shop)
            return learnt_lists(*found, self.ranker, self.shop, kind=kind, top=top)
        stand_in = {"all": own_then_shop, "repeat": own_best, "new": shop_best}[kind]
        return stand_in(past, self.shop, top=top)

    def _told(
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
