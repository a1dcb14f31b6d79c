"""Evaluation of lists on later purchases: hit rate, recall and NDCG, compared with best sellers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from churn.arrays import Floats, Ints
from churn.modeling.metrics import Interval, resampled_sums
from churn.recommendations.candidates import Ranker
from churn.recommendations.lists import (
    Kind,
    Lists,
    learnt_lists,
    own_best,
    own_then_shop,
    shop_best,
)
from churn.recommendations.training import TrainingWindow

KINDS: tuple[Kind, ...] = ("all", "repeat", "new")
MEASURES = ("hit_rate", "recall", "ndcg")
LEARNT = "learnt"
FALLBACKS: dict[Kind, str] = {"all": "own_then_shop", "repeat": "own", "new": "shop"}
BASELINES: dict[Kind, tuple[str, ...]] = {
    "all": ("own", "shop", "own_then_shop"),
    "repeat": ("own",),
    "new": ("shop",),
}
MIN_CUSTOMERS = 100
LENGTH = 10
REPLICATES = 1_000


@dataclass(frozen=True)
class KindJudgement:
    """One kind of list: figures by predictor and measure, and the differences of learnt lists to
    each baseline, with 95 % intervals bootstrapped over customers.
    """

    lists: int
    customers: int
    figures: Mapping[str, Mapping[str, Interval]]
    differences: Mapping[str, Mapping[str, Interval]]
    fallback: str

    @property
    def is_better(self) -> bool:
        """Whether learnt lists are significantly better than the fallback in hit rate or NDCG and
        significantly worse in neither. Never with fewer than 100 customers.
        """
        gaps = [self.differences[self.fallback][name] for name in ("hit_rate", "ndcg")]
        wins = any(gap.low > 0 for gap in gaps) and not any(gap.high < 0 for gap in gaps)
        return self.customers >= MIN_CUSTOMERS and wins

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""

        def plain(by_name: Mapping[str, Mapping[str, Interval]]) -> dict[str, Any]:
            return {
                name: {m: [value.estimate, value.low, value.high] for m, value in values.items()}
                for name, values in by_name.items()
            }

        return {
            "lists": self.lists,
            "customers": self.customers,
            "figures": plain(self.figures),
            "differences": plain(self.differences),
            "learnt_is_better": self.is_better,
        }


Judgement = Mapping[Kind, KindJudgement]


def judge(
    windows: list[tuple[TrainingWindow, Ranker]], *, seed: int = 7
) -> dict[Kind, KindJudgement]:
    """Lists of ten at each window, by a ranker fitted before it, compared with the purchases in
    the horizon after it.

    Evaluated are customers of the panel who bought something of that kind: for `repeat` something
    that they had bought before, for `new` something that they had not. A kind without a ranker or
    without any purchase is omitted.
    """
    judgement: dict[Kind, KindJudgement] = {}
    for kind in KINDS:
        rows = [_rows(window, ranker, kind) for window, ranker in windows if _serves(ranker, kind)]
        if any(customers.size for customers, _ in rows):
            judgement[kind] = _judged(kind, rows, seed)
    return judgement


def _serves(ranker: Ranker, kind: Kind) -> bool:
    return kind == "repeat" or ranker.new is not None


def _rows(window: TrainingWindow, ranker: Ranker, kind: Kind) -> tuple[Ints, dict[str, Floats]]:
    """The evaluated customers, and for each predictor their measures, one row per customer."""
    truth = _truth(window, kind)
    customers, sizes = np.unique(truth // window.products, return_counts=True)
    measured = {
        name: _measures(lists, window.products, truth, customers, sizes)
        for name, lists in _predicted(window, ranker, kind)
    }
    return customers, measured


def _truth(window: TrainingWindow, kind: Kind) -> Ints:
    truth = window.bought[np.isin(window.bought // window.products, window.past.customer)]
    had = np.isin(truth, window.past.customer * window.products + window.past.product)
    return {"all": truth, "repeat": truth[had], "new": truth[~had]}[kind]


def _predicted(window: TrainingWindow, ranker: Ranker, kind: Kind) -> Iterator[tuple[str, Lists]]:
    past, shop = window.past, window.shop
    yield LEARNT, learnt_lists(*window.candidates, ranker, shop, kind=kind, top=LENGTH)
    if kind != "new":
        yield "own", own_best(past, shop, top=LENGTH)
    if kind == "all":
        yield "own_then_shop", own_then_shop(past, shop, top=LENGTH)
    if kind != "repeat":
        yield "shop", shop_best(past, shop, top=LENGTH, unbought=kind == "new")


def _measures(lists: Lists, products: int, truth: Ints, customers: Ints, sizes: Ints) -> Floats:
    """Hit rate, recall and NDCG at ten of each customer, one column each."""
    evaluated = np.isin(lists.customer, customers)
    customer, rank = lists.customer[evaluated], lists.rank[evaluated]
    hit = np.isin(customer * products + lists.product[evaluated], truth)
    line = np.searchsorted(customers, customer)
    hits = np.bincount(line, hit, customers.size)
    gain = np.bincount(line, hit / np.log2(rank + 1), customers.size)
    ideal = np.cumsum(1 / np.log2(np.arange(2, LENGTH + 2)))[np.minimum(sizes, LENGTH) - 1]
    return np.column_stack([hits > 0, hits / sizes, gain / ideal])


def _judged(kind: Kind, rows: list[tuple[Ints, dict[str, Floats]]], seed: int) -> KindJudgement:
    names = (LEARNT, *BASELINES[kind])
    customer = np.concatenate([customers for customers, _ in rows])
    each = {name: np.concatenate([measured[name] for _, measured in rows]) for name in names}
    gaps = {name: each[LEARNT] - each[name] for name in BASELINES[kind]}
    values = np.column_stack([*each.values(), *gaps.values()])
    intervals = iter(_intervals(values, customer, seed))
    return KindJudgement(
        lists=customer.size,
        customers=np.unique(customer).size,
        figures={name: {m: next(intervals) for m in MEASURES} for name in each},
        differences={name: {m: next(intervals) for m in MEASURES} for name in gaps},
        fallback=FALLBACKS[kind],
    )


def _intervals(values: Floats, customer: Ints, seed: int) -> list[Interval]:
    """The mean of each column with its interval, bootstrapped over customers."""
    columns = np.column_stack([np.ones(len(values)), values])
    sums = resampled_sums(columns, customer, REPLICATES, seed)
    means = sums[:, 1:] / sums[:, :1]
    estimates = values.mean(axis=0)
    return [Interval.of(float(mean), draws) for mean, draws in zip(estimates, means.T, strict=True)]
