"""How good lists are, forward in time: in how many of them something was bought, beside rivals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from churn.arrays import Floats, Ints
from churn.modeling.metrics import Interval
from churn.recommendations.candidates import Ranker
from churn.recommendations.lists import (
    Kind,
    Lists,
    learnt_lists,
    own_best,
    own_then_shop,
    shop_best,
)
from churn.recommendations.training import Stage

KINDS: tuple[Kind, ...] = ("all", "repeat", "new")
MEASURES = ("hit_rate", "recall", "ndcg")
LEARNT = "learnt"
STAND_INS: dict[Kind, str] = {"all": "own_then_shop", "repeat": "own", "new": "shop"}
RIVALS: dict[Kind, tuple[str, ...]] = {
    "all": ("own", "shop", "own_then_shop"),
    "repeat": ("own",),
    "new": ("shop",),
}
LEAST_JUDGED = 100
LENGTH = 10
REPLICATES = 1_000
DRAWS_AT_ONCE = 50


@dataclass(frozen=True)
class KindJudged:
    """One kind of list: figures by predictor and measure, and what the learnt has more than each
    rival, with intervals of 95 % that draw customers with all their lists.
    """

    lists: int
    customers: int
    figures: Mapping[str, Mapping[str, Interval]]
    differences: Mapping[str, Mapping[str, Interval]]
    stand_in: str

    @property
    def is_better(self) -> bool:
        """Whether the learnt beats the stand-in beyond chance in hit rate or NDCG, and is not
        worse beyond chance in either. Under 100 customers nobody can tell.
        """
        found = [self.differences[self.stand_in][name] for name in ("hit_rate", "ndcg")]
        wins = any(one.low > 0 for one in found) and not any(one.high < 0 for one in found)
        return self.customers >= LEAST_JUDGED and wins

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""

        def plain(by_name: Mapping[str, Mapping[str, Interval]]) -> dict[str, Any]:
            return {
                name: {m: [one.estimate, one.low, one.high] for m, one in found.items()}
                for name, found in by_name.items()
            }

        return {
            "lists": self.lists,
            "customers": self.customers,
            "figures": plain(self.figures),
            "differences": plain(self.differences),
            "learnt_is_better": self.is_better,
        }


Judgement = Mapping[Kind, KindJudged]


def judge(stages: list[tuple[Stage, Ranker]], *, seed: int = 7) -> dict[Kind, KindJudged]:
    """Lists of ten, each made of what was known at its stage by a ranker that was learnt before
    it, beside what the customers bought in the horizon after it.

    Judged are customers of the panel who bought something of that kind: of `repeat` something that
    they had bought before, of `new` something that they had not. A kind that no ranker serves, or
    of which nobody bought anything, is not there.
    """
    found: dict[Kind, KindJudged] = {}
    for kind in KINDS:
        rows = [_rows(stage, ranker, kind) for stage, ranker in stages if _serves(ranker, kind)]
        if any(customers.size for customers, _ in rows):
            found[kind] = _judged(kind, rows, seed)
    return found


def _serves(ranker: Ranker, kind: Kind) -> bool:
    return kind == "repeat" or ranker.new is not None


def _rows(stage: Stage, ranker: Ranker, kind: Kind) -> tuple[Ints, dict[str, Floats]]:
    """The judged customers, and for each predictor a row of measures for each of them."""
    truth = _truth(stage, kind)
    customers, sizes = np.unique(truth // stage.products, return_counts=True)
    measured = {
        name: _measures(lists, stage.products, truth, customers, sizes)
        for name, lists in _predicted(stage, ranker, kind)
    }
    return customers, measured


def _truth(stage: Stage, kind: Kind) -> Ints:
    truth = stage.bought[np.isin(stage.bought // stage.products, stage.past.customer)]
    had = np.isin(truth, stage.past.customer * stage.products + stage.past.product)
    return {"all": truth, "repeat": truth[had], "new": truth[~had]}[kind]


def _predicted(stage: Stage, ranker: Ranker, kind: Kind) -> Iterator[tuple[str, Lists]]:
    past, shop = stage.past, stage.shop
    yield LEARNT, learnt_lists(*stage.candidates, ranker, shop, kind=kind, top=LENGTH)
    if kind != "new":
        yield "own", own_best(past, shop, top=LENGTH)
    if kind == "all":
        yield "own_then_shop", own_then_shop(past, shop, top=LENGTH)
    if kind != "repeat":
        yield "shop", shop_best(past, shop, top=LENGTH, unbought=kind == "new")


def _measures(lists: Lists, products: int, truth: Ints, customers: Ints, sizes: Ints) -> Floats:
    """Hit rate, recall and NDCG at ten of each customer, a column each."""
    judged = np.isin(lists.customer, customers)
    customer, rank = lists.customer[judged], lists.rank[judged]
    hit = np.isin(customer * products + lists.product[judged], truth)
    line = np.searchsorted(customers, customer)
    hits = np.bincount(line, hit, customers.size)
    gain = np.bincount(line, hit / np.log2(rank + 1), customers.size)
    ideal = np.cumsum(1 / np.log2(np.arange(2, LENGTH + 2)))[np.minimum(sizes, LENGTH) - 1]
    return np.column_stack([hits > 0, hits / sizes, gain / ideal])


def _judged(kind: Kind, rows: list[tuple[Ints, dict[str, Floats]]], seed: int) -> KindJudged:
    names = (LEARNT, *RIVALS[kind])
    customer = np.concatenate([customers for customers, _ in rows])
    each = {name: np.concatenate([measured[name] for _, measured in rows]) for name in names}
    less = {name: each[LEARNT] - each[name] for name in RIVALS[kind]}
    values = np.column_stack([*each.values(), *less.values()])
    every = iter(_intervals(values, customer, seed))
    return KindJudged(
        lists=customer.size,
        customers=np.unique(customer).size,
        figures={name: {m: next(every) for m in MEASURES} for name in each},
        differences={name: {m: next(every) for m in MEASURES} for name in less},
        stand_in=STAND_INS[kind],
    )


def _intervals(values: Floats, customer: Ints, seed: int) -> list[Interval]:
    """The mean of each column with its interval: customers are drawn with all their rows."""
    rng = np.random.default_rng(seed)
    _, code = np.unique(customer, return_inverse=True)
    size = int(code.max()) + 1
    columns = [np.ones(code.size), *values.T]
    totals = np.column_stack([np.bincount(code, column, size) for column in columns])
    drawn = [
        rng.multinomial(size, np.full(size, 1 / size), size=DRAWS_AT_ONCE) @ totals
        for _ in range(REPLICATES // DRAWS_AT_ONCE)
    ]
    sums = np.concatenate(drawn)
    means = sums[:, 1:] / sums[:, :1]
    estimates = values.mean(axis=0)
    return [Interval.of(float(mean), draws) for mean, draws in zip(estimates, means.T, strict=True)]
