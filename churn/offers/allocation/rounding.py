"""From prices to a plan within all limits: drop what loses least, then fill the rest."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from churn.arrays import Bools, Floats, Ints
from churn.offers.allocation.knapsack import NOTHING, picked
from churn.offers.allocation.problem import Problem

PASSES = 100
MOST_AT_ONCE = 20_000


def within_limits(problem: Problem, choice: Ints, prices: Floats) -> Ints:
    """The choices within the budget and every cap, changed where that loses least.

    A customer moves to the next best offer with room, or to nothing.
    """
    choice, caps = choice.copy(), problem.caps
    for turn in range(PASSES):
        use = problem.usage(choice)[: len(caps)]
        over = np.flatnonzero(use > caps)
        if not len(over):
            return choice
        limit = int(over[np.argmax((use - caps)[over] / np.maximum(caps[over], 1.0))])
        full = use >= caps if turn < PASSES // 2 else np.ones(len(caps), dtype=bool)
        rows = np.flatnonzero(_users(problem, choice, limit))
        part = problem.part(rows)
        to, loss = _next_best(part, choice[rows], prices, limit, full)
        freed = _freed(part, choice[rows], to, limit)
        ranked = np.lexsort((-rows, loss / np.maximum(freed, 1e-300)))  # of equals the last
        freed_so_far = np.cumsum(freed[ranked])
        count = int(np.searchsorted(freed_so_far, (use - caps)[limit])) + 1
        choice[rows[ranked[:count]]] = to[ranked[:count]]
    return np.full_like(choice, NOTHING)


def filled(problem: Problem, choice: Ints, prices: Floats) -> Ints:
    """The choices after all feasible upgrades to offers of higher value, best first."""
    choice, rows = _floors_first(problem, choice, prices), np.arange(len(choice))
    for _ in range(PASSES):
        left = problem.caps - problem.usage(choice)[: len(problem.caps)]
        to, gain = _step_up(problem.part(rows), choice[rows], prices, left)
        rows, to, gain = (array[to != NOTHING] for array in (rows, to, gain))
        ranked = np.argsort(-gain, kind="stable")[:MOST_AT_ONCE]
        best, step = rows[ranked], to[ranked]
        taken = _fitting(problem, choice, best, step)
        if not taken:
            break
        choice[best[:taken]] = step[:taken]
    return choice


def _floors_first(problem: Problem, choice: Ints, prices: Floats) -> Ints:
    """The choices after serving as many more customers of each group as its floor lacks.

    Customers of other groups make room, those who lose least first.
    """
    choice = choice.copy()
    for group in range(problem.groups):
        served = np.sum((problem.limits.group == group) & (choice != NOTHING))
        rows = np.flatnonzero((problem.limits.group == group) & (choice == NOTHING))
        lacking = int(problem.limits.least[group] - served)
        if lacking <= 0 or not len(rows):
            continue
        to, gain = _step_up(problem.part(rows), choice[rows], prices, problem.caps)
        ranked = np.argsort(-gain, kind="stable")[:lacking]
        ranked = ranked[to[ranked] != NOTHING]
        trial = choice.copy()
        trial[rows[ranked]] = to[ranked]
        others = np.flatnonzero(problem.limits.group != group)
        room = _without(problem, np.flatnonzero(problem.limits.group == group), trial)
        if (room.caps >= 0).all():
            trial[others] = within_limits(room.part(others), trial[others], prices)
            choice = trial
    return choice


def _without(problem: Problem, rows: Ints, choice: Ints) -> Problem:
    """The problem with the limits remaining after those rows."""
    used = problem.part(rows).usage(choice[rows])
    limits = problem.limits
    left = replace(
        limits,
        budget=limits.budget - used[0],
        capacity=problem.caps[1 : 1 + problem.offers] - used[1 : 1 + problem.offers],
        most=limits.most - used[1 + problem.offers : len(problem.caps)],
    )
    return replace(problem, limits=left)


def _users(problem: Problem, choice: Ints, limit: int) -> Bools:
    """The customers who use that limit."""
    if limit == 0:
        return np.asarray(picked(problem.cost, choice) > 0)
    if limit <= problem.offers:
        return np.asarray(choice == limit - 1)
    group = limit - 1 - problem.offers
    return np.asarray((choice != NOTHING) & (problem.limits.group == group))


def _next_best(
    problem: Problem, choice: Ints, prices: Floats, limit: int, full: Bools
) -> tuple[Ints, Floats]:
    """For users of a limit: their next best choice that uses less of it, and the loss in value."""
    nets = np.column_stack([problem.net(prices, j) for j in range(problem.offers)])
    here = picked(nets, choice)
    barred = np.broadcast_to(full[1 : 1 + problem.offers], nets.shape).copy()
    if limit == 0:
        barred |= problem.cost >= picked(problem.cost, choice)[:, None]
    elif limit > problem.offers:
        barred[:] = True
    barred[np.arange(len(choice)), choice] = True
    nets[barred] = -np.inf
    to = np.where(nets.max(axis=1) > 0, nets.argmax(axis=1), NOTHING)
    return to, here - picked(nets, to)


def _freed(problem: Problem, choice: Ints, to: Ints, limit: int) -> Floats:
    """How much of the limit each move frees."""
    if limit == 0:
        return np.asarray(picked(problem.cost, choice) - picked(problem.cost, to))
    return np.ones(len(choice))


def _step_up(problem: Problem, choice: Ints, prices: Floats, left: Floats) -> tuple[Ints, Floats]:
    """Each row's best feasible upgrade at these prices, and its gain."""
    value, cost = picked(problem.value, choice), picked(problem.cost, choice)
    nets = [problem.net(prices, column) for column in range(problem.offers)]
    here = np.zeros(len(choice))
    for column, net in enumerate(nets):
        here = np.where(choice == column, net, here)
    admitted = _admitted(problem, choice, left)
    step, best = np.full(len(choice), NOTHING), np.full(len(choice), -np.inf)
    for column, net in enumerate(nets):
        fits = admitted & (problem.cost[:, column] - cost <= left[0]) & (left[1 + column] >= 1)
        better = fits & (problem.value[:, column] > value) & (net - here > best)
        step[better], best[better] = column, (net - here)[better]
    return step, best


def _admitted(problem: Problem, choice: Ints, left: Floats) -> Bools:
    """Customers whose group has room, or who are served already."""
    if not problem.groups:
        return np.ones(len(choice), dtype=bool)
    room = np.append(left[1 + problem.offers :] >= 1, True)
    return np.asarray(room[problem.limits.group] | (choice != NOTHING))


def _fitting(problem: Problem, choice: Ints, rows: Ints, to: Ints) -> int:
    """How many of the rows, from the first, may be upgraded without exceeding a limit."""
    caps, part, before = problem.caps, problem.part(rows), choice[rows]
    others = (problem.usage(choice) - part.usage(before))[: len(caps)]
    places = np.arange(len(rows))
    low, high = 0, len(rows)
    while low < high:
        middle = (low + high + 1) // 2
        use = part.usage(np.where(places < middle, to, before))[: len(caps)]
        keeps = (others + use <= caps).all()
        low, high = (middle, high) if keeps else (low, middle - 1)
    trial = choice.copy()
    while low:
        trial[rows] = np.where(places < low, to, before)
        if (problem.usage(trial)[: len(caps)] <= caps).all():
            break
        low -= 1  # partial and total sums are rounded differently
    return low
