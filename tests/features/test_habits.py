"""Habits: days of the week, and this season last year."""

from datetime import UTC, datetime, timedelta
from math import log

import pytest
from anna import CUTOFF, features_of, order

from churn.features.clock import FeatureClock

features = features_of("habits")


def test_days_of_the_week_are_those_of_the_calendar(open_shop):
    """The Sunday and Saturday before, the Sunday of the week before, and a Monday."""
    found = features(open_shop, order(3), order(4), order(10), order(2))
    assert (found["weekend_share"], found["main_weekday_share"]) == (0.75, 0.5)
    assert found["weekday_entropy"] == pytest.approx(-(0.5 * log(0.5) + 2 * 0.25 * log(0.25)))


@pytest.mark.parametrize("days_ago", range(1, 8))
def test_a_single_purchase_is_at_the_weekend_where_the_calendar_says_so(open_shop, days_ago):
    found = features(open_shop, order(days_ago))
    assert found["weekend_share"] == ((CUTOFF - timedelta(days=days_ago)).isoweekday() >= 6)
    assert (found["main_weekday_share"], found["weekday_entropy"]) == (1.0, 0.0)


def test_each_day_of_the_week_alike_is_the_largest_entropy(open_shop):
    found = features(open_shop, *(order(days) for days in range(1, 15)))
    assert found["weekday_entropy"] == pytest.approx(log(7))
    assert found["weekend_share"] == pytest.approx(2 / 7)
    assert found["main_weekday_share"] == pytest.approx(1 / 7)


def test_days_of_the_week_before_1970_are_right_as_well(open_shop):
    """1969-12-28 was a Sunday, 1969-12-29 a Monday."""
    sunday, monday = (
        order(1) | {"ordered_at": datetime(1969, 12, day, 12, tzinfo=UTC)} for day in (28, 29)
    )
    assert features(open_shop, sunday)["weekend_share"] == 1.0
    assert features(open_shop, monday)["weekend_share"] == 0.0


def test_two_orders_of_one_day_are_one_purchase_day(open_shop):
    found = features(open_shop, order(3), order(3), order(2))
    assert (found["weekend_share"], found["main_weekday_share"]) == (0.5, 0.5)


def test_returns_are_no_habit(open_shop):
    found = features(open_shop, order(3, -5.0))
    assert found == dict.fromkeys(found)


def test_last_years_season_is_the_horizon_that_followed_the_same_weekday(open_shop):
    """Of 28 days: from 364 days ago, which is in, to 336 days ago, which is out."""
    ages = (365, 364, 350, 337, 336, 20)
    assert features(open_shop, *map(order, ages))["purchase_days_same_season"] == 3
    week = FeatureClock(horizon_days=7, lookback_days=14)
    assert features(open_shop, *map(order, ages), clock=week)["purchase_days_same_season"] == 1


@pytest.mark.parametrize(("tenure", "expected"), [(363, None), (364, 1), (500, 0)])
def test_the_season_is_unknown_of_who_was_not_here_a_year_ago(open_shop, tenure, expected):
    found = features(open_shop, order(tenure), order(20))
    assert found["purchase_days_same_season"] == expected
