"""Lapses that ended: gaps longer than the horizon."""

import pytest
from anna import features_of, order

from churn.features.clock import FeatureClock

features = features_of("lapses")


def test_gaps_longer_than_the_horizon_are_lapses(open_shop):
    """Gaps of 60, 10, 40 and 20 days: two of four lapsed; the newest ended 30 days ago."""
    found = features(open_shop, *map(order, (140, 80, 70, 30, 10)))
    assert found == {
        "past_lapses": 2,
        "past_lapse_share": 0.5,
        "last_return_from_lapse_days": 30,
    }


@pytest.mark.parametrize(("gap", "lapses"), [(28, 0), (29, 1)])
def test_a_purchase_on_the_last_day_of_the_horizon_is_in_time(open_shop, gap, lapses):
    """A purchase, then a cutoff on the day after it: its 28 days end on the 28th after it."""
    found = features(open_shop, order(5 + gap), order(5))
    assert found["past_lapses"] == lapses
    assert found["last_return_from_lapse_days"] == (5 if lapses else None)


def test_a_shorter_horizon_makes_more_lapses(open_shop):
    week = FeatureClock(horizon_days=7, lookback_days=14)
    found = features(open_shop, *map(order, (60, 40, 30, 24)), clock=week)
    assert (found["past_lapses"], found["past_lapse_share"]) == (2, pytest.approx(2 / 3))


def test_the_lapse_that_goes_on_is_not_counted(open_shop):
    found = features(open_shop, order(200))
    assert found == {
        "past_lapses": 0,
        "past_lapse_share": None,
        "last_return_from_lapse_days": None,
    }


def test_a_return_of_goods_ends_no_lapse(open_shop):
    found = features(open_shop, order(100), order(70, -10.0), order(40))
    assert (found["past_lapses"], found["last_return_from_lapse_days"]) == (1, 40)
