"""Allocation of offers within a budget.

A multiple-choice knapsack: at most one offer per customer, the highest total value whose total cost
keeps the budget. A price on the budget (lambda) splits it into one small choice per customer, max
over j of value_ij - lambda cost_ij; the price is bisected until the choices just fit, and the
remaining budget is filled greedily (Sinha and Zoltners 1979; Kellerer, Pferschy and Pisinger 2004,
ch. 11).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from churn.arrays import Floats, Ints
from churn.errors import ConfigError

NOTHING = -1
FILL_PASSES = 64


@dataclass(frozen=True)
class Assignment:
    """The choice of each customer and the totals.

    `choice` holds the offer's column, or -1 (`NOTHING`). `lambda_` is the value of one more unit of
    budget, 0 if the budget does not bind. No assignment within the budget is worth more than
    `upper_bound`.
    """

    choice: Ints
    lambda_: float
    value: float
    cost: float
    upper_bound: float


def assign(value: Floats, cost: Floats, *, budget: float) -> Assignment:
    """The best offer or nothing for each of n customers, at a total cost of at most `budget`.

    `value` and `cost` are n customers x m offers; an entry that is not finite is not allowed, and
    one of value <= 0 is never chosen. Ties are served in the order of the rows. The value is short
    of the optimum by at most one offer.

    >>> plan = assign(np.array([[3.0, 5.0], [2.0, 2.5]]), np.array([[1.0, 4.0]] * 2), budget=5)
    >>> plan.choice.tolist(), plan.value, plan.cost
    ([1, 0], 7.0, 5.0)
    """
    value, cost = checked_worth(value, cost, budget)
    best = _choose(value, cost, price=0.0)
    if picked(cost, best).sum() <= budget:
        return _assignment(value, cost, best, prices=(0.0,), budget=budget)
    choice, prices = _bisect_price(value, cost, best, budget=budget)
    choice = _fill(value, cost, choice, budget=budget)
    return _assignment(value, cost, choice, prices=prices, budget=budget)


def checked_worth(value: Floats, cost: Floats, budget: float) -> tuple[Floats, Floats]:
    """Both matrices as floats; entries that are not allowed have value -inf and cost 0."""
    value, cost = np.asarray(value, dtype=float), np.asarray(cost, dtype=float)
    if value.ndim != 2 or value.shape != cost.shape:
        raise ConfigError(
            "value and cost must be matrices of the same shape, customers x offers",
            got=f"{value.shape} and {cost.shape}",
            fix="Pass one row per customer and one column per offer in both.",
        )
    if not budget >= 0:
        raise ConfigError("budget must be >= 0", got=budget, fix="Pass e.g. 500.")
    if (cost < 0).any():
        raise ConfigError("cost must be >= 0", got=np.nanmin(cost), fix="Put gains into value.")
    allowed = np.isfinite(value) & np.isfinite(cost) & (value > 0)
    return np.where(allowed, value, -np.inf), np.where(allowed, cost, 0.0)


def _choose(value: Floats, cost: Floats, *, price: float) -> Ints:
    """Each row's best column at this price of a unit of cost, or `NOTHING`."""
    choice = np.full(len(value), NOTHING)
    best = np.zeros(len(value))
    for column in range(value.shape[1]):
        net = value[:, column] - price * cost[:, column]
        better = net > best
        choice[better] = column
        best[better] = net[better]
    return choice


def picked(matrix: Floats, choice: Ints) -> Floats:
    """Each row's entry at its choice, 0 for `NOTHING`."""
    if not matrix.shape[1]:
        return np.zeros(len(choice))
    return np.where(choice == NOTHING, 0.0, matrix[np.arange(len(choice)), choice])


