"""Offers within a budget, capacities, caps and floors, against an exact solver and their bound."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import Bounds, LinearConstraint, milp

from churn.offers.allocation.allocate import allocate
from churn.offers.allocation.knapsack import NOTHING
from churn.offers.allocation.problem import Limits

# Money: nothing costs less than a thousandth, unless it is free.
values = st.floats(-10, 10) | st.sampled_from([np.nan, 0.0, 1.0, 2.0])
costs = st.floats(1e-3, 5) | st.sampled_from([0.0, 1.0, 0.1])


@st.composite
def problems(draw):
    """Up to 12 customers, 3 offers and 2 groups, with any of the limits."""
    rows, offers = draw(st.integers(1, 12)), draw(st.integers(1, 3))
    places = st.integers(0, 12).map(float) | st.just(np.inf)
    members = arrays(np.int64, rows, elements=st.integers(-1, 1))
    limits = Limits(
        budget=draw(st.floats(0, 20) | st.just(np.inf)),
        capacity=np.array([draw(places) for _ in range(offers)]),
        group=draw(members),
        most=np.array([draw(places) for _ in range(2)]),
        least=np.zeros(2),
    )
    shape = (rows, offers)
    return (
        draw(arrays(float, shape, elements=values)),
        draw(arrays(float, shape, elements=costs)),
        limits,
    )


@given(problems())
@settings(max_examples=150, deadline=None)
def test_no_limit_is_ever_passed_and_no_worthless_offer_picked(problem):
    value, cost, limits = problem
    found = allocate(value, cost, limits)
    rows = np.flatnonzero(found.choice != NOTHING)
    assert (value[rows, found.choice[rows]] > 0).all()
    assert found.cost <= limits.budget
    counts = np.bincount(found.choice[rows], minlength=value.shape[1])
    assert (counts <= limits.capacity).all()
    for group, most in enumerate(limits.most):
        assert np.sum(limits.group[rows] == group) <= most


@given(problems())
@settings(max_examples=150, deadline=None)
def test_the_exact_optimum_lies_between_the_value_and_the_bound(problem):
    value, cost, limits = problem
    found = allocate(value, cost, limits)
    best = exact(value, cost, limits)
    assert found.value <= best + 1e-6
    assert best <= found.upper_bound + 1e-5 * max(1.0, best)


@pytest.mark.parametrize("seed", range(12))
def test_the_value_is_short_of_the_optimum_by_less_than_one_offer(seed):
    value, cost, limits = shop(seed, customers=300)
    found = allocate(value, cost, limits)
    best = exact(value, cost, limits)
    assert best - found.value <= np.nanmax(value)
    assert found.value >= 0.995 * best
    assert (found.unmet == 0).all()


def test_with_costs_per_offer_the_gap_at_100_000_customers_is_below_a_hundred_thousandth():
    value, cost, limits = shop(1, customers=100_000)
    found = allocate(value, cost, limits)
    assert 0 <= found.upper_bound - found.value <= 1e-5 * found.upper_bound
    alone = allocate(value, cost, Limits(budget=limits.budget))
    assert 0 <= alone.upper_bound - alone.value <= 1e-6 * alone.upper_bound


def test_a_floor_is_met_by_those_for_whom_an_offer_costs_least():
    value = np.array([[5.0], [4.0], [0.5], [0.4]])
    limits = Limits(
        budget=2.0,
        capacity=np.array([np.inf]),
        group=np.array([0, 0, 1, 1]),
        most=np.array([np.inf, np.inf]),
        least=np.array([0.0, 1.0]),
    )
    assert allocate(value, np.ones((4, 1)), limits).choice.tolist() == [0, NOTHING, 0, NOTHING]


def test_a_floor_never_makes_an_offer_that_does_not_pay_and_what_it_lacks_is_said():
    limits = Limits(
        capacity=np.array([np.inf]),
        group=np.array([0, 0, 1]),
        most=np.array([np.inf, np.inf]),
        least=np.array([2.0, 0.0]),
    )
    found = allocate(np.array([[1.0], [-1.0], [1.0]]), np.ones((3, 1)), limits)
    assert found.choice.tolist() == [0, NOTHING, 0]
    assert found.unmet.tolist() == [1, 0]


@pytest.mark.parametrize("limits", [Limits(capacity=np.array([1.0])), Limits(budget=1.0)])
def test_customers_alike_are_served_in_the_order_of_their_ties(limits):
    ties = np.array([0.9, 0.1, 0.5])
    found = allocate(np.ones((3, 1)), np.ones((3, 1)), limits, ties=ties)
    assert found.choice.tolist() == [NOTHING, 0, NOTHING]


def test_the_price_of_a_place_is_what_one_more_would_earn():
    value, cost, limits = shop(3, customers=30_000)
    alone = Limits(capacity=limits.capacity)
    found = allocate(value, cost, alone)
    place = int(np.argmax(found.offer_prices))
    more = limits.capacity + 40 * (np.arange(value.shape[1]) == place)
    gain = allocate(value, cost, Limits(capacity=more)).value - found.value
    assert gain / 40 == pytest.approx(found.offer_prices[place], rel=0.05)


def test_no_customers_get_nothing():
    found = allocate(np.empty((0, 2)), np.empty((0, 2)), Limits(capacity=np.array([1.0, 1.0])))
    assert (len(found.choice), found.value, found.upper_bound) == (0, 0.0, 0.0)


def shop(seed, *, customers):
    """Customers with a margin at stake, four offers of one cost each, every kind of limit."""
    rng = np.random.default_rng(seed)
    stake, risk = rng.gamma(2, 40, customers), rng.beta(1, 4, customers)
    price = rng.uniform(0.2, 2.0, 4)
    gain = stake[:, None] * (risk * (1 - risk))[:, None] * rng.uniform(0.05, 0.6, (customers, 4))
    value = np.where(rng.random((customers, 4)) < 0.1, np.nan, gain - price)
    cost = np.broadcast_to(price, value.shape)
    free = allocate(value, cost, Limits())
    counts = np.bincount(free.choice + 1, minlength=5)[1:]
    group = rng.integers(0, 3, customers)
    served = np.bincount(group[free.choice != NOTHING], minlength=3)
    limits = Limits(
        budget=0.5 * free.cost,
        capacity=np.floor(counts * 0.6),
        group=group,
        most=np.array([np.floor(0.2 * served[0]), np.inf, np.inf]),
        least=np.array([0.0, np.ceil(0.45 * served[1]), 0.0]),
    )
    return value, cost, limits


def exact(value, cost, limits):
    """The value of the best plan, by HiGHS."""
    rows, offers = value.shape
    worth, size = np.nan_to_num(value, nan=-1.0).ravel(), rows * offers
    upper = (worth > 0).astype(float)
    customer = np.repeat(np.arange(rows), offers)
    offer = np.tile(np.arange(offers), rows)
    constraints = [LinearConstraint(rows_of(customer, rows), ub=1)]
    constraints += [LinearConstraint(rows_of(offer, offers), ub=limits.capacity)]
    if np.isfinite(limits.budget):
        constraints += [LinearConstraint(cost.reshape(1, size), ub=limits.budget)]
    if len(limits.most):
        member = rows_of(limits.group[customer], len(limits.most))
        constraints += [LinearConstraint(member, lb=limits.least, ub=limits.most)]
    found = milp(
        -worth, constraints=constraints, bounds=Bounds(0, upper), integrality=np.ones(size)
    )
    return -found.fun


def rows_of(code, count):
    return (code[None, :] == np.arange(count)[:, None]).astype(float)
