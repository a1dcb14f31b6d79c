"""Signals of a shop: silence, what fell, and what cannot be said."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import churn
from churn.analytics.cells import Cell
from churn.analytics.customer_base import CustomerBase
from churn.analytics.periods import Period
from churn.analytics.signals import signal_customers, signals
from churn.analytics.signals_shown import _holiday, easter
from churn.errors import ConfigError, DataError

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
    with pytest.raises(DataError, match="need 30 days of orders before it"):
        signals(base, "28")


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
