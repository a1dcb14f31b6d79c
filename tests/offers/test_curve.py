"""The value curve: concave, rising, and the plan itself at its own budget."""

import numpy as np
import pytest

from churn.offers.allocation.allocate import allocate
from churn.offers.allocation.knapsack import NOTHING
from churn.offers.allocation.problem import Limits
from churn.offers.arms import Arms, Shares, draw_arms
from churn.offers.choice import serve
from churn.offers.exploration import equal_chances
from churn.offers.groups import PlanLimits
from churn.offers.totals import value_curve

UNLIMITED = np.full(3, np.inf)


def shop(customers):
    rng = np.random.default_rng(4)
    cost = np.broadcast_to(np.array([0.5, 1.0, 2.0]), (customers, 3))
    return rng.gamma(2, 1, (customers, 3)) - cost, cost


def curve(value, cost, budget, *, arms=None, spent=0.0, earned=0.0, explored=0):
    if arms is None:
        nobody = np.full(len(value), NOTHING)
        use, chances = (np.zeros(4), np.zeros(4)), equal_chances(value > 0)
        arms = Arms(nobody + 1, nobody, 0.0, Shares(holdout=0.0), *use, chances)
    ties = np.linspace(0, 1, len(value))
    limits = PlanLimits(budget, UNLIMITED)
    return value_curve(
        value, cost, arms, limits, spent=spent, earned=earned, explored=explored, ties=ties
    )


def test_more_budget_never_earns_less_and_each_unit_earns_less_than_the_one_before():
    points = curve(*shop(2_000), 400.0)
    spent = np.array([point["expected_cost"] for point in points])
    earned = np.array([point["expected_value"] for point in points])
    assert (np.diff(earned) >= 0).all()
    rates = np.diff(earned)[np.diff(spent) > 1] / np.diff(spent)[np.diff(spent) > 1]
    assert (np.diff(rates) <= 1e-9).all()
    assert [point["budget"] for point in points] == [0, 100, 200, 400, 800, 1600, None]


@pytest.mark.parametrize("shares", [Shares(), Shares(holdout=0.2, control=0.1, explore=0.1)])
def test_at_the_plans_own_budget_it_is_the_plan(shares):
    value, cost = shop(2_000)
    limits, ids = PlanLimits(400.0, UNLIMITED), [f"c{number}" for number in range(2_000)]
    arms = draw_arms(
        ids, equal_chances(value > 0), cost, shares, limits, campaign="c", occasion="o"
    )
    points = curve(value, cost, 400.0, arms=arms, spent=10.0, earned=-2.0, explored=7)
    here = next(point for point in points if point["budget"] == 400.0)
    plan = serve(value, cost, arms, limits, ties=np.linspace(0, 1, 2_000)).choice
    served = np.flatnonzero(plan != NOTHING)
    assert here["expected_value"] == pytest.approx(value[served, plan[served]].sum() - 2.0)
    assert here["expected_cost"] == pytest.approx(cost[served, plan[served]].sum() + 10.0)
    assert here["customers"] == len(served) + 7


def test_a_large_base_is_estimated_from_a_part_of_it():
    value, cost = shop(120_000)
    points = curve(value, cost, 20_000.0)
    here = next(point for point in points if point["budget"] == 20_000.0)
    plan = allocate(value, cost, Limits(budget=20_000.0))
    assert here["expected_value"] == pytest.approx(plan.value, rel=0.02)
    assert here["customers"] == pytest.approx((plan.choice != NOTHING).sum(), rel=0.02)


def test_without_a_budget_the_curve_leads_to_what_the_plan_spends():
    points = curve(*shop(500), np.inf)
    assert points[-1]["expected_cost"] == points[3]["budget"]
