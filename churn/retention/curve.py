"""What other budgets would earn: the value curve of a plan."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from churn.retention.allocation import Limits, Problem, allocate
from churn.retention.policy import checked_worth

__all__ = ["value_curve"]

MULTIPLES = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0)
MOST_ROWS = 50_000


def value_curve(value: np.ndarray, cost: np.ndarray, limits: Limits) -> list[dict[str, Any]]:
    """Expected cost and value at multiples of the budget, and without one (`budget` None).

    Without a budget the multiples are of what the plan spends. A base of over 50,000 is estimated
    from every k-th customer, with the limits in proportion.
    """
    value, cost = checked_worth(value, cost, limits.budget)
    rows = len(value)
    sample = np.unique(np.linspace(0, max(rows - 1, 0), min(rows, MOST_ROWS)).astype(np.int64))
    share = len(sample) / rows if rows else 1.0
    part = Problem(value, cost, limits).part(sample[:rows], share=share)
    free = allocate(part.value, part.cost, replace(part.limits, budget=np.inf))
    unit = part.limits.budget if np.isfinite(limits.budget) else free.cost
    points = [
        _point(
            unit * k, allocate(part.value, part.cost, replace(part.limits, budget=unit * k)), share
        )
        for k in MULTIPLES
    ]
    return [*points, _point(None, free, share)]


def _point(budget: float | None, found: Any, share: float) -> dict[str, Any]:
    return {
        "budget": None if budget is None else budget / share,
        "expected_cost": found.cost / share,
        "expected_value": found.value / share,
    }
