"""Returns: their value, their days, and how long ago."""

from anna import features_of, order

features = features_of("returns")


def test_returns_are_counted_by_value_by_day_and_by_age(open_shop):
    """Of 200 bought, 20 came back on one day long ago and 30 on another lately, in two parcels."""
    found = features(
        open_shop,
        order(300, 120.0),
        order(120, -20.0),
        order(60, 80.0),
        order(50, -10.0),
        order(50, -20.0),
    )
    assert found == {
        "return_share": 0.25,
        "returned_90d": 30.0,
        "return_days": 2,
        "last_return_days": 50,
    }


def test_who_returned_nothing_has_zeros_and_no_age(open_shop):
    found = features(open_shop, order(5, 10.0), order(4, 0.0))
    assert found == {
        "return_share": 0.0,
        "returned_90d": 0.0,
        "return_days": 0,
        "last_return_days": None,
    }


def test_who_only_returned_has_no_share(open_shop):
    found = features(open_shop, order(90, -10.0))
    assert (found["return_share"], found["returned_90d"], found["return_days"]) == (None, 10.0, 1)


def test_a_return_on_the_day_of_a_purchase_counts_although_the_day_brought_money(open_shop):
    found = features(open_shop, order(7, 40.0), order(7, -10.0))
    assert found["return_share"] == 0.25
    assert (found["return_days"], found["last_return_days"]) == (1, 7)
