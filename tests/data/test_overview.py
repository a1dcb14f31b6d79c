"""The figures of the orders are those that one adds up by hand, on every engine."""

from datetime import datetime

import pytest

from churn.data.days import as_date
from churn.data.overview import overview


def order(who: str, when: str, amount: float, **more: object) -> dict[str, object]:
    at = datetime.fromisoformat(f"{when}T12:00+00:00")
    return {"customer_id": who, "ordered_at": at, "amount": amount, **more}


ROWS = [
    order("ann", "2024-01-05", 20.0),
    order("ann", "2024-01-20", 30.0),
    order("ben", "2024-01-31", 50.0),
    order("ben", "2024-02-01", -50.0),
    order("cleo", "2024-03-10", 100.0),
    order("cleo", "2024-03-11", 0.0),
]


@pytest.mark.parametrize("engine", ["duckdb", "polars"])
def test_orders_customers_money_and_returns_stand_by_month_and_in_all(open_shop, engine):
    found = overview(open_shop(ROWS, engine=engine), as_of=as_date("2024-03-10"))
    by_month = {
        each.month: (each.orders, each.customers, each.revenue, each.mean_order, each.returns)
        for each in (*found.months, found.total)
    }
    assert by_month == {
        "2024-01": (3, 2, 100.0, 33.33, 0),
        "2024-02": (0, 0, -50.0, None, 1),
        "2024-03": (1, 1, 100.0, 100.0, 0),
        "all": (4, 3, 150.0, 50.0, 1),
    }
    assert (found.largest_share_of_orders, found.largest_share_of_revenue) == (0.5, 0.5)
    assert (str(found.first), str(found.last), found.after_as_of) == ("2024-01-05", "2024-03-11", 2)


def test_months_before_the_last_24_are_one_line(open_shop):
    rows = [
        order("ann", f"{2019 + number // 12}-{number % 12 + 1:02d}-03", 1.0) for number in range(60)
    ]
    months = overview(open_shop(rows)).months
    assert [each.month for each in months[:2]] == ["earlier", "2022-01"]
    assert (len(months), months[0].orders, months[-1].month) == (25, 36, "2023-12")


def test_only_the_last_version_of_an_order_counts(open_shop):
    def loaded(day: int) -> datetime:
        return datetime.fromisoformat(f"2024-02-{day:02d}T12:00+00:00")

    rows = [
        order("ann", "2024-01-05", 20.0, order_id="1", loaded_at=loaded(1)),
        order("ann", "2024-01-05", 25.0, order_id="1", loaded_at=loaded(2)),
    ]
    assert overview(open_shop(rows)).total.revenue == 25.0


def test_without_orders_there_is_nothing_to_see(open_shop):
    assert overview(open_shop([])) is None
