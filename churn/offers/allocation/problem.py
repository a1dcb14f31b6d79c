"""The multiple-choice knapsack with several limits, and its responses to a price on each."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from churn.arrays import Bools, Floats, Ints
from churn.offers.allocation.knapsack import NOTHING, picked


def _no_numbers() -> Floats:
    return np.empty(0)


def _no_groups() -> Ints:
    return np.empty(0, dtype=np.int64)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The limits of a plan; infinite (for `least`: 0) without a limit.

    `budget` is money of expected cost. `capacity` is customers per offer, shape (offers,). `group`
    numbers each customer's group, shape (customers,), -1 for none; `most` and `least` are customers
    with an offer per group, shape (groups,).
    """

    budget: float = np.inf
    capacity: Floats = field(default_factory=_no_numbers)
    group: Ints = field(default_factory=_no_groups)
    most: Floats = field(default_factory=_no_numbers)
    least: Floats = field(default_factory=_no_numbers)

    @property
    def is_budget_alone(self) -> bool:
        """Whether the budget is the only limit."""
        unlimited = np.isinf(self.capacity).all() and np.isinf(self.most).all()
        return bool(unlimited and (self.least <= 0).all())


@dataclass(frozen=True)
class Problem:
    """Customers (rows) and offers (columns): value, cost, and the limits.

    Limits are one vector: the budget, each offer's capacity, each group's cap, each group's floor;
    a floor is a cap on minus the count.
    """

    value: Floats
    cost: Floats
    limits: Limits

    @property
    def offers(self) -> int:
        """The number of offers."""
        return int(self.value.shape[1])

    @property
    def groups(self) -> int:
        """The number of groups."""
        return len(self.limits.most)

    @property
    def bounds(self) -> Floats:
        """All limits as one vector."""
        capacity = self.limits.capacity
        capacity = capacity if len(capacity) else np.full(self.offers, np.inf)
        floors = np.where(self.limits.least > 0, -self.limits.least, np.inf)
        row: Floats = np.r_[self.limits.budget, capacity, self.limits.most, floors]
        return row

    @property
    def caps(self) -> Floats:
        """The limits without the floors, which no plan exceeds."""
        return self.bounds[: 1 + self.offers + self.groups]

    def part(self, rows: Ints, *, share: float = 1.0) -> Problem:
        """Those rows, with that share of the limits."""
        limits = self.limits
        scaled = Limits(
            budget=limits.budget * share,
            capacity=limits.capacity * share,
            group=limits.group[rows] if self.groups else limits.group,
            most=limits.most * share,
            least=limits.least * share,
        )
        return Problem(self.value[rows], self.cost[rows], scaled)

    def net(self, prices: Floats, column: int) -> Floats:
        """The value of an offer for each customer net of the prices of the limits that it uses."""
        net = self.value[:, column] - prices[0] * self.cost[:, column] - prices[1 + column]
        if not self.groups:
            return np.asarray(net)
        cap, floor = np.split(prices[1 + self.offers :], 2)
        return np.asarray(net - np.append(cap - floor, 0.0)[self.limits.group])

    def respond(self, prices: Floats) -> Ints:
        """Each customer's best offer at these prices, or nothing."""
        choice, best = np.full(len(self.value), NOTHING), np.zeros(len(self.value))
        for column in range(self.offers):
            net = self.net(prices, column)
            better = net > best
            choice[better], best[better] = column, net[better]
        return choice

    def usage(self, choice: Ints) -> Floats:
        """Use of each limit by the choices, as one vector."""
        served = choice != NOTHING
        counts = np.bincount(choice[served], minlength=self.offers)
        spent = picked(self.cost, choice).sum()
        if not self.groups:
            return np.concatenate([[spent], counts])
        members = self.limits.group[served]
        of_group = np.bincount(members[members >= 0], minlength=self.groups)
        return np.concatenate([[spent], counts, of_group, -of_group])

    def settled(self, prices: Floats, reach: Floats) -> Bools:
        """Whether each customer's choice is the same at all prices within `reach` of these."""
        best, second = np.zeros(len(self.value)), np.full(len(self.value), -np.inf)
        shift = np.zeros(len(self.value))
        group_reach = self._group_reach(reach)
        for column in range(self.offers):
            net = self.net(prices, column)
            second = np.maximum(second, np.minimum(net, best))
            best = np.maximum(best, net)
            moved = reach[0] * self.cost[:, column] + reach[1 + column] + group_reach
            shift = np.maximum(shift, np.where(net > -np.inf, moved, 0.0))
        return np.asarray(best - second > 2 * shift)

    def _group_reach(self, reach: Floats) -> Floats | float:
        if not self.groups:
            return 0.0
        cap, floor = np.split(reach[1 + self.offers :], 2)
        return np.asarray(np.append(cap + floor, 0.0)[self.limits.group])
