"""Histories part into ranges of customers, and the rows are the same whatever the ranges."""

from datetime import date

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from churn.data.history import customer_cuts, customer_key, history
from churn.data.tables import Tables
from churn.features.builder import build_features
from churn.features.clock import FeatureClock

CUTOFF = date(2024, 3, 1)
CLOCK = FeatureClock(horizon_days=28, lookback_days=56)
NAMES = [f"c{n:02}" for n in range(23)]


def shop(engine: str = "duckdb", **more: list[object]) -> Tables:
    """Two orders of each customer, and a customer list that knows one more in the midst."""
    days = [1 + n % 7 for n in range(23)]
    orders = {
        "customer_id": NAMES * 2,
        "ordered_at": [date(2024, 1, d) for d in days] + [date(2024, 2, d) for d in days],
        "amount": [float(n) for n in range(1, 47)],
    }
    listed = pa.table({"customer_id": [*NAMES, "c09a"], "signed_up_at": [date(2023, 1, 1)] * 24})
    return Tables.from_frames(pa.table(orders | more), customers=listed, engine=engine)


@pytest.fixture
def small_ranges(monkeypatch):
    monkeypatch.setattr("churn.data.history.RANGE_CUSTOMERS", 5)


def test_cuts_part_the_customers_evenly_and_in_order(small_ranges):
    tables = shop()
    assert customer_cuts(tables) == []  # no history yet
    days = history(tables, [CUTOFF]).days
    assert customer_key(days) == "customer_number"
    assert customer_cuts(tables) == ["c04", "c09", "c14", "c19"]


@pytest.mark.parametrize("late", [True, False])
def test_without_numbers_there_are_no_cuts(small_ranges, late):
    loaded = {"loaded_at": [date(2024, 2, 10)] * 46}
    tables = shop(**loaded) if late else shop("polars")
    assert customer_key(history(tables, [CUTOFF]).days) == "customer_id"
    assert customer_cuts(tables) == []


def test_a_feature_table_is_the_same_written_in_ranges_or_at_once(small_ranges, tmp_path):
    tables = shop()
    frame = build_features(tables, [CUTOFF], CLOCK)
    whole, cut = tmp_path / "whole.parquet", tmp_path / "cut.parquet"
    tables.engine.write_parquet(frame, whole, sort_by=["customer_id"])
    cuts = customer_cuts(tables)
    assert tables.engine.write_parquet(frame, cut, sort_by=["customer_id"], cuts=cuts) == 24
    assert pq.read_table(cut).equals(pq.read_table(whole))
    assert pq.read_table(cut)["customer_id"].to_pylist() == sorted([*NAMES, "c09a"])
