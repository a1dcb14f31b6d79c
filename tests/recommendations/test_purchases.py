"""Purchases seen from a moment: against counts in plain Python, and batches that part nobody."""

import numpy as np
import pyarrow as pa
import pytest
from basket_rows import PRODUCTS, ROWS, purchases_of
from hypothesis import given
from hypothesis import strategies as st

from churn.recommendations.purchases import Moment, whole_customers


def seen(rows: list[tuple], cutoff: int) -> dict[tuple[str, str], set[int]]:
    """The days of each pair, by plain Python."""
    found: dict[tuple[str, str], set[int]] = {}
    for customer, product, day, late, holds in rows:
        known = day + late < cutoff <= day + late + holds
        if product in PRODUCTS and day < cutoff and known:
            found.setdefault((customer, product), set()).add(day)
    return found


@given(ROWS)
def test_the_past_is_what_had_happened_and_was_known_before_the_moment(rows):
    purchases = purchases_of(rows)
    past = purchases.before(Moment(10, 10.0), half_life_days=7.0)
    ids = purchases.customer_ids.to_pylist()
    pairs = [
        (ids[customer], PRODUCTS[product])
        for customer, product in zip(past.customer, past.product, strict=True)
    ]
    wanted = seen(rows, 10)
    assert pairs == sorted(wanted)
    for row, pair in enumerate(pairs):
        ages = [10 - day for day in wanted[pair]]
        assert past.times[row] == len(ages)
        assert (past.last_age[row], past.first_age[row]) == (min(ages), max(ages))
        assert past.decayed[row] == pytest.approx(sum(2 ** (-age / 7) for age in ages))
    for number, one in enumerate(ids):
        days = {day for (customer, _), found in wanted.items() if customer == one for day in found}
        assert past.visits[number] == pytest.approx(sum(2 ** (-(10 - day) / 7) for day in days))


@given(ROWS)
def test_what_was_bought_and_is_held_no_more_is_gone(rows):
    purchases = purchases_of(rows)
    past = purchases.before(Moment(10, 10.0), half_life_days=7.0)
    ids = purchases.customer_ids.to_pylist()
    gone = zip(past.gone_customer, past.gone_product, strict=True)
    wanted = {
        (customer, product)
        for customer, product, day, late, holds in rows
        if product in PRODUCTS and day < 10 and day + late + holds < 10
    } - set(seen(rows, 10))
    assert [(ids[customer], PRODUCTS[product]) for customer, product in gone] == sorted(wanted)


@given(ROWS)
def test_what_was_bought_in_a_window_is_told_as_it_was_known_later(rows):
    purchases = purchases_of(rows)
    ids = purchases.customer_ids.to_pylist()
    found = purchases.bought(Moment(0, 0.0), 10, known=Moment(20, 20.0))
    pairs = [(ids[one // len(PRODUCTS)], PRODUCTS[one % len(PRODUCTS)]) for one in found]
    wanted = {pair for pair, days in seen(rows, 20).items() if any(0 <= day < 10 for day in days)}
    assert pairs == sorted(wanted)


@given(st.lists(st.integers(1, 7), max_size=12), st.integers(1, 6), st.integers(1, 12))
def test_no_customer_is_parted_and_no_row_is_lost(sizes, batch, wanted):
    ids = [f"c{number:02d}" for number, size in enumerate(sizes) for _ in range(size)]
    table = pa.table({"customer_id": pa.array(ids, pa.string()), "n": np.arange(len(ids))})
    parts = list(whole_customers(table.to_batches(max_chunksize=batch), rows=wanted))
    assert [one for part in parts for one in part["n"].to_pylist()] == list(range(len(ids)))
    first_seen = [set(part["customer_id"].to_pylist()) for part in parts]
    assert sum(len(part) for part in first_seen) == len(sizes)
