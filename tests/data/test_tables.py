"""Tables of files and of frames: one span, one end, seen through a point in time."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from churn.data.days import midnight
from churn.data.settings import DataSettings, OrdersSource
from churn.data.tables import Snapshot, Tables
from churn.errors import ConfigError, DataError

CLOCK = datetime(2024, 6, 1, tzinfo=UTC)
FIRST = datetime(2024, 1, 15, tzinfo=UTC)
DAY = timedelta(days=1)


def order(at: datetime, **more: object) -> dict:
    return {"customer_id": "anna", "ordered_at": at, "amount": 1.0, **more}


@pytest.mark.parametrize(
    "as_frame",
    [
        lambda table: table,
        lambda table: table.to_pandas(),
        lambda table: table.to_pandas().astype({"customer_id": "category"}),
        lambda table: table.to_pandas().set_index("amount", drop=False),
        pl.from_arrow,
        lambda table: pl.from_arrow(table).with_columns(pl.col("customer_id").cast(pl.Categorical)),
        lambda table: table.to_reader(),
    ],
    ids=["arrow", "pandas", "categories", "index", "polars", "polars categories", "stream"],
)
def test_pandas_polars_and_arrow_frames_give_the_same_tables(as_table, tiny_shop, as_frame):
    frame = as_table([row | {"order_id": str(n)} for n, row in enumerate(tiny_shop)])
    expected = Tables.from_frames(frame, clock=CLOCK)
    tables = Tables.from_frames(as_frame(frame), clock=CLOCK)
    wanted = "SELECT customer_id, order_id, day, local_day, amount FROM orders ORDER BY order_id"
    assert tables.engine.query(wanted).equals(expected.engine.query(wanted))


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame({"customer_id": pd.Series(["007", 7], dtype="object")}),
        pd.DataFrame([["a", "b"]], columns=["customer_id", "customer_id"]),
    ],
    ids=["mixed types", "two columns of one name"],
)
def test_what_is_no_table_of_one_type_a_column_is_refused(frame):
    with pytest.raises(DataError, match=r"one type per column.*make e\.g\. ids all text"):
        Tables.from_frames(frame)


def test_the_span_runs_from_the_first_to_the_last_order(open_shop, tiny_shop):
    assert open_shop(tiny_shop).span() == (date(2024, 2, 1), date(2024, 4, 20))


def test_an_empty_table_has_no_span(open_shop):
    with pytest.raises(DataError, match="must hold at least one usable order, got 0 rows"):
        open_shop([]).span()


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Kolkata"])
def test_the_end_of_dates_is_the_day_after_the_last(open_shop, zone):
    dates = [f"2024-01-{day}" for day in (10, 15)]
    rows = pa.table({"customer_id": ["a", "b"], "ordered_at": dates, "amount": [1.0, 1.0]})
    tables = Tables.from_frames(rows, timezone=zone, day_timezone=zone, clock=CLOCK)
    assert tables.end() == date(2024, 1, 16)


def test_dates_stay_dates_where_summer_time_skips_a_midnight():
    """In São Paulo 2018-11-04 began at 01:00."""
    dates = ["2018-11-04", "2018-11-10"]
    rows = pa.table({"customer_id": ["a", "b"], "ordered_at": dates, "amount": [1.0, 1.0]})
    zone = "America/Sao_Paulo"
    tables = Tables.from_frames(rows, timezone=zone, day_timezone=zone, clock=CLOCK)
    assert tables.end() == date(2018, 11, 11)


@pytest.mark.parametrize(
    ("last", "end"),
    [
        (FIRST + 0.5 * DAY, date(2024, 1, 15)),
        (FIRST + DAY, date(2024, 1, 16)),
        (FIRST + DAY - timedelta(microseconds=1), date(2024, 1, 15)),
    ],
)
def test_the_end_of_timestamps_is_the_last_midnight_not_after_the_last_order(open_shop, last, end):
    """One order with a time of day is enough for the data to have times."""
    assert open_shop([order(FIRST - 0.3 * DAY), order(last)]).end() == end


def test_midnights_of_another_zone_are_times(open_shop):
    """05:00 UTC is midnight in New York in winter: dates there, times in UTC."""
    rows = [order(FIRST + timedelta(hours=5))]
    assert open_shop(rows).end() == date(2024, 1, 15)
    assert open_shop(rows, day_timezone="America/New_York").end() == date(2024, 1, 16)


def test_until_overrides_the_end(tmp_path):
    frame = pa.table({"customer_id": ["a"], "ordered_at": ["2024-01-15"], "amount": [1.0]})
    pq.write_table(frame, tmp_path / "orders.parquet")
    source = OrdersSource(source="orders.parquet")
    settings = DataSettings(orders=source, until=date(2024, 1, 10))
    assert Tables.from_settings(settings, folder=tmp_path, clock=CLOCK).end() == date(2024, 1, 10)


@pytest.mark.parametrize(
    ("delays", "days"),
    [
        ([timedelta(hours=1)] * 9, 1),
        ([timedelta(0)] * 9, 0),
        ([-DAY] * 9, 0),
        ([timedelta(0)] * 989 + [5 * DAY] * 11, 5),
        ([timedelta(0)] * 999 + [300 * DAY], 0),
    ],
    ids=["an hour", "at once", "before", "more than one in a hundred", "one in a thousand"],
)
def test_the_arrival_lag_is_the_99_percent_quantile_in_whole_days_upwards(open_shop, delays, days):
    late = datetime(2023, 1, 1, tzinfo=UTC)
    rows = [order(late, order_id=str(n), loaded_at=late + d) for n, d in enumerate(delays)]
    assert open_shop(rows).arrival_lag_days() == days


def test_without_loaded_at_nothing_lags(open_shop, tiny_shop):
    assert open_shop(tiny_shop).arrival_lag_days() == 0


def test_a_snapshot_begins_at_the_midnight_of_the_day_zone(open_shop, tiny_shop):
    tables = open_shop(tiny_shop, day_timezone="America/New_York")
    snapshot = tables.as_of("2024-05-01")
    assert snapshot == Snapshot(tables, date(2024, 5, 1)) == tables.as_of(date(2024, 5, 1))
    assert snapshot.instant == midnight(date(2024, 5, 1), "America/New_York")
    assert snapshot.instant - midnight(date(2024, 5, 1), "UTC") == pytest.approx(4 / 24)


@pytest.mark.parametrize("when", ["tomorrow", datetime(2024, 5, 1, 12), None])
def test_a_snapshot_is_of_a_whole_date(open_shop, tiny_shop, when):
    with pytest.raises(ConfigError, match=r"as_of must be .* Pass e\.g\."):
        open_shop(tiny_shop).as_of(when)


def test_a_frame_is_computed_once_under_its_name(open_shop, tiny_shop):
    tables = open_shop(tiny_shop)
    first = tables.once("kept", tables.frame("orders").select("amount"))
    again = tables.once("kept", tables.frame("orders").select("customer_id"))
    assert first.collect_schema().names() == again.collect_schema().names() == ["amount"]


@pytest.mark.parametrize("write", ["csv", "parquet"])
def test_an_empty_file_is_an_empty_table(tmp_path, write):
    frame = pd.DataFrame({"customer_id": ["a"], "ordered_at": ["2024-01-01"], "amount": [1.0]})
    name = f"orders.{write}"
    writers: dict[str, Callable] = {
        "csv": lambda: frame[:0].to_csv(tmp_path / name, index=False),
        "parquet": lambda: frame[:0].to_parquet(tmp_path / name, index=False),
    }
    writers[write]()
    settings = DataSettings(orders=OrdersSource(source=name))
    tables = Tables.from_settings(settings, folder=tmp_path)
    assert (tables.audits["orders"].rows_read, tables.audits["orders"].rows_kept) == (0, 0)


def test_the_day_after_the_last_order_may_be_asked_for_and_no_later_one():
    """Orders carry times: by default the last day counts as incomplete, but a user may know."""
    orders = pd.DataFrame(
        {"customer_id": ["a"], "ordered_at": ["2024-01-05 23:53:00"], "amount": [5.0]}
    )
    tables = Tables.from_frames(orders, clock=datetime(2024, 6, 1, tzinfo=UTC))
    assert tables.end() == date(2024, 1, 5)
    assert tables.within(date(2024, 1, 6)) == date(2024, 1, 6)
    with pytest.raises(ConfigError, match=r"end of the data, 2024-01-06, got 2024-01-07"):
        tables.within(date(2024, 1, 7))
