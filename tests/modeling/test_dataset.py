"""Labels say what came next, null where nothing can be said, and no row sees past its split."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated_shop import FIRST_DAY, HORIZON_DAYS, shop_dataset, shop_panel, simulated_orders

from churn.data.cutoffs import Cutoffs
from churn.data.tables import Tables
from churn.errors import ConfigError
from churn.features.builder import FeatureBatches
from churn.features.clock import FeatureClock
from churn.modeling.dataset import LABELS, build_dataset

CUTOFF = date(2024, 1, 1)
TEN_DAYS = Cutoffs((CUTOFF,), 10, date(2024, 3, 1))


def labels(orders, cutoffs=TEN_DAYS):
    """The labels of each customer, from (customer, days from the cutoff, amount) rows."""
    frame = pd.DataFrame(orders, columns=["customer_id", "day", "amount"])
    frame["ordered_at"] = pd.Timestamp(CUTOFF) + pd.to_timedelta(frame.pop("day"), unit="D")
    rows = build_dataset(Tables.from_frames(frame), cutoffs).rows
    return rows.set_index("customer_id")[list(LABELS)]


def test_a_lapse_is_no_purchase_in_the_horizon():
    found = labels(
        [
            *[(name, -5, 10.0) for name in ("first", "last", "late", "back", "free")],
            ("first", 0, 8.0),
            ("last", 9, 8.0),
            ("late", 10, 8.0),
            ("back", 3, -4.0),
            ("free", 3, 0.0),
        ]
    )
    assert found["lapse"].to_dict() == {"first": 0, "last": 0, "late": 1, "back": 1, "free": 1}
    assert found["horizon_orders"].to_dict() == {
        "first": 1,
        "last": 1,
        "late": 0,
        "back": 0,
        "free": 0,
    }
    assert found.loc["back", "horizon_net_spend"] == -4.0


def test_rows_are_sorted_by_cutoff_and_customer_however_the_engine_returns_them(monkeypatch):
    """A cluster returns the customers of one partition after those of another."""
    names = [f"{number:02d}" for number in range(20)]
    frame = pd.DataFrame({"customer_id": names, "amount": 10.0})
    frame["ordered_at"] = pd.Timestamp(CUTOFF) - pd.Timedelta("90D")
    panel = Cutoffs.every(10, until="2024-01-31", horizon_days=10, count=3)
    whole = build_dataset(Tables.from_frames(frame), panel)
    batches = FeatureBatches.batches

    def halves_swapped(self):
        for batch in batches(self):
            middle = batch.num_rows // 2
            yield batch.slice(middle)
            yield batch.slice(0, middle)

    monkeypatch.setattr(FeatureBatches, "batches", halves_swapped)
    swapped = build_dataset(Tables.from_frames(frame), panel)
    pd.testing.assert_frame_equal(swapped.rows, whole.rows)
    pd.testing.assert_frame_equal(swapped.current, whole.current)
    keys = list(zip(whole.rows["cutoff"], whole.rows["customer_id"], strict=True))
    assert keys == sorted(keys)
    assert len(set(keys)) == 60


def test_nothing_is_learnt_from_objectors_whatever_they_did_before_they_objected():
    """Fault 49: an objection counts from the day it is known; one that was taken back does not."""
    names = ("stays", "objects", "objected", "returned")
    frame = pd.DataFrame({"customer_id": names, "amount": 10.0})
    frame["ordered_at"] = pd.Timestamp(CUTOFF) - pd.Timedelta("5D")
    said = [("objects", 100, False), ("objected", -300, False)]
    said += [("returned", -300, False), ("returned", -200, True), ("stays", 9, True)]
    words = pd.DataFrame(said, columns=["customer_id", "day", "granted"])
    words["changed_at"] = pd.Timestamp(CUTOFF) + pd.to_timedelta(words.pop("day"), unit="D")
    words = words.assign(channel="email", purpose="profiling")
    dataset = build_dataset(Tables.from_frames(frame, consents=words), TEN_DAYS)
    assert set(dataset.rows["customer_id"]) == {"stays", "returned"}
    assert dataset.objectors_left_out == 2
    assert build_dataset(Tables.from_frames(frame), TEN_DAYS).objectors_left_out == 0


def test_a_decline_is_under_half_of_the_usual_spend():
    """Thirty days of one a day make ten in ten days usual; five of them are half, not under it."""
    usual = [("half", day, 1.0) for day in range(-30, 0)]
    usual += [("less", day, 1.0) for day in range(-30, 0)]
    found = labels([*usual, ("half", 2, 5.0), ("less", 2, 4.99)])
    assert found["decline"].to_dict() == {"half": 0, "less": 1}
    assert found["lapse"].to_dict() == {"half": 0, "less": 0}


def test_the_usual_spend_of_a_newcomer_is_measured_over_the_time_they_have_been_here():
    """Ten in five days makes twenty in ten days usual."""
    found = labels([("same", -5, 10.0), ("same", 1, 10.0), ("less", -5, 10.0), ("less", 1, 9.9)])
    assert found["decline"].to_dict() == {"same": 0, "less": 1}


def test_whoever_spent_nothing_net_has_no_decline_to_speak_of():
    """Null, not zero: half of nothing cannot be fallen short of."""
    found = labels([("refund", -5, 10.0), ("refund", -4, -10.0), ("long", -31, 9.0)])
    assert found["decline"].isna().all()
    assert found["lapse"].to_dict() == {"refund": 1, "long": 1}


some_orders = st.lists(
    st.tuples(
        st.sampled_from("abcdefghij"),
        st.integers(-60, 30),
        st.sampled_from([-5.0, 0.0, 1.0, 50.0]),
    ),
    min_size=20,
    max_size=80,
)


@settings(max_examples=5)
@given(some_orders)
def test_whoever_lapses_declines(orders):
    found = labels([("known", -3, 1.0), *orders])
    known = found.dropna()
    assert (known["decline"] >= known["lapse"]).all()
    assert found["lapse"].isin([0, 1]).all()
    assert known["decline"].isin([0, 1]).all()


def test_a_lead_leaves_a_gap_between_the_features_and_the_label():
    lead = Cutoffs((CUTOFF,), 10, date(2024, 3, 1), lead_days=3)
    names = ("gap", "first", "last", "late")
    past = [(name, -5, 10.0) for name in names]
    future = [("gap", 2, 1.0), ("first", 3, 1.0), ("last", 12, 1.0), ("late", 13, 1.0)]
    found = labels(past + future, lead)
    assert found["lapse"].to_dict() == {"gap": 1, "first": 0, "last": 0, "late": 1}


def test_there_is_one_row_for_each_customer_and_cutoff_sorted():
    rows = shop_dataset().rows
    assert not rows.duplicated(["customer_id", "cutoff"]).any()
    assert rows.equals(rows.sort_values(["cutoff", "customer_id"], ignore_index=True))
    assert list(rows.columns) == [
        "customer_id",
        "cutoff",
        "status",
        *shop_dataset().feature_names,
        "horizon_orders",
        "horizon_net_spend",
        "horizon_fenced_spend",
        "lapse",
        "decline",
    ]


def test_labels_agree_with_a_plain_count_of_the_orders():
    rows = shop_dataset().rows
    orders = simulated_orders()
    day = (orders["ordered_at"] - pd.Timestamp("1970-01-01")).dt.days
    cutoff = rows["cutoff"].max()
    inside = orders[(day >= cutoff) & (day < cutoff + HORIZON_DAYS)]
    newest = rows[rows["cutoff"] == cutoff].set_index("customer_id")
    counted = inside.groupby("customer_id")["amount"].agg(["size", "sum"]).reindex(newest.index)
    np.testing.assert_array_equal(newest["horizon_orders"], counted["size"].fillna(0))
    np.testing.assert_allclose(newest["horizon_net_spend"], counted["sum"].fillna(0))
    np.testing.assert_array_equal(newest["lapse"], counted["size"].isna())


def test_a_lookback_of_two_horizons_is_the_default():
    assert shop_dataset().clock == FeatureClock(horizon_days=28, lookback_days=56)
    tables = Tables.from_frames(simulated_orders(20))
    panel = Cutoffs((FIRST_DAY + timedelta(days=300),), 20, FIRST_DAY + timedelta(days=400))
    found = build_dataset(tables, panel)
    assert found.clock == FeatureClock(horizon_days=20, lookback_days=40)
    assert build_dataset(tables.as_of("2023-12-31"), panel).rows.equals(found.rows)


def test_a_split_drops_and_counts_rows_whose_label_is_still_open():
    dataset = shop_dataset()
    at = shop_panel().blocks.test.dates[0]
    train, test = dataset.split(at=str(at))
    assert test.cutoffs.dates == shop_panel().blocks.test.dates
    assert all(train.cutoffs.label_end(cutoff) <= at for cutoff in train.cutoffs)
    (reason, dropped), *_ = train.dropped_rows.items()
    assert reason == "label window open at the split"
    assert dropped == len(dataset) - len(train) - len(test) > 0
    assert set(train.rows["cutoff"]) & set(test.rows["cutoff"]) == set()


@settings(max_examples=30)
@given(st.integers(28, 98))
def test_no_label_of_the_earlier_side_reaches_into_the_later(offset):
    at = shop_dataset().cutoffs.dates[0] + timedelta(days=offset)
    train, test = shop_dataset().split(at=at)
    newest_label = max(train.cutoffs.label_end(cutoff) for cutoff in train.cutoffs)
    assert newest_label <= at <= test.cutoffs.dates[0]


@pytest.mark.parametrize("at", ["2000-01-01", "2030-01-01"])
def test_a_split_that_leaves_one_side_empty_is_refused_with_the_range(at):
    dates = shop_dataset().cutoffs.dates
    with pytest.raises(
        ConfigError,
        match=rf"^split\(at='{at}'\) leaves one side empty: cutoffs run "
        rf"{dates[0]}\.\.{dates[-1]} with a 28-day horizon\. Pick a date inside that range\.$",
    ):
        shop_dataset().split(at=at)
