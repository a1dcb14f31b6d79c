"""A few mistyped dates decide neither the beginning nor the end of a shop's data."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.data.calendar import OrderDays, quiet_warning
from churn.data.days import date_of, day_number
from churn.data.settings import DataSettings, OrdersSource
from churn.data.tables import Tables
from churn.errors import DataError

CLOCK = datetime(2026, 1, 1, tzinfo=UTC)
FIRST = date(2023, 1, 2)


def days_of(*placed):
    """Order days of (date, number of orders) pairs."""
    counts: dict[int, int] = {}
    for day, orders in placed:
        counts[day_number(day)] = counts.get(day_number(day), 0) + orders
    pairs = sorted(counts.items())
    return OrderDays(np.array([d for d, _ in pairs]), np.array([n for _, n in pairs]))


def daily(first, days, orders=5, every=1):
    return [(first + timedelta(days=k), orders) for k in range(0, days, every)]


def season(year, orders=20):
    return daily(date(year, 11, 1), 55, orders)


def strays(*placed):
    found = days_of(*placed).strays()
    return [str(date_of(int(day))) for day in found]


def early_strays(*placed):
    found = days_of(*placed).backwards().strays()
    return [str(date_of(-int(day))) for day in found]


def test_a_lone_order_far_after_all_others_is_a_stray():
    assert strays(*daily(FIRST, 500), (date(2025, 11, 28), 1)) == ["2025-11-28"]


def test_several_mistyped_orders_are_strays_each():
    typed = [(date(2025, 1, 9), 1), (date(2025, 1, 11), 2), (date(2025, 12, 30), 1)]
    assert strays(*daily(FIRST, 500), *typed) == ["2025-01-09", "2025-01-11", "2025-12-30"]


def test_lone_orders_far_before_all_others_are_strays():
    typed = [(date(1924, 3, 1), 1), (date(2019, 5, 1), 2)]
    assert early_strays(*daily(FIRST, 500), *typed) == ["2019-05-01", "1924-03-01"]


def test_the_date_of_no_date_is_a_stray_however_many_orders_have_it():
    assert early_strays(*daily(FIRST, 500), (date(1970, 1, 1), 400)) == ["1970-01-01"]
    both = [(date(1970, 1, 1), 400), (date(1900, 1, 1), 90)]
    assert sorted(early_strays(*daily(FIRST, 500), *both)) == ["1900-01-01", "1970-01-01"]


def test_strays_at_one_end_do_not_hide_those_at_the_other():
    placed = [*daily(FIRST, 500), (date(1970, 1, 1), 9), (date(2025, 12, 30), 1)]
    assert strays(*placed) == ["2025-12-30"]
    assert early_strays(*placed) == ["1970-01-01"]


HONEST = {
    "a shop that sells every day": daily(FIRST, 500),
    "a young shop": daily(FIRST, 40, orders=1),
    "a tiny shop": [(date(2023, 1, 2), 1), (date(2024, 1, 2), 1), (date(2025, 1, 2), 1)],
    "a wholesaler with an order every month": daily(FIRST, 900, orders=1, every=30),
    "a closed summer": [*daily(FIRST, 200), *daily(date(2023, 9, 1), 1, orders=1)],
    "the first days of a third season": [*season(2022), *season(2023), (date(2024, 11, 1), 2)],
    "the second season, ten days old": [*season(2022), *daily(date(2023, 11, 1), 10, orders=15)],
    "a shop that opened again this week": [*daily(FIRST, 300), *daily(date(2024, 6, 3), 3)],
    "a shop that opened again and grows": [
        *daily(FIRST, 300, orders=50),
        *daily(date(2024, 6, 3), 14, orders=30),
    ],
    "one good day after a long closure": [*daily(FIRST, 300), (date(2024, 6, 3), 5)],
}


@pytest.mark.parametrize("shop", HONEST)
def test_an_honest_calendar_has_no_strays(shop):
    assert strays(*HONEST[shop]) == []
    assert early_strays(*HONEST[shop]) == []


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("mean_gap_days", [0.3, 2, 9])
def test_a_shop_whose_orders_come_by_chance_has_no_strays(seed, mean_gap_days):
    rng = np.random.default_rng(seed)
    gaps = rng.exponential(mean_gap_days, 400)
    days, orders = np.unique(np.floor(gaps.cumsum()).astype(int), return_counts=True)
    shop = OrderDays(days, orders)
    assert shop.strays().size == shop.backwards().strays().size == 0


@given(
    orders=st.integers(1, 9),
    every=st.integers(1, 5),
    ahead=st.lists(st.integers(80, 3_000), min_size=1, max_size=3, unique=True),
)
def test_lone_orders_far_ahead_never_move_the_end(orders, every, ahead):
    usual = daily(FIRST, 400, orders, every)
    end = usual[-1][0]
    far = sorted({end + timedelta(days=days) for days in ahead})
    found = days_of(*usual, *((day, 1) for day in far))
    kept = np.setdiff1d(found.days, found.strays())
    if all(later - earlier > timedelta(days=49) for earlier, later in pairwise(far)):
        assert date_of(int(kept[-1])) == end
    assert set(found.strays()) <= {day_number(day) for day in far}


@given(st.lists(st.tuples(st.integers(0, 20_000), st.integers(1, 50)), min_size=1, max_size=60))
def test_no_calendar_loses_more_than_its_outskirts(pairs):
    shop = days_of(*((date_of(day), n) for day, n in pairs))
    gone = np.union1d(shop.strays(), -shop.backwards().strays())
    kept = shop.only(~np.isin(shop.days, gone))
    assert kept.days.size
    if gone.size:
        assert len(kept.days) >= 30


def test_a_time_without_orders_before_now_is_reported():
    days = days_of(*daily(FIRST, 300))
    said = quiet_warning(days, date(2023, 12, 31))
    assert said is not None
    assert said.startswith("no order from 2023-10-29 to 2023-12-30 (63 days;")
    assert quiet_warning(days, date(2023, 11, 3)) is None


def test_orders_that_end_a_long_silence_do_not_hide_it():
    days = days_of(*daily(FIRST, 300), (date(2023, 11, 28), 2))
    said = quiet_warning(days, date(2023, 11, 29))
    assert said is not None
    assert "then 2 before 2023-11-29" in said


def test_a_closed_season_is_no_silence_for_a_shop_that_always_has_one():
    days = days_of(*season(2021), *season(2022), *season(2023))
    assert quiet_warning(days, date(2024, 10, 1)) is None


def orders_of(placed):
    rows = [(day, k) for day, orders in placed for k in range(orders)]
    frame = pd.DataFrame(
        {
            "customer_id": [f"c{k % 7}" for k in range(len(rows))],
            "order_id": [f"o{k}" for k in range(len(rows))],
            "ordered_at": [pd.Timestamp(day) for day, _ in rows],
            "amount": 10.0,
        }
    )
    return frame


def open_orders(placed, **options):
    return Tables.from_frames(orders_of(placed), clock=CLOCK, **options)


@pytest.mark.parametrize("engine", ["duckdb", "polars"])
def test_strays_are_counted_reported_and_gone(engine):
    placed = [*daily(FIRST, 100), (date(2025, 11, 28), 1), (date(1970, 1, 1), 2)]
    tables = open_orders(placed, engine=engine)
    assert tables.span() == (FIRST, date(2023, 4, 11))
    assert tables.end() == date(2023, 4, 12)
    assert tables.count("orders") == 500
    assert tables.audits["orders"].dropped == {
        "dated far before all other orders": 2,
        "dated far after all other orders": 1,
    }
    first, second = tables.audits["orders"].warnings
    assert first.startswith(
        "2 rows dated far before all other orders (1970-01-01; the others begin"
    )
    assert second.startswith(
        "1 row dated far after all other orders (2025-11-28; the others end on"
    )


def test_lines_of_a_stray_order_are_one_order_and_go_together():
    placed = [*daily(FIRST, 100, orders=2), (date(2024, 11, 28), 1)]
    frame = orders_of(placed)
    lines = pd.concat([frame.assign(quantity=1, product_id=f"p{k}") for k in range(12)])
    tables = Tables.from_frames(lines, clock=CLOCK, grain="line")
    assert tables.span()[1] == date(2023, 4, 11)
    assert tables.audits["orders"].dropped == {"dated far after all other orders": 12}
    assert tables.count("order_lines") == 2_400


def test_more_dates_of_no_date_than_the_limit_are_an_error():
    placed = [*daily(FIRST, 100), (date(1970, 1, 1), 40)]
    rule = r"at most 1.0% of the rows .* got 40 of 540 \(40 dated far before all other orders\)"
    with pytest.raises(DataError, match=rule):
        open_orders(placed)


def test_a_shop_may_keep_its_outlying_dates(tmp_path):
    orders_of([*daily(FIRST, 100), (date(2025, 11, 28), 1)]).to_parquet(tmp_path / "o.parquet")
    source = OrdersSource(source="o.parquet")
    kept = DataSettings(orders=source, keep_outlying_dates=True)
    said = DataSettings(orders=source, until=date(2025, 12, 1))
    for settings in (kept, said):
        tables = Tables.from_settings(settings, folder=tmp_path, clock=CLOCK)
        assert tables.span()[1] == date(2025, 11, 28)
        assert tables.audits["orders"].warnings == ()
        quiet = tables.noting_quiet_days(tables.end()).audits["orders"].warnings
        assert quiet[0].startswith("no order from 2023-04-12 to 2025-11-27")


def test_orders_dated_after_now_are_reported():
    tables = open_orders([*daily(FIRST, 100), (date(2052, 3, 1), 1)])
    assert tables.span()[1] == date(2023, 4, 11)
    assert tables.audits["orders"].warnings == (
        "1 row dated after now (2026-01-01 by this machine's clock) left out: check the export, "
        "and the clock",
    )
