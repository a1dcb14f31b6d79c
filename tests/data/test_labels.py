"""Labels see [cutoff + lead, cutoff + lead + horizon), and the newest version by `until`."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churn.data.cutoffs import Cutoffs
from churn.data.days import day_number
from churn.data.labels import outcomes

CUTOFF = date(2024, 3, 1)
MOMENT = timedelta(microseconds=1)


def begin(when: date, zone: str = "UTC") -> datetime:
    return datetime.combine(when, time(), tzinfo=ZoneInfo(zone)).astimezone(UTC)


AMOUNTS = {"anna": 3.0, "ben": 4.0, "cleo": 5.0}


def order(at: datetime, amount: float = 1.0, **more) -> dict:
    return {"customer_id": "anna", "ordered_at": at, "amount": amount, **more}


def panel(*, lead: int = 0, horizon: int = 28, until: date = date(2024, 5, 1)) -> Cutoffs:
    return Cutoffs((CUTOFF,), horizon_days=horizon, until=until, lead_days=lead)


def seen(tables, cutoffs: Cutoffs) -> dict[tuple[str, int], tuple[int, float]]:
    rows = tables.engine.collect(outcomes(tables, cutoffs)).to_pylist()
    return {
        (row["customer_id"], row["cutoff"]): (row["horizon_orders"], row["horizon_net_spend"])
        for row in rows
    }


@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
@pytest.mark.parametrize("lead", [0, 3])
def test_the_window_opens_at_its_first_midnight_and_closes_before_its_last(open_shop, zone, lead):
    opens = begin(CUTOFF + timedelta(days=lead), zone)
    closes = begin(CUTOFF + timedelta(days=lead + 28), zone)
    for moment, inside in (
        (opens - MOMENT, False),
        (opens, True),
        (closes - MOMENT, True),
        (closes, False),
    ):
        tables = open_shop([order(moment)], day_timezone=zone)
        assert bool(seen(tables, panel(lead=lead))) is inside, moment


def test_outcomes_of_some_customers_are_those_rows_of_all(open_shop):
    day = begin(CUTOFF) + timedelta(days=2)
    rows = [{**order(day, amount), "customer_id": name} for name, amount in AMOUNTS.items()]
    tables = open_shop(rows)
    every = tables.engine.collect(outcomes(tables, panel())).to_pylist()
    some = outcomes(tables, panel(), customers=["ben", "nobody"])
    assert tables.engine.collect(some).to_pylist() == [
        row for row in every if row["customer_id"] == "ben"
    ]


def test_returns_lower_the_spend_and_are_no_orders(open_shop):
    day = begin(CUTOFF) + timedelta(days=2)
    amounts = (30.0, -10.0, 0.0, 5.0)
    tables = open_shop([order(day + timedelta(hours=n), a) for n, a in enumerate(amounts)])
    assert seen(tables, panel()) == {("anna", day_number(CUTOFF)): (2, 25.0)}


@pytest.mark.parametrize("engine", ["duckdb", "polars"])
def test_with_a_fence_each_order_counts_at_most_that_and_a_return_no_less_than_minus_that(
    open_shop, engine
):
    day = begin(CUTOFF) + timedelta(days=2)
    amounts = (30.0, 77_183.6, -77_183.6, -500.0, 5.0)
    rows = [order(day + timedelta(hours=n), amount) for n, amount in enumerate(amounts)]
    tables = open_shop(rows, engine=engine)
    (row,) = tables.engine.collect(outcomes(tables, panel(), fence=100.0)).to_pylist()
    assert row["horizon_net_spend"] == pytest.approx(sum(amounts))
    assert row["horizon_fenced_spend"] == 30.0 + 100.0 - 100.0 - 100.0 + 5.0


def test_orders_without_ids_count_once_they_have_arrived(open_shop):
    """They have no versions: nothing supersedes them."""
    day, late = begin(CUTOFF) + timedelta(days=2), begin(date(2024, 5, 1))
    tables = open_shop([order(day, 30.0, loaded_at=day), order(day, 40.0, loaded_at=late)])
    assert seen(tables, panel()) == {("anna", day_number(CUTOFF)): (1, 30.0)}


def test_whoever_only_returns_something_has_a_row_without_orders(open_shop):
    tables = open_shop([order(begin(CUTOFF), -10.0)])
    assert list(seen(tables, panel()).values()) == [(0, -10.0)]


def test_the_version_last_loaded_before_until_holds(open_shop):
    day = begin(CUTOFF)
    tables = open_shop(
        [
            order(day, 10.0, order_id="1", loaded_at=begin(date(2024, 3, 2))),
            order(day, 20.0, order_id="1", loaded_at=begin(date(2024, 4, 1)) - MOMENT),
            order(day, 40.0, order_id="1", loaded_at=begin(date(2024, 4, 1))),
            order(day, 80.0, order_id="2", loaded_at=begin(date(2024, 4, 1))),
        ]
    )
    spend = [
        seen(tables, panel(until=until))["anna", day_number(CUTOFF)]
        for until in (date(2024, 4, 1), date(2024, 4, 2))
    ]
    assert spend == [(1, 20.0), (2, 120.0)]


@settings(max_examples=15)
@given(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.integers(-60, 90 * 24), st.integers(-400, 800)),
        max_size=25,
    ),
    st.integers(0, 5),
    st.integers(1, 28),
)
def test_outcomes_equal_a_plain_loop(open_shop, placed, lead, horizon):
    rows = [
        order(begin(CUTOFF) + timedelta(hours=hours), cents / 4) | {"customer_id": who}
        for who, hours, cents in placed
    ]
    cutoffs = Cutoffs(
        (CUTOFF, CUTOFF + timedelta(days=7)),
        horizon_days=horizon,
        until=date(2024, 5, 1),
        lead_days=lead,
    )
    expected = {}
    for cutoff in cutoffs:
        for row in rows:
            away = (row["ordered_at"].date() - cutoff).days
            if lead <= away < lead + horizon:
                key = (row["customer_id"], day_number(cutoff))
                orders, spend = expected.get(key, (0, 0.0))
                expected[key] = (orders + (row["amount"] > 0), spend + row["amount"])
    assert seen(open_shop(rows), cutoffs) == expected
