"""Discounts: their share of the full price, and when they were last taken."""

import pytest
from anna import features_of, order

from churn.features.catalogue import CATALOGUE

features = features_of("discount")


def test_a_discount_is_measured_against_what_the_purchases_would_have_cost(open_shop):
    """100 at full price long ago; lately 60 paid with 20 off, and 20 paid in full."""
    found = features(
        open_shop,
        order(200, 100.0, discount="0"),
        order(40, 60.0, discount="20"),
        order(5, 20.0, discount="0"),
    )
    assert found == {
        "discount_share": pytest.approx(20 / 200),
        "discount_share_90d": pytest.approx(20 / 100),
        "discount_share_change": pytest.approx(0.1),
        "discounted_order_share": pytest.approx(1 / 3),
        "full_price_orders": 2,
        "last_discounted_purchase_days": 40,
    }


def test_the_window_includes_its_last_day(open_shop):
    edge = features(open_shop, order(90, 30.0, discount="10"))
    beyond = features(open_shop, order(91, 30.0, discount="10"))
    assert (edge["discount_share_90d"], beyond["discount_share_90d"]) == (0.25, None)
    assert beyond["discount_share_change"] is None


def test_two_orders_of_one_day_are_told_apart(open_shop):
    found = features(open_shop, order(3, discount="2"), order(3, discount="0"))
    assert (found["discounted_order_share"], found["full_price_orders"]) == (0.5, 1)


def test_an_unknown_discount_is_none_and_one_below_zero_too(open_shop):
    found = features(open_shop, order(9, discount=None), order(2, discount="-3"))
    assert (found["discount_share"], found["full_price_orders"]) == (0.0, 2)
    assert found["last_discounted_purchase_days"] is None


def test_the_discount_of_a_return_or_of_an_order_for_nothing_is_passed_over(open_shop):
    returned, free = order(2, -10.0, discount="5"), order(2, 0.0, discount="5")
    found = features(open_shop, order(9, 10.0, discount="0"), returned, free)
    assert found["discount_share"] == 0.0
    assert features(open_shop, returned)["discount_share"] is None


def test_where_orders_carry_no_discount_there_is_no_such_feature(open_shop):
    assert features(open_shop, order(2)) == {}


def test_discounts_are_the_shops_own_doing():
    assert all(one.controlled for one in CATALOGUE.values() if one.family == "discount")
