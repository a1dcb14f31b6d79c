"""Every customer belongs to exactly one segment, by bounds that stay."""

import json
from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.analytics.segments import (
    SEGMENTS,
    SegmentBounds,
    crosswalk,
    cut_points,
    rfm_scores,
    rfm_segments,
)
from churn.errors import DataError

BOUNDS = SegmentBounds(
    recency_days=(7.0, 14.0, 28.0, 42.0),
    purchase_days=(2.0, 5.0, 8.0, 10.0),
    net_spend=(10.0, 20.0, 50.0, 100.0),
)


def frame(status="eligible", purchase_days=1, net_spend=0.0, recency_days=1.0):
    row = {"status": [status], "purchase_days": [purchase_days], "net_spend": [net_spend]}
    return pd.DataFrame({**row, "recency_days": [recency_days]})


@pytest.mark.parametrize(
    ("status", "purchase_days", "net_spend", "name"),
    [
        ("eligible", 8, 100.0, "best"),
        ("eligible", 8, 99.0, "loyal"),
        ("eligible", 7, 500.0, "regular"),
        ("eligible", 5, 1.0, "regular"),
        ("eligible", 4, 500.0, "occasional"),
        ("eligible", 1, 500.0, "one-time"),
        ("lapsed", 50, 500.0, "lapsed"),
        ("new", 1, 500.0, "new"),
        ("covered", 10, 100.0, "best"),
        ("covered", np.nan, np.nan, "new"),
        ("lapsed", np.nan, np.nan, "lapsed"),
    ],
)
def test_a_segment_follows_from_status_purchase_days_and_spend(
    status, purchase_days, net_spend, name
):
    assert rfm_segments(frame(status, purchase_days, net_spend), BOUNDS)[0] == name


@pytest.mark.parametrize(
    ("purchase_days", "net_spend", "recency_days", "scores"),
    [
        (1, 9.0, 7, [5, 1, 1]),
        (2, 10.0, 8, [4, 2, 2]),
        (10, 100.0, 42, [2, 5, 5]),
        (10, 100.0, 43, [1, 5, 5]),
        (np.nan, np.nan, np.nan, [0, 0, 0]),
    ],
)
def test_scores_count_the_cut_points_that_are_reached(
    purchase_days, net_spend, recency_days, scores
):
    rows = frame("eligible", purchase_days, net_spend, recency_days)
    assert rfm_scores(rows, BOUNDS).iloc[0].to_list() == scores


def test_cut_points_are_quintiles_of_different_values():
    assert cut_points(np.arange(1.0, 101.0)) == (21.0, 41.0, 61.0, 81.0)


@pytest.mark.parametrize(
    ("values", "scores"),
    [
        ([1] * 60 + [2] * 20 + [3] * 10 + [4] * 6 + [5] * 4, {1, 2, 3, 4, 5}),
        ([1] * 90 + [2] * 10, {1, 5}),
        ([1, 2, 3], {1, 3, 5}),
        ([4, 4, 4], {1}),
    ],
)
def test_ties_leave_no_class_empty_and_the_highest_value_has_the_highest_score(values, scores):
    values = np.array(values, dtype=float)
    cuts = cut_points(values)
    assert {1 + sum(value >= cut for cut in cuts) for value in values} == scores


@given(st.lists(st.integers(1, 30), min_size=5).filter(lambda found: len(set(found)) >= 5))
def test_five_different_values_fill_all_five_classes(values):
    cuts = cut_points(np.array(values, dtype=float))
    assert len({sum(value >= cut for cut in cuts) for value in values}) == 5


def test_bounds_of_nobody_make_nobody_best_or_loyal():
    bounds = SegmentBounds.learn(frame().head(0))
    assert rfm_segments(frame("eligible", 1_000, 1e9), bounds)[0] == "occasional"
    assert rfm_segments(frame("lapsed", 1_000, 1e9), bounds)[0] == "lapsed"


rows = st.lists(
    st.tuples(
        st.sampled_from(["eligible", "lapsed", "new"]),
        st.integers(1, 50),
        st.floats(-100, 1e6),
        st.integers(1, 400),
    ),
    min_size=1,
)
NAMES = ["status", "purchase_days", "net_spend", "recency_days"]


@given(rows)
def test_new_and_lapsed_are_the_segments_of_their_status_only(members):
    rows = pd.DataFrame(members, columns=NAMES)
    segments = rfm_segments(rows, SegmentBounds.learn(rows))
    assert len(segments) == len(rows)
    assert set(segments) <= set(SEGMENTS)
    other = rows["status"] != "eligible"
    assert (segments[other] == rows.loc[other, "status"]).all()
    assert not {"new", "lapsed"} & set(segments[~other])


@given(rows, st.lists(st.booleans(), min_size=1), st.integers(1, 60))
def test_who_buys_nothing_and_crosses_no_bound_keeps_segment_and_scores(members, buys, days):
    before = pd.DataFrame(members, columns=NAMES)
    bounds = SegmentBounds.learn(before)
    bought = np.resize(np.array(buys), len(before))
    after = before.assign(
        purchase_days=before["purchase_days"] + 5 * bought,
        net_spend=before["net_spend"] + 100 * bought,
        recency_days=np.where(bought, 1, before["recency_days"] + days),
    )
    crossed = rfm_scores(before, bounds)["r_score"] != rfm_scores(after, bounds)["r_score"]
    idle = (~bought & ~crossed).to_numpy()
    assert (rfm_segments(before, bounds)[idle] == rfm_segments(after, bounds)[idle]).all()
    assert rfm_scores(before, bounds)[idle].equals(rfm_scores(after, bounds)[idle])


def test_subscribers_without_a_purchase_do_not_move_the_bounds():
    buyers = pd.DataFrame(
        {
            "purchase_days": [1.0, 5.0, 9.0],
            "net_spend": [10.0, 50.0, 90.0],
            "recency_days": [3.0, 4.0, 5.0],
        }
    )
    others = pd.DataFrame({name: [np.nan] for name in buyers})
    assert SegmentBounds.learn(pd.concat([buyers, others])) == SegmentBounds.learn(buyers)


def test_frozen_bounds_are_read_as_they_were_written():
    for bounds in (BOUNDS, SegmentBounds(version=3, learnt_as_of=date(2024, 5, 1), customers=7)):
        assert SegmentBounds.from_json(json.loads(json.dumps(bounds.to_json()))) == bounds


@pytest.mark.parametrize("found", [{}, [], {"schema": 1}, {**BOUNDS.to_json(), "net_spend": [1]}])
def test_damaged_bounds_are_refused_with_the_fix(found):
    with pytest.raises(DataError, match="Restore the file, or refit"):
        SegmentBounds.from_json(found)


def test_a_crosswalk_counts_everyone_once():
    table = crosswalk(np.array(["best", "best", "new"]), np.array(["best", "loyal", "new"]))
    assert table.loc["best"].to_dict() == dict.fromkeys(SEGMENTS, 0) | {"best": 1, "loyal": 1}
    assert int(table.to_numpy().sum()) == 3
