"""The rhythm of purchases, by hand: gaps of 10, 20 and 30 days, the last purchase 15 days ago."""

from math import log, sqrt

import pytest
from anna import features_of, order

features = features_of("recency", "gaps", "regularity", "trend", "activity")

ORDERS = [order(days) for days in (75, 65, 45, 15)]


def test_gaps_have_a_mean_a_deviation_and_an_expectation(open_shop):
    """Alone in the shop, her mean is the population's, so that shrinking changes nothing."""
    found = features(open_shop, *ORDERS)
    assert (found["mean_gap_days"], found["expected_gap_days"]) == (20, pytest.approx(20))
    assert found["gap_deviation_days"] == pytest.approx(10)
    assert found["gap_variation"] == pytest.approx(0.5)
    assert found["last_gap_over_mean"] == pytest.approx(1.5)
    assert found["recency_over_longest_gap"] == 0.5
    assert found["last_purchase_position"] == pytest.approx(60 / 75)


def test_overdue_is_measured_in_gaps_and_in_deviations(open_shop):
    found = features(open_shop, *ORDERS)
    assert found["overdue_ratio"] == pytest.approx(15 / 20)
    assert found["overdue_z"] == pytest.approx((15 - 20) / (10 + 20 / 4))


def test_regularity_is_the_gamma_shape_of_the_gaps_shrunk_by_three(open_shop):
    found = features(open_shop, *ORDERS)
    s = log(20) - (log(10) + log(20) + log(30)) / 3
    shape = (3 - s + sqrt((s - 3) ** 2 + 24 * s)) / (12 * s)
    assert found["log_regularity"] == pytest.approx(log(shape) * 3 / 6)


def test_clumpiness_is_one_minus_the_entropy_of_the_intervals(open_shop):
    """Gaps and the time since the last purchase, as shares of the tenure of 75 days."""
    shares = [days / 75 for days in (10, 20, 30, 15)]
    entropy = -sum(share * log(share) for share in shares)
    found = features(open_shop, *ORDERS)
    assert found["clumpiness"] == pytest.approx(1 - entropy / log(4))


def test_acceleration_needs_two_horizons_and_the_trend_of_spend_four(open_shop):
    """Purchases per 14 days: none of late, one (45) in the 42 days before."""
    found = features(open_shop, *ORDERS)
    assert found["acceleration"] == pytest.approx((0 + 0.5) / (2 / 3 + 0.5))
    assert found["spend_trend"] is None
    longer = features(open_shop, *ORDERS, order(112))
    assert longer["spend_trend"] == pytest.approx((20 + 10) / (30 + 10))


def test_active_windows_of_half_a_horizon_weigh_less_the_older_they_are(open_shop):
    """A purchase in the newest window of 14 days and in the third: weights 1 and .64 of 2.44."""
    found = features(open_shop, order(40), order(14))
    assert found["active_window_share"] == pytest.approx((1 + 0.64) / (1 + 0.8 + 0.64))


def test_one_purchase_has_no_rhythm(open_shop):
    found = features(open_shop, order(20))
    for name in ("mean_gap_days", "gap_variation", "log_regularity", "clumpiness", "acceleration"):
        assert found[name] is None
