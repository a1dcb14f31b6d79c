"""Product lists for each customer: ranked by predicted probability, or best sellers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self

import numpy as np

from churn.arrays import Bools, Floats, Ints
from churn.recommendations.candidates import Candidates, Ranker
from churn.recommendations.copurchase import Shop
from churn.recommendations.purchases import Past, first_of_each, runs

Kind = Literal["all", "repeat", "new"]

MAX_LENGTH = 50
MAX_BEST_SELLERS = 1_000


@dataclass(frozen=True)
class Lists:
    """A row for each recommendation, by customer and rank; ranks start at 1 without gaps.

    `score` is the probability of a purchase in the horizon, NaN for best sellers.
    """

    customer: Ints
    product: Ints
    rank: Ints
    is_new: Bools
    score: Floats

    @classmethod
    def best(cls, rows: Self, tie: Ints, *, top: int) -> Self:
        """The `top` rows of each customer by score; ranks are assigned again."""
        chosen, rank = first_of_each(rows.customer, rows.score, tie[rows.product], top=top)
        return cls(
            rows.customer[chosen],
            rows.product[chosen],
            rank,
            rows.is_new[chosen],
            rows.score[chosen],
        )


def learnt_lists(
    own: Candidates, new: Candidates, ranker: Ranker, shop: Shop, *, kind: Kind, top: int
) -> Lists:
    """Own and new products ranked together by probability, or one kind of them."""
    parts = []
    if kind != "new":
        parts.append((own, False, ranker.own.probability(own.features)))
    if kind != "repeat":
        assert ranker.new is not None, "callers check this"
        parts.append((new, True, ranker.new.probability(new.features)))
    rows = Lists(
        customer=np.concatenate([part.customer for part, _, _ in parts]),
        product=np.concatenate([part.product for part, _, _ in parts]),
        rank=np.zeros(0, dtype=np.int64),
        is_new=np.concatenate([np.full(p.size, is_new) for _, is_new, p in parts]),
        score=np.concatenate([p for _, _, p in parts]),
    )
    return Lists.best(rows, shop.tie, top=top)


def own_best(past: Past, shop: Shop, *, top: int) -> Lists:
    """The products on sale that each customer bought on most days, ties by the latest."""
    sold = shop.on_sale[past.product]
    customer, product = past.customer[sold], past.product[sold]
    often = past.times[sold] - past.last_age[sold] / 1e6
    rows, rank = first_of_each(customer, often, shop.tie[product], top=top)
    return _unscored(customer[rows], product[rows], rank, is_new=False)


def shop_best(past: Past, shop: Shop, *, top: int, unbought: bool = True) -> Lists:
    """The shop's best sellers of the last horizon; `unbought`: without those the customer had."""
    customers = np.unique(past.customer)
    had = past if unbought else past.of(np.zeros(past.visits.size, dtype=bool))
    return _shop_best(had, shop, customers, np.full(customers.size, top))


def own_then_shop(past: Past, shop: Shop, *, top: int) -> Lists:
    """The customer's own best sellers, then the shop's."""
    own = own_best(past, shop, top=top)
    customers = np.unique(past.customer)
    has = np.bincount(np.searchsorted(customers, own.customer), minlength=customers.size)
    filled = _shop_best(past, shop, customers, top - has)
    both = {
        name: np.concatenate([getattr(own, name), getattr(filled, name)])
        for name in ("customer", "product", "is_new", "score")
    }
    order = np.lexsort((np.arange(both["customer"].size), both["customer"]))
    both = {name: values[order] for name, values in both.items()}
    begins, sizes = runs(both["customer"])
    rank = np.arange(order.size) - np.repeat(begins, sizes) + 1
    return Lists(rank=rank, **both)


def _shop_best(past: Past, shop: Shop, customers: Ints, length: Ints) -> Lists:
    """Up to `length` of the shop's 1,000 best sellers per customer, without products that the
    customer bought or returned.
    """
    sold = np.flatnonzero(shop.on_sale & (shop.buyers > 0))
    best = sold[np.lexsort((shop.tie[sold], -shop.buyers[sold]))][:MAX_BEST_SELLERS]
    place = np.full(shop.tie.size, -1, dtype=np.int64)
    place[best] = np.arange(best.size)
    has = place[past.product] >= 0
    possible = np.ones((customers.size, best.size), dtype=bool)
    possible[np.searchsorted(customers, past.customer[has]), place[past.product[has]]] = False
    gone = (place[past.gone_product] >= 0) & np.isin(past.gone_customer, customers)
    line = np.searchsorted(customers, past.gone_customer[gone])
    possible[line, place[past.gone_product[gone]]] = False
    rank = np.cumsum(possible, axis=1)
    line, column = np.nonzero(possible & (rank <= length[:, None]))
    return _unscored(customers[line], best[column], rank[line, column], is_new=True)


def _unscored(customer: Ints, product: Ints, rank: Ints, *, is_new: bool) -> Lists:
    size = customer.size
    return Lists(customer, product, rank, np.full(size, is_new), np.full(size, np.nan))
