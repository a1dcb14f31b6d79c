"""Purchases before a moment, compared with plain Python, and batches of whole customers."""

import numpy as np
import pyarrow as pa
import pytest
from basket_rows import PRODUCTS, ROWS, purchases_of
from hypothesis import given
from hypothesis import strategies as st

from churn.recommendations.purchases import Moment, first_of_each, runs, whole_customers


def days_of_pairs(rows: list[tuple], cutoff: int) -> dict[tuple[str, str], set[int]]:
    """The purchase days of each pair, in plain Python."""
    days: dict[tuple[str, str], set[int]] = {}
    for customer, product, day, late, valid in rows:
        known = day + late < cutoff <= day + late + valid
        if product in PRODUCTS and day < cutoff and known:
            days.setdefault((customer, product), set()).add(day)
    return days


@given(ROWS)
def test_the_past_is_what_was_known_before_the_moment(rows):
    purchases = purchases_of(rows)
    past = purchases.before(Moment(10, 10.0), half_life_days=7.0)
    ids = purchases.customer_ids.to_pylist()
    pairs = [
        (ids[customer], PRODUCTS[product])
        for customer, product in zip(past.customer, past.product, strict=True)
    ]
    expected = days_of_pairs(rows, 10)
    assert pairs == sorted(expected)
    for row, pair in enumerate(pairs):
        ages = [10 - day for day in expected[pair]]
        assert past.times[row] == len(ages)
        assert (past.last_age[row], past.first_age[row]) == (min(ages), max(ages))
        assert past.decayed[row] == pytest.approx(sum(2 ** (-age / 7) for age in ages))
    for number, name in enumerate(ids):
        visits = set().union(*(days for pair, days in expected.items() if pair[0] == name))
        assert past.visits[number] == pytest.approx(sum(2 ** (-(10 - day) / 7) for day in visits))


@given(ROWS)
def test_pairs_without_a_valid_purchase_are_gone(rows):
    purchases = purchases_of(rows)
    past = purchases.before(Moment(10, 10.0), half_life_days=7.0)
    ids = purchases.customer_ids.to_pylist()
    gone = zip(past.gone_customer, past.gone_product, strict=True)
    expected = {
        (customer, product)
        for customer, product, day, late, valid in rows
        if product in PRODUCTS and day < 10 and day + late + valid < 10
    } - set(days_of_pairs(rows, 10))
    assert [(ids[customer], PRODUCTS[product]) for customer, product in gone] == sorted(expected)


@given(ROWS)
def test_purchases_of_a_window_are_those_known_at_the_later_moment(rows):
    purchases = purchases_of(rows)
    ids = purchases.customer_ids.to_pylist()
    codes = purchases.bought(Moment(0, 0.0), 10, known=Moment(20, 20.0))
    pairs = [(ids[code // len(PRODUCTS)], PRODUCTS[code % len(PRODUCTS)]) for code in codes]
    days_by_pair = days_of_pairs(rows, 20)
    expected = {pair for pair, days in days_by_pair.items() if any(0 <= day < 10 for day in days)}
    assert pairs == sorted(expected)


@given(st.lists(st.integers(1, 7), max_size=12), st.integers(1, 6), st.integers(1, 12))
def test_batches_keep_customers_whole_and_lose_no_row(sizes, batch, rows):
    ids = [f"c{number:02d}" for number, size in enumerate(sizes) for _ in range(size)]
    table = pa.table({"customer_id": pa.array(ids, pa.string()), "n": np.arange(len(ids))})
    parts = list(whole_customers(table.to_batches(max_chunksize=batch), rows=rows))
    assert [n for part in parts for n in part["n"].to_pylist()] == list(range(len(ids)))
    customers = [set(part["customer_id"].to_pylist()) for part in parts]
    assert sum(len(part) for part in customers) == len(sizes)


@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from([0.1, 0.5, 0.9])), max_size=30))
def test_first_of_each_equals_a_sort_in_plain_python(rows):
    customer = np.array([row[0] for row in rows], dtype=np.int64)
    value = np.array([row[1] for row in rows], dtype=np.float64)
    tie = np.arange(len(rows))[::-1].copy()
    first, rank = first_of_each(customer, value, tie, top=3)
    expected = []
    for number in sorted(set(customer.tolist())):
        own = [k for k in range(len(rows)) if customer[k] == number]
        best = sorted(own, key=lambda k: (-value[k], tie[k]))[:3]
        expected += [(k, place) for place, k in enumerate(best, start=1)]
    assert list(zip(first.tolist(), rank.tolist(), strict=True)) == expected


@given(st.lists(st.integers(-3, 3)).map(sorted))
def test_repeating_the_runs_gives_the_values(values):
    ordered = np.array(values, dtype=np.int64)
    begins, sizes = runs(ordered)
    assert np.repeat(ordered[begins], sizes).tolist() == values
    assert (np.diff(ordered[begins]) > 0).all()
