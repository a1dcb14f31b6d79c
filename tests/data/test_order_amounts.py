"""What an order of each customer comes to is told by what was known, and by purchases alone."""

from datetime import UTC, date, datetime

from churn.data.people import mean_order_amounts


def order(customer, day, amount, **more):
    return {
        "customer_id": customer,
        "ordered_at": datetime(2024, 1, day, tzinfo=UTC),
        "amount": amount,
    } | more


def amounts(tables, when):
    found = mean_order_amounts(tables.as_of(when))
    return dict(zip(*found.to_pydict().values(), strict=True))


def test_returns_and_what_comes_later_say_nothing(open_shop):
    rows = [order("a", 1, 10.0), order("a", 2, 30.0), order("a", 3, -30.0), order("a", 9, 99.0)]
    assert amounts(open_shop([*rows, order("b", 3, -5.0)]), date(2024, 1, 9)) == {"a": 20.0}


def test_the_version_of_an_order_that_was_known_then_counts(open_shop):
    versions = [
        order("a", 1, 10.0, order_id="o", loaded_at=datetime(2024, 1, 2, tzinfo=UTC)),
        order("a", 1, 50.0, order_id="o", loaded_at=datetime(2024, 1, 8, tzinfo=UTC)),
    ]
    tables = open_shop(versions, columns=["order_id"])
    assert amounts(tables, date(2024, 1, 5)) == {"a": 10.0}
    assert amounts(tables, date(2024, 1, 9)) == {"a": 50.0}
