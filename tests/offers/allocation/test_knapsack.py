from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import Bounds, LinearConstraint, milp

from churn.errors import ConfigError
from churn.offers.allocation.knapsack import NOTHING, Assignment, assign

shapes = st.tuples(st.integers(0, 12), st.integers(1, 4))
entries = st.floats(-10, 10) | st.sampled_from([np.nan, -np.inf, 0.0, 1.0, 2.0])
# Money: nothing costs less than a millionth, unless it is free.
costs = st.floats(1e-6, 5) | st.sampled_from([0.0, 1.0, 0.1])
problems = shapes.flatmap(
    lambda shape: st.tuples(
        arrays(float, shape, elements=entries), arrays(float, shape, elements=costs)
    )
)
budgets = st.floats(0, 30) | st.sampled_from([0.0, 1.0, np.inf])


@given(problems, budgets)
@settings(max_examples=300)
def test_the_budget_is_never_exceeded_and_no_worthless_offer_picked(problem, budget):
    value, cost = problem
    found = assign(value, cost, budget=budget)
    rows = np.flatnonzero(found.choice != NOTHING)
    assert found.cost <= budget
    assert found.cost == pytest.approx(cost[rows, found.choice[rows]].sum())
    assert found.value == pytest.approx(value[rows, found.choice[rows]].sum())
    assert (value[rows, found.choice[rows]] > 0).all()


@given(problems, budgets)
@settings(max_examples=300)
def test_the_value_is_short_of_its_upper_bound_by_at_most_one_offer(problem, budget):
    value, cost = problem
    found = assign(value, cost, budget=budget)
    largest = max([0.0, *value[value > 0]])
    assert found.value <= found.upper_bound <= found.value + largest + 1e-9


@given(problems)
def test_an_unlimited_budget_buys_every_rows_best_offer(problem):
    value, cost = problem
    found = assign(value, cost, budget=np.inf)
    best = np.nan_to_num(value, nan=0.0, neginf=0.0).clip(min=0).max(axis=1, initial=0.0)
    assert found.value == found.upper_bound == pytest.approx(best.sum())
    assert found.lambda_ == 0


@given(problems, budgets)
def test_a_larger_budget_never_lowers_the_upper_bound(problem, budget):
    value, cost = problem
    less, more = assign(value, cost, budget=budget), assign(value, cost, budget=budget + 1)
    assert more.upper_bound >= less.upper_bound - 1e-9


@pytest.mark.parametrize("seed", range(40))
def test_small_problems_come_within_one_offer_of_the_best_of_all_plans(seed):
    value, cost, budget = _problem(seed, customers=5, offers=2)
    found = assign(value, cost, budget=budget)
    best = _best_of_all(value, cost, budget)
    assert found.value <= best + 1e-9 <= found.upper_bound + 2e-9
    assert best - found.value <= value.max()


@pytest.mark.parametrize("seed", range(8))
def test_larger_problems_come_within_a_thousandth_of_the_exact_solver(seed):
    value, cost, budget = _problem(seed, customers=400, offers=4)
    found = assign(value, cost, budget=budget)
    exact = _exact(value, cost, budget)
    assert exact * 0.999 <= found.value <= exact * (1 + 1e-6)
    assert found.upper_bound >= exact * (1 - 1e-6)


def test_lambda_is_what_one_more_unit_of_budget_earns():
    value, cost, budget = _problem(1, customers=20_000, offers=3)
    here, more = (assign(value, cost, budget=b) for b in (budget, budget + 50))
    assert here.lambda_ == pytest.approx((more.value - here.value) / 50, rel=0.02)


def test_equal_customers_share_the_budget_until_it_is_spent():
    found = assign(np.ones((10, 1)), np.full((10, 1), 2.0), budget=7)
    assert found == _same(found, value=3.0, cost=6.0, lambda_=0.5, upper_bound=3.5)


def test_what_is_left_goes_to_a_smaller_offer_that_still_fits():
    value, cost = np.array([[10.0], [9.0], [1.0]]), np.array([[6.0], [6.0], [3.0]])
    assert assign(value, cost, budget=9).choice.tolist() == [0, NOTHING, 0]


def test_free_offers_are_made_without_any_budget():
    found = assign(np.array([[1.0, 5.0]]), np.array([[0.0, 1.0]]), budget=0)
    assert found.choice.tolist() == [0]


def test_offers_that_are_not_finite_are_not_allowed():
    value, cost = np.array([[np.nan, -np.inf, 9.0, 1.0]]), np.array([[1.0, 1.0, np.nan, 1.0]])
    assert assign(value, cost, budget=9).choice.tolist() == [3]


def test_costs_of_very_different_size_do_not_disturb_the_price():
    value, cost = np.array([[1.0], [1.0], [1.0]]), np.array([[1e-300], [1.0], [2.0]])
    assert assign(value, cost, budget=1.5).choice.tolist() == [0, 0, NOTHING]


@pytest.mark.parametrize("budget", [-1.0, np.nan])
def test_a_budget_below_zero_is_refused(budget):
    with pytest.raises(ConfigError, match=r"budget must be >= 0.*Pass e\.g\. 500"):
        assign(np.ones((1, 1)), np.ones((1, 1)), budget=budget)


def test_a_negative_cost_is_refused():
    with pytest.raises(ConfigError, match="Put gains into value"):
        assign(np.ones((1, 1)), -np.ones((1, 1)), budget=1)


def test_matrices_of_different_shape_are_refused():
    with pytest.raises(ConfigError, match="one column per offer in both"):
        assign(np.ones((2, 1)), np.ones((1, 2)), budget=1)


def _problem(seed, *, customers, offers):
    rng = np.random.default_rng(seed)
    value = rng.normal(1, 2, (customers, offers))
    cost = rng.choice([0.5, 1.0, 2.0, 3.0], (customers, offers)) * rng.uniform(0.9, 1.1)
    return value, cost, 0.2 * cost.sum() / offers


def _best_of_all(value, cost, budget):
    """The value of the best plan, by trying each."""
    value = np.column_stack([np.zeros(len(value)), value])
    cost = np.column_stack([np.zeros(len(cost)), cost])
    rows = np.arange(len(value))
    plans = (list(plan) for plan in product(range(value.shape[1]), repeat=len(value)))
    return max(value[rows, plan].sum() for plan in plans if cost[rows, plan].sum() <= budget)


def _exact(value, cost, budget):
    """The value of the best plan, by HiGHS."""
    customers, offers = value.shape
    one_each = np.kron(np.eye(customers), np.ones(offers))
    found = milp(
        -value.ravel(),
        integrality=np.ones(value.size),
        bounds=Bounds(0, 1),
        constraints=[
            LinearConstraint(one_each, ub=1),
            LinearConstraint(cost.ravel()[None, :], ub=budget),
        ],
        options={"mip_rel_gap": 1e-7, "time_limit": 10},
    )
    return -found.fun


def _same(found, **totals):
    return Assignment(choice=found.choice, **totals)
