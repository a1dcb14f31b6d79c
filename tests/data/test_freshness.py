"""How old the newest orders may be, by the shop's own gaps."""

from datetime import date, timedelta

import numpy as np
import pytest

from churn.data.calendar import OrderDays
from churn.data.days import day_number
from churn.data.freshness import freshness, usual_gap_days

FIRST = date(2023, 1, 2)  # a Monday


def order_days(open_on=range(7), days=400, closed=()):
    there = [
        day_number(FIRST) + day for day in range(days) if day % 7 in open_on and day not in closed
    ]
    return OrderDays(np.array(there), np.ones(len(there), dtype=np.int64))


def fresh(days, late, **limits):
    end = FIRST + timedelta(days=400 + late)
    both = {"warn_after_days": "auto", "error_after_days": "auto"} | limits
    return freshness(days, end, **both)


@pytest.mark.parametrize(
    ("late", "is_late", "is_stale"),
    [(0, False, False), (1, False, False), (2, True, False), (3, True, False), (4, True, True)],
)
def test_a_shop_open_daily_is_late_from_two_days_on_and_stale_from_four(late, is_late, is_stale):
    found = fresh(order_days(), late)
    assert (found.quiet_days, found.is_late, found.is_stale) == (late, is_late, is_stale)


def test_a_shop_closed_on_weekends_has_weekends():
    assert usual_gap_days(order_days(range(5)), FIRST + timedelta(days=400)) == 2


def test_a_shop_that_closes_for_a_week_may_be_silent_for_a_week():
    days = order_days(closed=range(200, 207))
    assert not fresh(days, 7).is_stale
    assert fresh(days, 8).is_stale


def test_limits_that_are_set_apply():
    assert fresh(order_days(), 1, error_after_days=0).is_stale
    assert not fresh(order_days(), 30, error_after_days=30, warn_after_days=30).is_late


def test_no_orders_are_stale():
    empty = OrderDays(np.array([], dtype=np.int64), np.array([], dtype=np.int64))
    found = fresh(empty, 0)
    assert found.is_stale
    assert found.sentence() == "There are no orders."
