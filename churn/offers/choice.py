"""Choice of offers within all limits: after exploration, the rest goes where its value is
highest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from churn.arrays import Bools, Floats, Ints
from churn.offers.allocation.allocate import allocate
from churn.offers.allocation.knapsack import NOTHING, checked_worth, picked
from churn.offers.allocation.problem import Limits, Problem
from churn.offers.arms import CONTROL, HOLDOUT, TREATMENT

if TYPE_CHECKING:
    from churn.offers.allocation.allocate import Allocation
    from churn.offers.arms import Arms
    from churn.offers.effects import Worth
    from churn.offers.groups import Groups


ROUNDING = 1e-12  # relative to the remaining budget: a remainder of summation


@dataclass(frozen=True)
class Decided:
    """The choice of each customer, the choice without arms, and the allocation behind it."""

    choice: Ints
    intended: Ints
    crowded_out: Bools
    allocation: Allocation
    value: Floats
    cost: Floats
    limits: Limits
    budget: float


def decide(
    worth: Worth,
    permitted: Bools,
    arms: Arms,
    *,
    budget: float,
    capacity: Floats,
    groups: Groups | None,
    ties: Floats,
) -> Decided:
    """Offers for treated customers, within the limits that remain after exploration."""
    ranked = np.where(permitted, worth.ranked, np.nan)
    limits = _limits(ranked, worth.cost, arms, budget=budget, capacity=capacity, groups=groups)
    treated = arms.is_in(TREATMENT)
    allocation = allocate(np.where(treated[:, None], ranked, np.nan), worth.cost, limits, ties=ties)
    everyone = Problem(*checked_worth(ranked, worth.cost, limits.budget), limits)
    intended = np.where(treated, allocation.choice, everyone.respond(allocation.prices))
    choice = np.where(treated, allocation.choice, arms.drawn)
    return Decided(
        choice=np.where(arms.is_in(HOLDOUT, CONTROL), NOTHING, choice),
        intended=intended,
        crowded_out=_crowded_out(everyone, allocation) & treated,
        allocation=allocation,
        value=ranked,
        cost=worth.cost,
        limits=limits,
        budget=budget,
    )


def _crowded_out(problem: Problem, allocation: Allocation) -> Bools:
    """Customers without an offer due to capacity, not budget: at the budget's price they would get
    one.
    """
    prices = allocation.prices.copy()
    if not prices[1:].any():
        return np.zeros(len(allocation.choice), dtype=bool)
    prices[1:] = 0.0
    wanted = problem.respond(prices) != NOTHING
    return np.asarray(wanted & (allocation.choice == NOTHING))


def _limits(
    ranked: Floats,
    cost: Floats,
    arms: Arms,
    *,
    budget: float,
    capacity: Floats,
    groups: Groups | None,
) -> Limits:
    """The budget, capacities and group caps that remain after exploration."""
    explored = arms.drawn != NOTHING
    spent = float(picked(cost, arms.drawn).sum())
    given = np.bincount(arms.drawn[explored], minlength=len(capacity))
    money = max((budget - spent) * (1 - ROUNDING), 0.0) if spent else budget
    places = np.maximum(capacity - given, 0.0)
    if groups is None:
        return Limits(budget=money, capacity=places)
    payable = arms.is_in(TREATMENT) & (ranked > 0).any(axis=1)
    most = groups.most(groups.counts(explored))
    least = np.minimum(np.maximum(groups.least(payable) - groups.counts(explored), 0.0), most)
    return Limits(budget=money, capacity=places, group=groups.code, most=most, least=least)
