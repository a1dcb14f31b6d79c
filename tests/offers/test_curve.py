"""The value curve: concave, rising, and the plan itself at its own budget."""

import numpy as np
import pytest

from churn.offers.allocation.allocate import allocate
from churn.offers.allocation.problem import Limits
from churn.offers.totals import value_curve


def shop(customers):
    rng = np.random.default_rng(4)
    cost = np.broadcast_to(np.array([0.5, 1.0, 2.0]), (customers, 3))
    return rng.gamma(2, 1, (customers, 3)) - cost, cost


def test_more_budget_never_earns_less_and_each_unit_earns_less_than_the_one_before():
    value, cost = shop(2_000)
    points = value_curve(value, value, cost, Limits(), budget=400.0, spent=0.0, earned=0.0)
    spent = np.array([point["expected_cost"] for point in points])
    earned = np.array([point["expected_value"] for point in points])
    assert (np.diff(earned) >= 0).all()
    rates = np.diff(earned)[np.diff(spent) > 1] / np.diff(spent)[np.diff(spent) > 1]
    assert (np.diff(rates) <= 1e-9).all()
    assert [point["budget"] for point in points] == [0, 100, 200, 400, 800, 1600, None]


def test_at_the_plans_own_budget_it_is_the_plan():
    value, cost = shop(2_000)
    limits = Limits(budget=390.0)
    points = value_curve(value, value, cost, limits, budget=400.0, spent=10.0, earned=-2.0)
    here = next(point for point in points if point["budget"] == 400.0)
    plan = allocate(value, cost, limits)
    assert here["expected_value"] == pytest.approx(plan.value - 2.0)
    assert here["expected_cost"] == pytest.approx(plan.cost + 10.0)


def test_a_large_base_is_estimated_from_a_part_of_it():
    value, cost = shop(120_000)
    points = value_curve(value, value, cost, Limits(), budget=20_000.0, spent=0.0, earned=0.0)
    here = next(point for point in points if point["budget"] == 20_000.0)
    plan = allocate(value, cost, Limits(budget=20_000.0))
    assert here["expected_value"] == pytest.approx(plan.value, rel=0.02)


def test_without_a_budget_the_curve_leads_to_what_the_plan_spends():
    value, cost = shop(500)
    points = value_curve(value, value, cost, Limits(), budget=np.inf, spent=0.0, earned=0.0)
    assert points[-1]["expected_cost"] == points[3]["budget"]
