"""What other budgets would earn: the value curve of a plan."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from churn.retention.allocation.allocate import allocate
from churn.retention.allocation.problem import Limits, Problem
from churn.retention.policy import checked_worth

__all__ = ["value_curve"]

Floats = NDArray[np.float64]
Point = dict[str, float | None]

MULTIPLES = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0)
MOST_ROWS = 50_000


def value_curve(
    value: Floats, cost: Floats, limits: Limits, *, budget: float, spent: float, earned: float
) -> list[Point]:
    """Expected cost and value at multiples of the `budget`, and without one (`budget` None).

    `spent` and `earned` are what exploration costs and brings whatever the budget. Without a
    budget the multiples are of what the plan spends. A base of over 50,000 is estimated from every
    k-th customer, with the limits in proportion.
    """
    value, cost = checked_worth(value, cost, limits.budget)
    rows = len(value)
    sample = np.arange(rows)[:: max(1, -(-rows // MOST_ROWS))]
    share = len(sample) / rows if rows else 1.0
    part = Problem(value, cost, limits).part(sample, share=share)

    def point(money: float | None) -> Point:
        left = np.inf if money is None else max(money - spent, 0.0) * share
        found = allocate(part.value, part.cost, replace(part.limits, budget=left))
        return {
            "budget": money,
            "expected_cost": spent + found.cost / share,
            "expected_value": earned + found.value / share,
        }

    free = point(None)
    unit = budget if np.isfinite(budget) else float(free["expected_cost"] or 0.0)
    budgets = sorted({unit * multiple for multiple in MULTIPLES if unit * multiple >= spent})
    return [*(point(money) for money in budgets), free]
