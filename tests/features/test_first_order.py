"""The first purchase day: its basket, its discount, its channel, what followed."""

from anna import features_of, order

features = features_of("first_order")


def test_the_first_basket_is_held_against_the_average_one(open_shop):
    """30 on the first day in two orders, then 10 and 20: half as much again as the average."""
    found = features(open_shop, order(90, 10.0), order(90, 20.0), order(60, 10.0), order(20, 20.0))
    assert found == {"first_basket_over_average": 1.5, "first_gap_days": 30}


def test_who_came_once_has_an_average_basket_and_no_second_day(open_shop):
    found = features(open_shop, order(90, 10.0), order(50, -10.0))
    assert found == {"first_basket_over_average": 1.0, "first_gap_days": None}


def test_who_never_bought_has_no_first_day(open_shop):
    found = features(open_shop, order(50, -10.0, discount="1", channel="web"))
    assert found == dict.fromkeys(found)
    assert len(found) == 4


def test_a_return_before_the_first_purchase_is_no_beginning(open_shop):
    found = features(open_shop, order(99, -10.0), order(50, 30.0), order(30, 10.0))
    assert found == {"first_basket_over_average": 1.5, "first_gap_days": 20}


def test_the_first_discount_is_that_of_the_first_day_alone(open_shop):
    rows = (order(90, 30.0, discount="10"), order(20, 10.0, discount="90"))
    assert features(open_shop, *rows)["first_discount_share"] == 0.25
    later = features(open_shop, order(90, 30.0, discount=None), rows[1])
    assert later["first_discount_share"] == 0.0


def test_a_channel_is_the_share_of_customers_who_began_in_it(open_shop):
    """Anna began on the web, as did Ben and Cleo; Dora in the app; of Emil it is not known."""
    others = [
        order(40, channel=channel) | {"customer_id": name}
        for name, channel in (("ben", "web"), ("cleo", "web"), ("dora", "app"), ("emil", None))
    ]
    anna = (order(90, channel="web"), order(20, channel="app"))
    assert features(open_shop, *anna, *others)["first_channel_share"] == 0.75
    unknown = (order(90, channel=None), order(20, channel="app"))
    assert features(open_shop, *unknown, *others)["first_channel_share"] is None


def test_of_two_channels_on_the_first_day_the_first_by_name_counts(open_shop):
    ben = order(9, channel="app") | {"customer_id": "ben"}
    rows = (order(90, channel="web"), order(90, channel="app"), ben)
    assert features(open_shop, *rows)["first_channel_share"] == 1.0


def test_the_channel_of_a_return_says_nothing(open_shop):
    ben = order(9, channel="web") | {"customer_id": "ben"}
    rows = (order(90, -5.0, channel="app"), order(90, 5.0, channel="web"), ben)
    assert features(open_shop, *rows)["first_channel_share"] == 1.0


def test_without_discounts_and_channels_there_are_no_such_features(open_shop):
    assert set(features(open_shop, order(3))) == {"first_basket_over_average", "first_gap_days"}