def _bisect_price(
    value: Floats, cost: Floats, too_dear: Ints, *, budget: float
) -> tuple[Ints, tuple[float, float]]:
    """The choices that fit at the lowest feasible price, and the prices just below and at it.

    A row whose choice is the same at both prices keeps it in between (its best column holds for an
    interval of prices), so each step evaluates only the undecided rows, and tries the median of
    their break-even prices: about half of them are decided at once (after Dyer 1984 and Zemel
    1984).
    """
    fits = _choose(np.where(cost == 0, value, -np.inf), cost, price=0.0)
    too_dear, fits_cost = too_dear.copy(), picked(cost, fits)
    low, high, rows = 0.0, np.inf, np.flatnonzero(too_dear != fits)
    while True:
        breaks = _break_even_prices(value[rows], cost[rows], too_dear[rows], fits[rows])
        between = breaks[(breaks > low) & (breaks < high)]
        if not len(between):
            return fits, (low, high)
        price = float(np.partition(between, len(between) // 2)[len(between) // 2])
        choice = _choose(value[rows], cost[rows], price=price)
        trial_cost = fits_cost.copy()
        trial_cost[rows] = picked(cost[rows], choice)
        if trial_cost.sum() <= budget:
            high, fits_cost, fits[rows] = price, trial_cost, choice
        else:
            low, too_dear[rows] = price, choice
        rows = rows[too_dear[rows] != fits[rows]]


def _break_even_prices(value: Floats, cost: Floats, dearer: Ints, cheaper: Ints) -> Floats:
    """The price at which each row is indifferent between two choices."""
    gain = picked(value, dearer) - picked(value, cheaper)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        return np.asarray(gain / (picked(cost, dearer) - picked(cost, cheaper)))


def _fill(value: Floats, cost: Floats, choice: Ints, *, budget: float) -> Ints:
    """The choices after spending the remaining budget on the upgrades with the best ratio.

    An upgrade moves a customer to an offer of higher value, at most once. Each pass takes the best
    feasible upgrade of every customer in order, until one does not fit.
    """
    choice, rows = choice.copy(), np.arange(len(choice))
    spent = picked(cost, choice)
    for _ in range(FILL_PASSES):
        left = budget - spent.sum()
        step, rate = _best_steps(value[rows], cost[rows], choice[rows], left=left)
        rows, step, rate = (array[step != NOTHING] for array in (rows, step, rate))
        ranked = np.argsort(-rate, kind="stable")
        rows, step = rows[ranked], step[ranked]
        after = cost[rows, step]
        taken = _fitting(spent, rows, after, budget=budget)
        if not taken:
            break
        choice[rows[:taken]], spent[rows[:taken]] = step[:taken], after[:taken]
        rows = rows[taken:]
    return choice


def _best_steps(value: Floats, cost: Floats, choice: Ints, *, left: float) -> tuple[Ints, Floats]:
    """Each row's feasible upgrade with the most value per unit of cost, and that ratio."""
    from_value, from_cost = picked(value, choice), picked(cost, choice)
    step, best = np.full(len(value), NOTHING), np.zeros(len(value))
    for column in range(value.shape[1]):
        gain, extra = value[:, column] - from_value, cost[:, column] - from_cost
        with np.errstate(over="ignore"):
            rate = gain / np.maximum(extra, np.finfo(float).tiny)
        better = (rate > best) & (extra <= left)
        step[better], best[better] = column, rate[better]
    return step, best


def _fitting(spent: Floats, rows: Ints, after: Floats, *, budget: float) -> int:
    """How many of the rows, from the first, may move to the cost `after` within the budget."""
    count = int(np.sum(np.cumsum(after - spent[rows]) <= budget - spent.sum()))
    while count:
        trial = spent.copy()
        trial[rows[:count]] = after[:count]
        if trial.sum() <= budget:
            break
        count -= 1  # the cumulative sum and the total are rounded differently
    return count


def _assignment(
    value: Floats, cost: Floats, choice: Ints, *, prices: tuple[float, ...], budget: float
) -> Assignment:
    """The totals of a choice, with the tightest bound that these prices give."""
    bounds = {price: _bound(value, cost, price=price, budget=budget) for price in prices}
    price = min(bounds, key=bounds.__getitem__)
    worth = float(picked(value, choice).sum())
    return Assignment(
        choice=choice,
        lambda_=price,
        value=worth,
        cost=float(picked(cost, choice).sum()),
        upper_bound=max(worth, bounds[price]),
    )


def _bound(value: Floats, cost: Floats, *, price: float, budget: float) -> float:
    """The Lagrangian dual: the net value of unlimited buying at this price, plus price x budget."""
    if price == np.inf:
        return np.inf
    choice = _choose(value, cost, price=price)
    surplus = picked(value, choice).sum() - price * picked(cost, choice).sum()
    return float(surplus + (price * budget if price else 0.0))
