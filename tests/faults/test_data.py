"""Rows 7 and 9 to 17, 22, 23, 46: bad input is refused or counted, and never silently used."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from churn.data.days import day_number
from churn.data.settings import DataSettings, OrdersSource
from churn.data.tables import Tables
from churn.errors import ConfigError, DataError
from churn.features.builder import sweep_features
from churn.features.clock import FeatureClock
from churn.monitoring.feeds import feed_checks

CLOCK = datetime(2024, 6, 1, tzinfo=UTC)
CUTOFF = date(2024, 5, 1)
DAYS = 140


def orders(rows=300):
    number = np.arange(rows)
    at = pd.Timestamp("2024-01-01T12:00") + pd.to_timedelta(number % DAYS, unit="D")
    return pd.DataFrame(
        {
            "customer_id": [f"c{n % 20}" for n in number],
            "order_id": [str(n) for n in number],
            "ordered_at": at,
            "amount": 10.0 + number % 7,
        }
    )


def read(rows, **options):
    return Tables.from_frames(rows, **({"clock": CLOCK} | options))


def dropped(rows, **options):
    return dict(read(rows, **options).audits["orders"].dropped)


def features(tables):
    clock = FeatureClock(horizon_days=28, lookback_days=56)
    return sweep_features(tables, [CUTOFF], clock).table().to_pandas()


@pytest.mark.parametrize("what", ["truncated", "empty", "text"])
def test_row_7_a_damaged_parquet_is_refused_by_name(tmp_path, what):
    path = tmp_path / "orders.parquet"
    orders().to_parquet(path)
    whole = path.read_bytes()
    contents = {"truncated": whole[: len(whole) // 2], "empty": b"", "text": b"customer_id\n1\n"}
    path.write_bytes(contents[what])
    settings = DataSettings(orders=OrdersSource(source="orders.parquet"))
    with pytest.raises(DataError, match=r"orders\.parquet"):
        Tables.from_settings(settings, folder=tmp_path, clock=CLOCK)


def test_row_9_all_missing_columns_are_listed():
    with pytest.raises(DataError, match=r"lacks column\(s\) \['amount', 'ordered_at'\]"):
        read(orders().rename(columns={"amount": "total"}).drop(columns="ordered_at"))


def test_row_10_an_extra_column_is_ignored_and_noted_once():
    notes = read(orders().assign(loyalty=1)).audits["orders"].notes
    assert notes == ("ignored columns: loyalty",)


def test_row_11_numbers_as_text_are_cast_exactly_and_bad_rows_have_a_limit():
    rows = orders().assign(amount=[f"{10 + n % 7}.10" for n in range(300)])
    total = read(rows).engine.rows("SELECT sum(amount) AS s FROM orders")[0]["s"]
    assert float(total) == pytest.approx(sum(10 + n % 7 for n in range(300)) + 30.0, abs=1e-9)
    rows.loc[:10, "amount"] = "none"
    with pytest.raises(DataError, match="11 without a readable amount"):
        read(rows)


def test_row_11_a_date_as_a_whole_number_is_that_date():
    rows = orders().assign(ordered_at=20240131)
    assert read(rows).span() == (date(2024, 1, 31), date(2024, 1, 31))


def test_row_12_copies_are_counted_and_conflicts_refused_unless_one_is_newer():
    rows = orders()
    twice = pd.concat([rows, rows.head(5)], ignore_index=True)
    assert dropped(twice) == {"exact copies of an order": 5}
    other = pd.concat([rows, rows.head(5).assign(amount=11.5)], ignore_index=True)
    with pytest.raises(DataError, match="5 order ids with conflicting rows"):
        read(other)
    later = other["ordered_at"] + pd.to_timedelta(np.arange(305) // 300, unit="D")
    newest = read(other.assign(loaded_at=later))
    assert newest.audits["orders"].dropped == {}
    values = features(newest).set_index("customer_id")
    assert (
        values.loc["c1", "net_spend"]
        != features(read(rows)).set_index("customer_id").loc["c1", "net_spend"]
    )


def test_row_12_at_line_grain_nothing_is_a_duplicate():
    rows = orders()
    lines = pd.concat([rows, rows.head(5)], ignore_index=True)
    assert dropped(lines, grain="line") == {}


def test_row_13_rows_later_than_the_clock_are_counted_and_limited():
    rows = orders()
    rows.loc[0, "ordered_at"] = pd.Timestamp("2024-07-01")
    assert dropped(rows) == {"with ordered_at later than the clock": 1}
    rows.loc[:30, "ordered_at"] = pd.Timestamp("2024-07-01")
    with pytest.raises(DataError, match="31 with ordered_at later than the clock"):
        read(rows)


@pytest.mark.parametrize("hour", ["00:00", "01:59", "02:30", "03:00", "23:59"])
def test_row_14_no_row_changes_its_day_where_the_clock_goes_forward(hour):
    """02:30 does not exist in Berlin on that day."""
    rows = orders().assign(ordered_at=pd.Timestamp(f"2024-03-31T{hour}"))
    tables = read(rows, timezone="Europe/Berlin", day_timezone="Europe/Berlin")
    days = tables.engine.rows("SELECT DISTINCT local_day AS d FROM orders")
    assert [row["d"] for row in days] == [day_number(date(2024, 3, 31))]


def test_row_15_amounts_that_are_no_numbers_are_left_out_and_features_are_finite():
    rows = orders()
    rows.loc[0, "amount"], rows.loc[1, "amount"] = np.nan, np.inf
    expected = {"with a non-finite amount": 1, "without a readable amount": 1}
    found = [read(rows, bad_row_limit=0.05, engine=engine) for engine in ("duckdb", "polars")]
    for tables in found:
        assert tables.audits["orders"].dropped == expected
        numbers = features(tables).select_dtypes("number").to_numpy()
        assert not np.isinf(numbers).any()
    first, second = (features(tables) for tables in found)
    pd.testing.assert_frame_equal(first, second)


def test_row_16_returns_of_any_size_break_no_feature():
    rows = orders()
    rows.loc[:150, "amount"] = -1e6
    values = features(read(rows))
    assert len(values) == 20
    assert not np.isinf(values.select_dtypes("number").to_numpy()).any()


def test_row_17_mixed_currencies_are_refused():
    with pytest.raises(DataError, match=r"got \['EUR', 'USD'\]"):
        read(orders().assign(currency=["EUR", "USD"] * 150))


def test_row_22_what_arrived_after_the_cutoff_changes_no_feature():
    rows = orders()
    loaded = rows["ordered_at"] + pd.Timedelta(hours=1)
    late = rows.head(40).assign(order_id=[f"late{n}" for n in range(40)], amount=500.0)
    arrived = pd.Series(pd.Timestamp("2024-05-20"), late.index)
    both = pd.concat(
        [rows.assign(loaded_at=loaded), late.assign(loaded_at=arrived)], ignore_index=True
    )
    before = features(read(rows.assign(loaded_at=loaded)))
    pd.testing.assert_frame_equal(features(read(both)), before)


def test_row_23_a_tenth_of_the_rows_is_flagged():
    """Scored, and flagged by `churn monitor`, which moves no champion."""
    rows = orders(3_000)
    end = pd.Timestamp("2024-01-01") + pd.Timedelta(days=DAYS)
    recent = rows["ordered_at"] >= end - pd.Timedelta(days=7)
    fewer = rows[~recent | (rows.index % 10 == 0)]
    as_of = (end + timedelta(0)).date()
    found = feed_checks(read(fewer), as_of, error_after_days=3)
    alarms = [one.check for one in found if one.state == "alarm"]
    assert "rows a week" in alarms
    usual = feed_checks(read(rows), as_of, error_after_days=3)
    assert {one.state for one in usual} == {"ok"}


@pytest.mark.parametrize(
    "condition",
    [
        "amount > (select count(*) from read_text('/etc/hostname'))",
        "amount > 0; drop table orders",
        "read_csv('/etc/passwd') is not null",
    ],
)
def test_row_46_a_condition_reads_no_file_and_runs_no_statement(condition):
    with pytest.raises(ConfigError, match="must be a condition over the columns of the source"):
        read(orders(), where={"orders": condition})
