"""The repurchase gap that the engine weighs is the one of the plain definition."""

from datetime import date, timedelta
from itertools import pairwise

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from repurchase_gaps import repurchase_gap_quantile

from churn.data.tables import Tables
from churn.modeling.panel import repurchase_gap_days

BEGIN = date(2024, 1, 1)
BEFORE = BEGIN + timedelta(days=60)

an_order = st.tuples(st.sampled_from("abcd"), st.integers(0, 80), st.sampled_from([-1.0, 0.0, 5.0]))


def tables_of(orders: list[tuple[str, int, float]], engine: str = "duckdb") -> Tables:
    customers, days, amounts = zip(*orders, strict=True)
    frame = pa.table(
        {
            "customer_id": customers,
            "ordered_at": [BEGIN + timedelta(days=day) for day in days],
            "amount": amounts,
        }
    )
    return Tables.from_frames(frame, engine=engine)


def plain(orders: list[tuple[str, int, float]], q: float) -> float:
    gaps: list[tuple[int, bool, str]] = []
    for customer in {name for name, *_ in orders}:
        bought = sorted({day for name, day, amount in orders if name == customer and amount > 0})
        bought = [day for day in bought if day < 60]
        gaps += [(b - a, True, customer) for a, b in pairwise(bought)]
        gaps += [(60 - bought[-1], False, customer)] if bought else []
    return repurchase_gap_quantile(*zip(*gaps, strict=True), q) if gaps else float("inf")


@settings(max_examples=40, deadline=None)
@given(st.lists(an_order, min_size=1, max_size=25), st.sampled_from([0.3, 0.5, 0.8]))
def test_it_is_the_quantile_of_every_gap_with_a_vote_a_customer(orders, q):
    tables = tables_of(orders)
    assert repurchase_gap_days(tables, BEFORE, q=q) == plain(orders, q)
    tables.engine.close()


@pytest.mark.parametrize("engine", ["duckdb", "polars"])
def test_returns_and_free_orders_end_no_gap(engine):
    orders = [("a", 10, 5.0), ("a", 12, -5.0), ("a", 13, 0.0), ("a", 20, 5.0)]
    assert repurchase_gap_days(tables_of(orders, engine), BEFORE, q=0.4) == 10


def test_nobody_who_bought_is_nobody_who_comes_back():
    assert repurchase_gap_days(tables_of([("a", 1, -1.0)]), BEFORE, q=0.5) == float("inf")
