"""Choice of offers within all limits: after exploration, the rest goes where its value is highest.

The plan chooses for everyone, before it is known who is held out, in the control group or
exploring, and within limits that the draws cannot reach. So what it intends for a customer does not
depend on the draws, and the propensities are exact. What the draws leave of the limits is given to
spare customers, the next in value. Whether one of them gets an offer depends on the draws of all
the others, so spare customers count as not randomised.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from churn.arrays import Bools, Floats, Ints
from churn.offers.allocation.allocate import allocate
from churn.offers.allocation.knapsack import NOTHING, checked_worth
from churn.offers.allocation.problem import Limits, Problem
from churn.offers.arms import SURE, TREATMENT

if TYPE_CHECKING:
    from churn.offers.allocation.allocate import Allocation
    from churn.offers.arms import Arms
    from churn.offers.effects import Worth
    from churn.offers.groups import PlanLimits


@dataclass(frozen=True)
class Decided:
    """The choice of each customer, what was intended without arms, and the allocation behind it.

    `spare` are customers who get an offer if the draws leave something of the limits. `value` is
    what each permitted offer is expected to earn, NaN for others; `ties` are served in ascending
    order. `unmet` counts the customers that each group's floor lacks.
    """

    choice: Ints
    intended: Ints
    spare: Bools
    crowded_out: Bools
    allocation: Allocation
    value: Floats
    cost: Floats
    ties: Floats
    limits: PlanLimits
    unmet: Ints


def decide(
    worth: Worth, permitted: Bools, arms: Arms, limits: PlanLimits, *, ties: Floats
) -> Decided:
    """Offers for treated customers, within the limits that remain after exploration."""
    value = np.where(permitted, worth.value, np.nan)
    served = serve(value, worth.cost, arms, limits, ties=ties)
    treated = arms.is_in(TREATMENT)
    choice = np.where(treated, served.choice, arms.drawn)
    everyone = Problem(*checked_worth(value, worth.cost, served.sure.budget), served.sure)
    return Decided(
        choice=choice,
        intended=np.where(served.spare, choice, served.allocation.choice),
        spare=served.spare,
        crowded_out=_crowded_out(everyone, served.allocation) & treated & (choice == NOTHING),
        allocation=served.allocation,
        value=value,
        cost=worth.cost,
        ties=ties,
        limits=limits,
        unmet=_unmet(served.left, served.choice),
    )


@dataclass(frozen=True)
class Served:
    """The choice for treated customers; the allocation for everyone, within limits that the draws
    cannot reach (`sure`); the spare customers; and what exploration leaves of the limits.
    """

    choice: Ints
    allocation: Allocation
    spare: Bools
    sure: Limits
    left: Limits


def serve(value: Floats, cost: Floats, arms: Arms, limits: PlanLimits, *, ties: Floats) -> Served:
    """Intended offers to everyone, given to treated customers, and spare ones while limits last.

    `value` and `cost` are n customers x m offers, the value NaN where an offer is not permitted.
    """
    treated = arms.is_in(TREATMENT)
    payable = np.asarray((value > 0).any(axis=1))
    left = limits.after(arms.drawn, cost, payable=treated & payable)
    sure, possible = _beyond_chance(value, cost, arms, limits, payable)
    allocation = allocate(value, cost, sure, ties=ties)
    choice = _within(np.where(treated, allocation.choice, NOTHING), value, cost, left, ties)
    spare = np.zeros(len(value), dtype=bool)
    if possible is not None and (allocation.prices != 0).any():
        wider = allocate(value, cost, possible, ties=ties).choice
        spare = (allocation.choice == NOTHING) & (wider != NOTHING)
        open_to = (spare & treated)[:, None] & (wider[:, None] == np.arange(value.shape[1]))
        rest = _rest(left, choice, cost)
        added = allocate(np.where(open_to, value, np.nan), cost, rest, ties=ties).choice
        choice = np.where(added == NOTHING, choice, added)
    return Served(choice, allocation, spare, sure, left)


def _beyond_chance(
    value: Floats, cost: Floats, arms: Arms, limits: PlanLimits, payable: Bools
) -> tuple[Limits, Limits | None]:
    """Limits of a choice for everyone that the treated customers' share of it does not exceed, and
    limits that it does not fall below, but for `SURE` standard deviations; None for the latter
    without randomisation.
    """
    nobody = np.full(len(value), NOTHING)
    whole = limits.after(nobody, cost, payable=payable)
    share = arms.planned_share
    if share in (0.0, 1.0):
        return whole, None
    worthwhile = cost[value > 0]
    money = float((worthwhile**2).sum() / worthwhile.sum()) if worthwhile.sum() > 0 else 0.0
    totals = np.r_[whole.budget, whole.capacity, whole.most]
    unit = np.r_[money, np.ones(len(totals) - 1)]
    low, high = _totals_around(totals, share, unit, arms.use, arms.use_error)
    low[1:], high[1:] = np.floor(low[1:]), np.ceil(high[1:])
    floors = whole.least + SURE * np.sqrt(whole.least * (1 - share) / share)
    return _limits(whole, low, floors), _limits(whole, high, whole.least)


def _totals_around(
    limit: Floats, share: float, unit: Floats, use: Floats, error: Floats
) -> tuple[Floats, Floats]:
    """Totals T of everyone's use of a limit, of which each customer's part counts with probability
    `share`: the largest that keeps the limit, and the least that exhausts it, in all but `SURE`
    standard deviations.

    A part is of the size `unit`; exploration takes `use` with a standard deviation of `error`. Both
    are the roots of (limit - use - share T)^2 = SURE^2 (share (1 - share) unit T + error^2).
    """
    finite = np.isfinite(limit)
    rest = np.where(finite, limit - use, 0.0)
    a, c = share**2, rest**2 - (SURE * error) ** 2
    b = 2 * share * rest + SURE**2 * share * (1 - share) * unit
    root = np.sqrt(np.maximum(b**2 - 4 * a * c, 0.0))
    low = np.where(rest > SURE * error, np.maximum(b - root, 0.0) / (2 * a), 0.0)
    high = np.maximum(b + root, 0.0) / (2 * a)
    low, high = (np.where(limit > 0, total, 0.0) for total in (low, high))
    return np.where(finite, low, np.inf), np.where(finite, high, np.inf)


def _limits(whole: Limits, totals: Floats, floors: Floats) -> Limits:
    offers = len(whole.capacity)
    most = totals[1 + offers :]
    return replace(
        whole,
        budget=float(totals[0]),
        capacity=totals[1 : 1 + offers],
        most=most,
        least=np.minimum(floors, most),
    )


def _within(choice: Ints, value: Floats, cost: Floats, left: Limits, ties: Floats) -> Ints:
    """The choice if it keeps the limits, which chance seldom prevents; else the best part of it."""
    problem = Problem(*checked_worth(value, cost, left.budget), left)
    if (problem.usage(choice)[: len(problem.caps)] <= problem.caps).all():
        return choice
    chosen = choice[:, None] == np.arange(value.shape[1])
    caps = replace(left, least=np.zeros(len(left.least)))
    return allocate(np.where(chosen, value, np.nan), cost, caps, ties=ties).choice


def _rest(left: Limits, choice: Ints, cost: Floats) -> Limits:
    """What a choice leaves of the limits."""
    used = Problem(cost, cost, left).usage(choice)
    offers = len(left.capacity)
    of_group = used[1 + offers :][: len(left.most)]
    return replace(
        left,
        budget=max(left.budget - float(used[0]), 0.0),
        capacity=left.capacity - used[1 : 1 + offers],
        most=left.most - of_group,
        least=np.maximum(left.least - of_group, 0.0),
    )


def _unmet(left: Limits, choice: Ints) -> Ints:
    """The customers that each group's floor lacks."""
    if not len(left.least):
        return np.zeros(0, dtype=np.int64)
    served = np.bincount(left.group[choice != NOTHING], minlength=len(left.least))
    return np.maximum(left.least - served, 0.0).astype(np.int64)


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
