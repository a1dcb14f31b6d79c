"""Local search: exchanges between two customers that use what no single move can."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import numpy as np

from churn.arrays import Floats, Ints
from churn.offers.allocation.knapsack import NOTHING, picked
from churn.offers.allocation.problem import Problem

MOVES_A_PAIR = 4
MOST_EXCHANGES = 30
TRIED = 200


def improved(problem: Problem, choice: Ints, prices: Floats) -> Ints:
    """The choices after the best exchanges of at most two customers' offers that fit the limits.

    Considers the moves between each pair of offers that lose least at these prices.
    """
    choice = choice.copy()
    moves = _cheapest_moves(problem, choice, prices)
    left = np.maximum(problem.bounds - problem.usage(choice), 0.0)  # floors never worsen
    for _ in range(MOST_EXCHANGES):
        chosen = moves.best_exchange(left)
        if not chosen:
            break
        choice[moves.rows[chosen]] = moves.to[chosen]
        left = left - moves.use[chosen].sum(axis=0)
        moves = moves.without(moves.rows[chosen])
    return choice


@dataclass(frozen=True)
class _Moves:
    """Moves of single customers: target offer, gain in value, additional use of each limit (moves x
    limits).
    """

    rows: Ints
    to: Ints
    gain: Floats
    use: Floats

    def best_exchange(self, left: Floats) -> list[int]:
        """The feasible pair or single move with the highest gain; none if none gains."""
        gain, cost = np.r_[self.gain, 0.0], np.r_[self.use[:, 0], 0.0]  # the last: no move
        rows = np.r_[self.rows, -1]
        both = gain[:, None] + gain
        fits = (cost[:, None] + cost <= left[0]) & (rows[:, None] != rows)
        both = np.where(fits & (both > 1e-12), both, -np.inf)
        use = np.vstack([self.use, np.zeros(len(left))])
        ranked = np.argpartition(-both, min(TRIED, both.size - 1), axis=None)[:TRIED]
        for flat in ranked[np.argsort(-both.flat[ranked], kind="stable")]:
            pair = [int(part) for part in np.unravel_index(flat, both.shape)]
            if both[tuple(pair)] == -np.inf:
                break
            if (use[pair].sum(axis=0) <= left).all():
                return [move for move in pair if move < len(self.rows)]
        return []

    def without(self, rows: Ints) -> _Moves:
        """The moves of the other customers."""
        kept = ~np.isin(self.rows, rows)
        return _Moves(self.rows[kept], self.to[kept], self.gain[kept], self.use[kept])


def _cheapest_moves(problem: Problem, choice: Ints, prices: Floats) -> _Moves:
    nets = [problem.net(prices, column) for column in range(problem.offers)]
    nets.append(np.zeros(len(choice)))  # NOTHING, the last
    rows, to = [], []
    for source, target in permutations(range(-1, problem.offers), 2):
        members = np.flatnonzero(choice == source)
        loss = nets[source][members] - nets[target][members]
        nearest = (
            np.argsort(loss, kind="stable")[:MOVES_A_PAIR]
            if len(loss) < 64
            else (np.argpartition(loss, MOVES_A_PAIR)[:MOVES_A_PAIR])
        )
        nearest = nearest[np.isfinite(loss[nearest])]
        rows.append(members[nearest])
        to.append(np.full(len(nearest), target))
    row, target_of = np.concatenate(rows), np.concatenate(to)
    before, after = choice[row], target_of
    part = problem.part(row)
    gain = picked(part.value, after) - picked(part.value, before)
    return _Moves(row, after, gain, _more_used(part, before, after))


def _more_used(problem: Problem, before: Ints, after: Ints) -> Floats:
    """Additional use of each limit by each row's move, shape (rows, limits)."""
    columns = np.arange(problem.offers)
    cost = picked(problem.cost, after) - picked(problem.cost, before)
    counts = (after[:, None] == columns).astype(float) - (before[:, None] == columns)
    served = (after != NOTHING).astype(float) - (before != NOTHING)
    if not problem.groups:
        return np.column_stack([cost, counts])
    member = problem.limits.group[:, None] == np.arange(problem.groups)
    of_group = served[:, None] * member
    return np.column_stack([cost, counts, of_group, -of_group])
