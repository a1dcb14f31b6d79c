"""Allocation of offers within all limits: shadow prices, a plan at these prices, and its bound."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from churn.arrays import Floats, Ints
from churn.offers.allocation.dual import lowest_dual
from churn.offers.allocation.knapsack import assign, checked_worth, picked
from churn.offers.allocation.local_search import improved
from churn.offers.allocation.problem import Limits, Problem
from churn.offers.allocation.rounding import filled, within_limits


@dataclass(frozen=True)
class Allocation:
    """The choice of each customer and the totals.

    `choice` holds the offer's column, or -1 for nothing. `lambda_` is the value of one more unit of
    budget, `offer_prices` that of one more place of each offer, `group_prices` that of one more
    customer of each group (below 0 where a floor binds). No plan within the limits is worth more
    than `upper_bound`. `unmet` counts the customers that each group's floor lacks; `prices` holds
    the price of every limit in the row of `Problem.bounds`.
    """

    choice: Ints
    lambda_: float
    offer_prices: Floats
    group_prices: Floats
    value: float
    cost: float
    upper_bound: float
    unmet: Ints
    prices: Floats


def allocate(
    value: Floats, cost: Floats, limits: Limits, *, ties: Floats | None = None
) -> Allocation:
    """The best offer or nothing for each of n customers within the limits.

    `value` and `cost` are n customers x m offers; an entry that is not finite is not allowed, and
    one of value <= 0 is never chosen, even to meet a group's floor. Ties are served in ascending
    order of `ties` (n numbers, by default the row).

    >>> value, cost = np.array([[3.0, 5.0], [2.0, 2.5]]), np.array([[1.0, 4.0]] * 2)
    >>> plan = allocate(value, cost, Limits(capacity=np.array([np.inf, 1.0])))
    >>> plan.choice.tolist(), plan.value
    ([1, 0], 7.0)
    """
    value, cost = checked_worth(value, cost, limits.budget)
    problem = Problem(value, cost, limits)
    order = np.arange(len(value)) if ties is None else np.argsort(ties, kind="stable")
    solve = _within_budget if limits.is_budget_alone else _within_limits
    in_order, prices, bound = solve(problem.part(order))
    choice = np.empty(len(value), dtype=np.int64)
    choice[order] = in_order
    return _totals(problem, choice, prices, bound)


def _within_limits(problem: Problem) -> tuple[Ints, Floats, float]:
    prices, bound = lowest_dual(problem)
    choice = within_limits(problem, problem.respond(prices), prices)
    return improved(problem, filled(problem, choice, prices), prices), prices, bound


def _within_budget(problem: Problem) -> tuple[Ints, Floats, float]:
    """The faster solver for a budget without other limits."""
    found = assign(problem.value, problem.cost, budget=problem.limits.budget)
    prices = np.r_[found.lambda_, np.zeros(len(problem.bounds) - 1)]
    choice = found.choice if found.lambda_ == 0 else improved(problem, found.choice, prices)
    return choice, prices, found.upper_bound


def _totals(problem: Problem, choice: Ints, prices: Floats, bound: float) -> Allocation:
    worth = float(picked(problem.value, choice).sum())
    cap, floor = np.split(prices[1 + problem.offers :], 2)
    served = problem.usage(choice)[1 + problem.offers :][: problem.groups]
    return Allocation(
        choice=choice,
        lambda_=float(prices[0]),
        offer_prices=prices[1 : 1 + problem.offers],
        group_prices=cap - floor,
        value=worth,
        cost=float(picked(problem.cost, choice).sum()),
        upper_bound=max(worth, bound),
        unmet=np.maximum(problem.limits.least - served, 0.0).astype(np.int64),
        prices=prices,
    )
