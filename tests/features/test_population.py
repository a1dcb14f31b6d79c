"""What is learnt from all customers is learnt per cutoff, from before it."""

from datetime import date

import pytest

from churn.data.days import day_number
from churn.data.history import history
from churn.features.population import POPULATION, learn_population, stated_population


def learnt(tables, *cutoffs: date) -> dict[date, tuple[float | None, ...]]:
    rows = tables.engine.collect(learn_population(history(tables, cutoffs))).to_pylist()
    found = {row["cutoff"]: tuple(row[name] for name in POPULATION) for row in rows}
    return {cutoff: found.get(day_number(cutoff)) for cutoff in cutoffs}


def test_each_cutoff_has_the_mean_gap_its_deviation_and_the_average_order_before_it(
    open_shop, tiny_shop
):
    early, late = date(2024, 3, 2), date(2024, 5, 1)
    found = learnt(open_shop(tiny_shop), early, late)
    assert found[early] == pytest.approx((14.5, 0.5, 20.0))  # Anna's gaps of 14 and 15 days
    assert found[late] == pytest.approx((15.0, 1.5**0.5, 162.5 / 7))


def test_where_nobody_came_twice_there_is_no_gap_and_where_nobody_came_no_row(open_shop, tiny_shop):
    first, none = date(2024, 2, 2), date(2024, 1, 1)
    found = learnt(open_shop(tiny_shop), none, first)
    assert found == {none: None, first: (None, None, 20.0)}


def test_returns_and_zero_amounts_are_no_orders_of_the_average(open_shop, tiny_shop):
    nothing = {"customer_id": "dora", "ordered_at": tiny_shop[0]["ordered_at"], "amount": 0.0}
    with_nothing = learnt(open_shop([*tiny_shop, nothing]), date(2024, 5, 1))
    assert with_nothing == learnt(open_shop(tiny_shop), date(2024, 5, 1))


def test_stated_numbers_are_the_same_at_every_cutoff(open_shop, tiny_shop):
    values = dict(zip(POPULATION, (14.0, None, 20.0), strict=True))
    engine = open_shop(tiny_shop).engine
    rows = engine.collect(stated_population(engine, [1, 2], values)).to_pylist()
    assert rows == [{"cutoff": cutoff, **values} for cutoff in (1, 2)]
