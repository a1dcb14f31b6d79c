"""Shadow prices of the limits: the minimum of the Lagrangian dual, a convex function of them.

Found by cutting planes (Kelley 1960), each step halfway between the best point and the lowest point
of the planes (after Wentges 1997). A large base starts with a sample; after that, most choices
cannot change within the remaining range of prices, and each step evaluates only the others.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import linprog

from churn.arrays import Floats
from churn.offers.allocation.knapsack import picked
from churn.offers.allocation.problem import Problem

SAMPLE_ROWS = 20_000
MOST_CUTS = 200
ROUGH, TIGHT = 1e-4, 1e-7
HIGHEST_PRICE = 1e4  # in typical prices; a limit that needs more cannot be met at any price

Cut = tuple[Floats, float]


def lowest_dual(problem: Problem) -> tuple[Floats, float]:
    """A price for every limit (0 without one), and the dual value, an upper bound of any plan."""
    scale = _ordinary_prices(problem)
    prices, reach = np.zeros(len(scale)), HIGHEST_PRICE * scale
    rows = len(problem.value)
    if rows > 2 * SAMPLE_ROWS:
        sample = np.linspace(0, rows - 1, SAMPLE_ROWS).astype(np.int64)
        part = problem.part(sample, share=SAMPLE_ROWS / rows)
        prices, _ = _descended(part, prices, reach, scale, tolerance=ROUGH)
        reach = 0.2 * prices + 0.02 * scale
    while True:
        found, dual = _descended(problem, prices, reach, scale, tolerance=TIGHT)
        at_edge = (np.abs(found - prices) > 0.99 * reach) & (found > 0)
        if not at_edge.any() or (reach >= HIGHEST_PRICE * scale).all():
            return found, dual
        prices, reach = found, np.minimum(10 * reach, HIGHEST_PRICE * scale)


def _ordinary_prices(problem: Problem) -> Floats:
    """A typical price for each limit: the mean value, and value per unit of cost."""
    allowed = problem.value > -np.inf
    worth = float(problem.value[allowed].mean()) if allowed.any() else 1.0
    cost = float(problem.cost[allowed].mean()) if allowed.any() else 1.0
    prices = np.full(len(problem.bounds), worth)
    prices[0] = worth / cost if cost > 0 else 1.0
    return prices


def _descended(
    problem: Problem, start: Floats, reach: Floats, scale: Floats, *, tolerance: float
) -> tuple[Floats, float]:
    """The minimum of the dual within `reach` of `start`, and its value."""
    limited = np.isfinite(problem.bounds)
    bounds = np.where(limited, problem.bounds, 0.0)
    settled = problem.settled(start, np.where(limited, reach, 0.0))
    fixed, rest = (problem.part(np.flatnonzero(mask)) for mask in (settled, ~settled))
    fixed_choice = fixed.respond(start)
    fixed_value = float(picked(fixed.value, fixed_choice).sum())
    bounds = bounds - np.where(limited, fixed.usage(fixed_choice), 0.0)
    box = [np.maximum(start - reach, 0.0) / scale, (start + reach) / scale]
    planes = _Planes(box[0][limited], box[1][limited])
    best, lowest, trial = start, np.inf, start
    for _ in range(MOST_CUTS):
        choice = rest.respond(trial)
        value = fixed_value + float(picked(rest.value, choice).sum())
        slack = np.where(limited, bounds - rest.usage(choice), 0.0)
        dual = value + float(slack @ trial)
        if dual < lowest:
            best, lowest = trial, dual
        planes.add((slack * scale)[limited], value)
        bottom, floor = planes.bottom()
        if lowest - floor <= tolerance * max(abs(lowest), 1e-9):
            break
        trial = best.copy()
        trial[limited] = (best[limited] + bottom * scale[limited]) / 2
    return best, lowest


class _Planes:
    """Cutting planes below the dual, over a box in units of typical prices."""

    def __init__(self, low: Floats, high: Floats) -> None:
        self._box = [*zip(low, high, strict=True), (None, None)]
        self._cuts: list[Cut] = []

    def add(self, slack: Floats, value: float) -> None:
        """Adds the plane `value` + `slack` @ price."""
        self._cuts.append((slack, value))

    def bottom(self) -> tuple[Floats, float]:
        """The minimum of the upper envelope of the planes, and its value."""
        slack = np.array([cut[0] for cut in self._cuts])
        value = np.array([cut[1] for cut in self._cuts])
        size = max(float(np.abs(value).max()), float(np.abs(slack).max()), 1e-9)
        found = linprog(
            c=np.r_[np.zeros(slack.shape[1]), 1.0],
            A_ub=np.column_stack([slack / size, -np.ones(len(value))]),
            b_ub=-value / size,
            bounds=self._box,
            method="highs",
        )
        return np.asarray(found.x)[:-1], float(np.asarray(found.fun)) * size
