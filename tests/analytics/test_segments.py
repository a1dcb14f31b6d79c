"""Every customer belongs to exactly one segment."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.analytics.segments import SEGMENTS, SegmentBounds, rfm_segments

BOUNDS = SegmentBounds(best_net_spend=100.0, loyal_purchase_days=10.0, occasional_purchase_days=4.0)


def segment(status, purchase_days, net_spend, bounds=BOUNDS):
    row = {"status": [status], "purchase_days": [purchase_days], "net_spend": [net_spend]}
    return rfm_segments(pd.DataFrame(row), bounds)[0]


@pytest.mark.parametrize(
    ("status", "purchase_days", "net_spend", "name"),
    [
        ("eligible", 10, 100.0, "best"),
        ("eligible", 10, 99.0, "loyal"),
        ("eligible", 9, 500.0, "regular"),
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
    assert segment(status, purchase_days, net_spend) == name


def test_a_customer_without_purchases_is_new():
    assert segment("new", np.nan, np.nan) == "new"


def test_bounds_are_quantiles_of_the_given_customers():
    days, spend = np.arange(1, 102), np.arange(0.0, 1_010.0, 10.0)
    assert SegmentBounds.learn(days, spend) == SegmentBounds(800.0, 61.0, 41.0)


def test_bounds_of_no_customers_make_nobody_best_or_loyal():
    bounds = SegmentBounds.learn(np.array([]), np.array([]))
    assert segment("eligible", 1_000, 1e9, bounds) == "occasional"
    assert segment("lapsed", 1_000, 1e9, bounds) == "lapsed"


rows = st.lists(
    st.tuples(
        st.sampled_from(["eligible", "lapsed", "new"]), st.integers(1, 50), st.floats(-100, 1e6)
    ),
    min_size=1,
)


@given(rows)
def test_new_and_lapsed_are_the_segments_of_their_status_only(members):
    frame = pd.DataFrame(members, columns=["status", "purchase_days", "net_spend"])
    bounds = SegmentBounds.learn(frame["purchase_days"].to_numpy(), frame["net_spend"].to_numpy())
    segments = rfm_segments(frame, bounds)
    assert len(segments) == len(frame)
    assert set(segments) <= set(SEGMENTS)
    other = frame["status"] != "eligible"
    assert (segments[other] == frame.loc[other, "status"]).all()
    assert not {"new", "lapsed"} & set(segments[~other])


def test_subscribers_without_a_purchase_do_not_move_the_bounds():
    days, spend = np.array([1.0, 5.0, 9.0]), np.array([10.0, 50.0, 90.0])
    buyers = SegmentBounds.learn(days, spend)
    with_others = SegmentBounds.learn(np.append(days, np.nan), np.append(spend, np.nan))
    assert with_others == buyers
    no_buyers = SegmentBounds.learn(np.array([np.nan]), np.array([np.nan]))
    assert no_buyers.best_net_spend == np.inf
