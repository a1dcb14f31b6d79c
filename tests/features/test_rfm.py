"""Recency, frequency and money, by hand."""

import pytest
from anna import features_of, order

features = features_of("recency", "frequency", "tenure", "money")


def test_days_and_orders_are_counted_and_money_is_net_of_returns(open_shop):
    """Two orders on one day, one lately, and a return on a day of its own."""
    found = features(open_shop, order(100, 10.0), order(100, 20.0), order(8, 30.0), order(5, -15.0))
    assert (found["recency_days"], found["tenure_days"]) == (8, 100)
    assert (found["purchase_days"], found["orders_count"]) == (2, 3)
    assert (found["net_spend"], found["average_basket"]) == (45.0, 22.5)
    assert found["last_basket_over_average"] == 30 / 30


@pytest.mark.parametrize(("days_ago", "inside"), [(7, 1), (8, 0)])
def test_a_window_includes_its_oldest_day(open_shop, days_ago, inside):
    found = features(open_shop, order(200, 5.0), order(days_ago, 12.0))
    assert found["purchase_days_7d"] == inside
    assert found["net_spend_7d"] == 12.0 * inside
    assert found["purchase_days_365d"] == 2


def test_a_purchase_counts_half_after_each_half_life(open_shop):
    """Half-lives of 14, 42 and 112 days for a horizon of 28; the spend is winsorised at itself."""
    found = features(open_shop, order(84, 10.0))
    halved = (2**-6, 2**-2, 2**-0.75)
    speeds = ("short", "medium", "long")
    for speed, share in zip(speeds, halved, strict=True):
        assert found[f"decayed_days_{speed}"] == pytest.approx(share)
        assert found[f"decayed_spend_{speed}"] == pytest.approx(10 * share)


def test_the_reference_of_a_decline_is_three_horizons(open_shop):
    found = features(open_shop, order(85, 1.0), order(84, 10.0), order(2, 100.0), order(1, -4.0))
    assert found["net_spend_three_horizons"] == 106.0


def test_without_a_purchase_there_are_no_ages_or_baskets_but_counts_of_zero(open_shop):
    found = features(open_shop, order(9, -5.0))
    for name in ("recency_days", "tenure_days", "average_basket", "last_basket_over_average"):
        assert found[name] is None
    assert (found["purchase_days"], found["orders_count"], found["net_spend"]) == (0, 0, -5.0)
