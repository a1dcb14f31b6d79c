"""Signals of a shop: silence, what fell, and what cannot be said."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import churn
from churn.analytics.cells import Cell
from churn.analytics.customer_base import CustomerBase
from churn.analytics.periods import Period, first_comparison, periods_of
from churn.analytics.segment_history import SegmentRule
from churn.analytics.segments import SegmentBounds
from churn.analytics.signal_groups import groups_of, windows_of
from churn.analytics.signals import signal_customers, signals
from churn.analytics.signals_shown import _holiday, easter
from churn.data.days import day_number
from churn.errors import ConfigError, DataError
from churn.features.clock import FeatureClock

ROOT = Path(__file__).parents[2]
FIRST = datetime(2022, 12, 1, 12, tzinfo=UTC)
DAYS = 540
ACTIVE_DAYS = 30


def shop(open_shop, rng, customers, *, fall=0.0, **options):
    """Customers who buy at a steady rate; a share of the north stops as the last 28 days begin."""
    rates = rng.gamma(2.0, 1 / 15, size=customers)
    orders = rng.poisson(rates * DAYS)
    names = np.repeat(np.arange(customers), orders)
    days = rng.uniform(0, DAYS, size=len(names))
    region = rng.choice(["north", "south", "east"], size=customers, p=[0.2, 0.4, 0.4])
    stops = (region == "north") & (rng.random(customers) < fall)
    kept = ~stops[names] | (days < DAYS - 28)
    rows = [
        {"customer_id": f"c{name}", "ordered_at": FIRST + timedelta(days=float(day)), "amount": 9.0}
        for name, day in zip(names[kept], days[kept], strict=True)
    ]
    listed = pd.DataFrame({"customer_id": [f"c{n}" for n in range(customers)], "region": region})
    return open_shop(rows, customers=listed, **options)


def test_a_shop_without_a_change_is_silent_and_says_how_much_was_looked_at(open_shop):
    tables = shop(open_shop, np.random.default_rng(1), 800)
    found = signals(CustomerBase.of(tables, active_days=ACTIVE_DAYS), "28")
    assert found.table("signals").num_rows == 0
    looks = found.table("looks").num_rows
    assert any(f"Nothing moved beyond chance. {looks} numbers" in note for note in found.notes)
    for row in found.table("parts").to_pylist():
        assert row["mix"] + row["rate"] == pytest.approx(row["change"])


@pytest.mark.parametrize("engine", ["duckdb", "polars"])
def test_the_region_that_fell_is_named(open_shop, engine):
    tables = shop(open_shop, np.random.default_rng(4), 2_000, fall=0.4, engine=engine)
    base = CustomerBase.of(tables, active_days=ACTIVE_DAYS)
    found = signals(base, "28")
    (signal,) = found.table("signals").to_pylist()
    assert (signal["split"], signal["value"]) == ("region", "north")
    assert signal["change"] < -20
    cell = Cell.parse("lost,split=region,value=north")
    lost = signal_customers(base, "28", cell)
    assert lost.num_rows == signal["customers"] - signal["kept"]


def test_a_year_that_is_not_in_the_data_is_refused(open_shop, tiny_shop):
    base = CustomerBase.of(open_shop(tiny_shop), active_days=30)
    works = r"need 422 days of orders.*got 79 days, from 2024-02-01.*They will work from 2025-03-29"
    with pytest.raises(DataError, match=works):
        signals(base, "28")
    with pytest.raises(ConfigError, match=r"fits whole into a year.*got 100 days.*28"):
        signals(base, "100")


@given(
    st.dates(date(2020, 1, 1), date(2022, 1, 1)),
    st.integers(1, 120),
    st.sampled_from(["7", "28", "30", "91", "month", "quarter", "year"]),
)
def test_signals_work_from_the_day_that_is_named_and_not_before(first, active_days, length):
    def is_comparable(as_of):
        found = periods_of(length, first=first, as_of=as_of, active_days=active_days)
        whole = [one for one in found if not one.is_partial]
        return bool(whole and whole[-1].last_year)

    when = first_comparison(length, first=first, active_days=active_days)
    if when is None:
        assert not is_comparable(first + timedelta(days=2_000))
    else:
        assert is_comparable(when)
        assert not is_comparable(when - timedelta(days=1))


CLOCK = FeatureClock(horizon_days=28, lookback_days=30)
RULE = SegmentRule(SegmentBounds(purchase_days=(2, 4, 8, 12), net_spend=(9, 30, 60, 90)), CLOCK)
HISTORY, YEAR, LENGTH = 100, 364, 28
EARLIER = day_number(FIRST.date()) + HISTORY
SPANS = ((EARLIER, EARLIER + LENGTH), (EARLIER + YEAR, EARLIER + YEAR + LENGTH))


def later_groups(open_shop, orders, **options):
    """Customers, by what they are split by in the later period, of (name, day, amount, category,
    campaign).
    """
    at = [FIRST + timedelta(days=day) for _, day, *_ in orders]
    keys = [f"o{n}" for n in range(len(orders))]
    names, _, amounts, categories, campaigns = zip(*orders, strict=True)
    lines = {"order_id": keys, "product_id": keys, "category": categories, "amount": amounts}
    tables = open_shop(
        [
            {"customer_id": name, "ordered_at": when, "amount": amount, "order_id": key}
            for name, when, amount, key in zip(names, at, amounts, keys, strict=True)
        ],
        order_lines=pa.table({**lines, "quantity": [1.0] * len(orders)}),
        contacts=pa.table({"customer_id": names, "contacted_at": at, "campaign_id": campaigns}),
        **options,
    )
    base = CustomerBase.of(tables, active_days=ACTIVE_DAYS)
    groups = groups_of(base, windows_of(base, SPANS, RULE))
    later = (groups.rows["period"] == 1).to_numpy()
    columns = {"customer_id": groups.rows["customer_id"][later].to_list()}
    for split, codes in groups.codes.items():
        values = [*groups.values[split], None]
        columns[split] = [values[code] for code in codes[later]]
    return pd.DataFrame(columns).set_index("customer_id").sort_index()


@pytest.mark.parametrize("engine", ["duckdb", "polars"])
def test_groups_are_of_the_window_before_the_start(open_shop, engine):
    """What was before the window, and what follows the start, changes no group."""
    start = HISTORY + YEAR
    known = [
        ("ann", 0, 5.0, "tea", "spring"),  # the data begins here
        ("ann", start - 20, 40.0, "tea", "may"),
        ("ann", start - 5, 15.0, "jam", "june"),
        *(("bob", start - day, 10.0, "jam", "june") for day in range(1, 14)),
        ("zed", start + LENGTH, 1.0, "tea", "june"),
    ]
    found = later_groups(open_shop, known, engine=engine).drop(columns="spend")
    assert found.loc["ann", ["category", "campaign"]].to_list() == ["tea", "june"]
    assert found["segment"].to_dict() == {"ann": "occasional", "bob": "best"}
    others = [
        *(("ann", day, 99.0, "wine", "autumn") for day in range(50, YEAR, 9)),
        *(("ann", start + day, 99.0, "wine", "autumn") for day in range(20)),
    ]
    again = later_groups(open_shop, known + others, engine=engine)[found.columns]
    pd.testing.assert_frame_equal(again, found)


def test_an_unknown_group_is_refused(open_shop):
    tables = shop(open_shop, np.random.default_rng(3), 100)
    base = CustomerBase.of(tables, active_days=ACTIVE_DAYS)
    with pytest.raises(ConfigError, match="split must be one of"):
        signal_customers(base, "28", Cell.parse("lost,split=region,value=west"))
    assert "Too few to say" in signals(base, "28").notes[0]


@pytest.mark.parametrize(
    ("year", "day"),
    [(2010, date(2010, 4, 4)), (2011, date(2011, 4, 24)), (2024, date(2024, 3, 31))],
)
def test_easter_is_where_the_calendar_has_it(year, day):
    assert easter(year) == day


def test_a_moving_holiday_is_told_when_it_moved():
    months = [
        Period(f"{year}-03", date(year, 3, 1), date(year, 4, 1), False, False)
        for year in (2023, 2024)
    ]
    assert _holiday(months[1], months[0]) == (
        "Easter is in this period only: the two periods are not alike",
    )
    assert _holiday(months[0], months[0]) == ()


def test_november_2011_of_online_retail_is_silent():
    if not (ROOT.parent / "shared/data/online_retail_ii").exists():
        pytest.skip("needs ../shared/data/online_retail_ii")
    tables = churn.load_tables(ROOT / "benchmarks" / "online_retail.toml")
    found = signals(CustomerBase.of(tables, as_of="2011-12-01", active_days=90), "month")
    tables.close()
    assert found.resolved["compared_with"] == "2010-11"
    assert found.table("signals").num_rows == 0
    assert abs(found.table("looks").to_pylist()[0]["change"]) < 0.1
