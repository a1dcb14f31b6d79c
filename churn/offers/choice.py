"""Choice of offers within all limits: after exploration, the rest goes where its value is
highest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from churn.arrays import Bools, Floats, Ints
from churn.offers.allocation.allocate import allocate
from churn.offers.allocation.knapsack import NOTHING, checked_worth
from churn.offers.allocation.problem import Limits, Problem
from churn.offers.arms import CONTROL, HOLDOUT, TREATMENT

if TYPE_CHECKING:
    from churn.offers.allocation.allocate import Allocation
    from churn.offers.arms import Arms
    from churn.offers.effects import Worth
    from churn.offers.groups import PlanLimits


@dataclass(frozen=True)
class Decided:
    """The choice of each customer, the choice without arms, and the allocation behind it.

    `priced` is what each customer would get at the prices of the allocation, whatever the arm.
    Offers are chosen by `ranked`; `value` is what they are expected to earn. `left` is what
    exploration leaves of the plan's `limits`.
    """

    choice: Ints
    intended: Ints
    priced: Ints
    crowded_out: Bools
    allocation: Allocation
    ranked: Floats
    value: Floats
    cost: Floats
    limits: PlanLimits
    left: Limits


def decide(
    worth: Worth,
    permitted: Bools,
    arms: Arms,
    limits: PlanLimits,
    *,
    ties: Floats,
) -> Decided:
    """Offers for treated customers, within the limits that remain after exploration."""
    ranked = np.where(permitted, worth.ranked, np.nan)
    treated = arms.is_in(TREATMENT)
    left = limits.after(arms.drawn, worth.cost, payable=treated & (ranked > 0).any(axis=1))
    allocation = allocate(np.where(treated[:, None], ranked, np.nan), worth.cost, left, ties=ties)
    everyone = Problem(*checked_worth(ranked, worth.cost, left.budget), left)
    priced = everyone.respond(allocation.prices)
    intended = np.where(treated, allocation.choice, priced)
    choice = np.where(treated, allocation.choice, arms.drawn)
    return Decided(
        choice=np.where(arms.is_in(HOLDOUT, CONTROL), NOTHING, choice),
        intended=intended,
        priced=priced,
        crowded_out=_crowded_out(everyone, allocation) & treated,
        allocation=allocation,
        ranked=ranked,
        value=worth.value,
        cost=worth.cost,
        limits=limits,
        left=left,
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
