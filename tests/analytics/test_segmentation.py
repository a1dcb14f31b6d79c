"""Segments of a shop: migration that sums to the balance, frozen bounds, cells."""

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import churn
from churn.analytics.cells import Cell
from churn.analytics.segmentation import (
    Segmentation,
    customers_of,
    is_active,
    segment_base,
    segment_rows,
)
from churn.analytics.segments import NOT_YET, learnt_bounds, rfm_scores, rfm_segments
from churn.analytics.segments_shown import personas
from churn.errors import ConfigError, DataError
from churn.features.clock import FeatureClock

CLOCK = FeatureClock(horizon_days=28, lookback_days=30)
START = datetime(2024, 1, 1, 12, tzinfo=UTC)
ONLINE_RETAIL = Path(__file__).parents[2] / "benchmarks" / "online_retail.toml"
DATA = Path(__file__).parents[2].parent / "shared/data/online_retail_ii"


def orders(days_by_customer):
    return [
        {"customer_id": name, "ordered_at": START + timedelta(days=day), "amount": 5.0 + day}
        for name, days in days_by_customer.items()
        for day in days
    ]


@settings(max_examples=6)
@given(
    st.dictionaries(
        st.sampled_from(["ann", "bob", "cyd", "dan", "eve"]),
        st.lists(st.integers(0, 120), min_size=1),
        min_size=1,
    ),
    st.integers(1, 60),
)
def test_rows_and_columns_of_the_migration_sum_to_the_balance(open_shop, histories, length):
    tables = open_shop(orders(histories))
    end = tables.limit()
    found, _ = segment_base(tables, end, end - timedelta(days=length), CLOCK)
    balance, moved = found.resolved["balance"], found.table("migration").to_pandas()
    active = ["best", "loyal", "regular", "occasional", "one-time"]
    rows = moved[moved["from_segment"].isin(active)]["customers"].sum()
    columns = moved[moved["to_segment"].isin(active)]["customers"].sum()
    assert (rows, columns) == (balance["start"], balance["end"])
    assert balance["start"] == balance["kept"] + balance["lost"]
    assert balance["end"] == balance["kept"] + balance["new"] + balance["won_back"]
    assert moved["customers"].sum() == len(histories) == found.table()["customers"].to_numpy().sum()


@pytest.fixture(scope="module")
def shop(open_shop):
    rng = np.random.default_rng(1)
    histories = {
        f"c{n}": np.unique(rng.integers(0, 120, size=rng.integers(1, 20))) for n in range(60)
    }
    return open_shop(orders({name: map(int, days) for name, days in histories.items()}))


AS_OF, SINCE = date(2024, 4, 20), date(2024, 3, 20)


def test_frozen_segments_are_read_as_written_and_applied(shop):
    found, fixed = segment_base(shop, AS_OF, SINCE, CLOCK)
    again = Segmentation.from_json(json.loads(json.dumps(fixed.to_json(), allow_nan=False)))
    later, same = segment_base(shop, AS_OF, SINCE, CLOCK, frozen=again)
    assert later.table().equals(found.table())
    assert same.to_json() == fixed.to_json()


def test_a_damaged_file_is_refused():
    with pytest.raises(DataError, match="Restore the file, or refit"):
        Segmentation.from_json({"bounds": {}})


def test_the_customers_of_a_cell_are_those_that_are_counted(shop):
    found, fixed = segment_base(shop, AS_OF, SINCE, CLOCK)
    rows = [row for row in found.table("migration").to_pylist() if row["customers"]]
    for row in [*rows[:3], rows[-1], found.table("migration").to_pylist()[1]]:
        text = f"migrated,from={row['from_segment']},to={row['to_segment']}"
        members = customers_of(shop, AS_OF, SINCE, CLOCK, fixed, Cell.parse(text))
        assert members.num_rows == row["customers"], text
    with pytest.raises(ConfigError, match="segment must be one of"):
        customers_of(shop, AS_OF, SINCE, CLOCK, fixed, Cell.parse("customers,segment=vip"))


def test_personas_stand_beside_the_base_in_three_sentences(shop):
    found, _ = segment_base(shop, AS_OF, SINCE, CLOCK)
    for row in found.table("personas").to_pylist():
        assert row["persona"].count("(all: ") == 3
        assert row["customers"] > 0
    assert any("medians" in table.title for table in found.displays)


def test_personas_count_days_as_one_would_say_it():
    rows = pd.DataFrame(
        {
            "segment": ["one-time", "occasional", "occasional"],
            "cluster": "none",
            "purchase_days": [1, 2, 3],
            "net_spend": [5.0, 1200.0, 1300.0],
            "recency_days": [40, 1, 1],
        }
    )
    few, once = (row["persona"] for row in personas(rows))
    assert once.startswith("Bought on 1 day (all: 2). Spent 5.00 (all: 1,200.00).")
    assert few.startswith("Bought on 2.5 days (all: 2).")
    assert few.endswith("Last purchase 1 day ago (all: 1).")


def test_everyone_unknown_at_the_earlier_date_was_no_customer(shop):
    found, _ = segment_base(shop, AS_OF, date(2023, 12, 1), CLOCK)
    moved = found.table("migration").to_pandas().query("customers > 0")
    assert set(moved["from_segment"]) == {NOT_YET}


def test_online_retail_from_march_to_june_moves_nobody_who_bought_nothing():
    if not DATA.exists():
        pytest.skip("needs ../shared/data/online_retail_ii")
    tables = churn.load_tables(ONLINE_RETAIL)
    clock = FeatureClock(horizon_days=90, lookback_days=90)
    dates = [date(2011, 3, 1), date(2011, 6, 1)]
    (before, now), _ = segment_rows(tables, dates, clock)
    tables.close()
    frozen, anew = (
        learnt_bounds(rows, when, clock) for rows, when in zip((before, now), dates, strict=True)
    )
    same = (before["purchase_days"] == now["purchase_days"].reindex(before.index)) & (
        before["net_spend"] == now["net_spend"].reindex(before.index)
    )
    idle_before, idle_now = (
        before[is_active(before) & same],
        now.loc[before.index][is_active(before) & same],
    )
    score = ["f_score", "m_score"]
    kept, moved = (rfm_scores(idle_now, bounds)[score] for bounds in (frozen, anew))
    assert len(idle_before) > 600
    assert kept.equals(rfm_scores(idle_before, frozen)[score])
    assert (moved != kept).any(axis=1).sum() > 100
    segments = rfm_segments(idle_before, frozen), rfm_segments(idle_now, frozen)
    crossed = (idle_now["status"] != idle_before["status"]).to_numpy()
    assert (segments[0] == segments[1])[~crossed].all()
