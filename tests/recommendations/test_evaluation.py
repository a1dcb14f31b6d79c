"""Measures of lists equal those of plain Python; learnt lists must be significantly better."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.modeling.metrics import Interval
from churn.recommendations.evaluation import KindJudgement, _measures
from churn.recommendations.lists import Lists

PRODUCTS = 5


def lists_of(of_customers: dict[int, list[int]]) -> Lists:
    rows = [
        (customer, product, rank)
        for customer, products in sorted(of_customers.items())
        for rank, product in enumerate(products, start=1)
    ]
    customer, product, rank = (np.array([r[k] for r in rows], dtype=np.int64) for k in range(3))
    size = len(rows)
    return Lists(customer, product, rank, np.zeros(size, dtype=bool), np.zeros(size))


@given(
    st.dictionaries(st.integers(0, 3), st.lists(st.integers(0, 4), unique=True, max_size=5)),
    st.dictionaries(
        st.integers(0, 3), st.sets(st.integers(0, 4), min_size=1), min_size=1, max_size=4
    ),
)
def test_hit_rate_recall_and_ndcg_equal_those_of_plain_python(recommended, bought):
    truth = np.array(sorted(c * PRODUCTS + p for c, own in bought.items() for p in own))
    customers = np.array(sorted(bought))
    sizes = np.array([len(bought[customer]) for customer in customers.tolist()])
    measures = _measures(lists_of(recommended), PRODUCTS, truth, customers, sizes)
    for row, customer in enumerate(customers.tolist()):
        hits = [product in bought[customer] for product in recommended.get(customer, [])]
        gain = sum(hit / math.log2(rank + 1) for rank, hit in enumerate(hits, start=1))
        ideal = sum(1 / math.log2(rank + 1) for rank in range(1, len(bought[customer]) + 1))
        expected = [float(any(hits)), sum(hits) / len(bought[customer]), gain / ideal]
        assert measures[row] == pytest.approx(expected)


Bounds = tuple[float, float]


def judgement(hit: Bounds, ndcg: Bounds, customers: int = 500) -> KindJudgement:
    gaps = {"hit_rate": Interval(0.0, *hit), "ndcg": Interval(0.0, *ndcg)}
    return KindJudgement(customers, customers, {}, {"own": gaps}, "own")


@pytest.mark.parametrize(
    ("hit", "ndcg", "better"),
    [
        ((0.01, 0.03), (0.01, 0.02), True),
        ((-0.01, 0.03), (0.01, 0.02), True),
        ((-0.01, 0.03), (-0.01, 0.02), False),
        ((-0.03, -0.01), (0.01, 0.02), False),
        ((0.0, 0.0), (0.0, 0.0), False),
    ],
)
def test_learnt_lists_must_win_significantly_in_one_measure_and_lose_in_none(hit, ndcg, better):
    assert judgement(hit, ndcg).is_better is better


def test_with_fewer_than_100_customers_learnt_lists_are_never_better():
    assert not judgement((0.2, 0.4), (0.2, 0.4), customers=99).is_better
