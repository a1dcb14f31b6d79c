"""Chances of exploration: how likely a customer who explores draws each offer, or none.

Without evidence all chances are equal. Once an offer has been measured, they follow the posterior
probability of being the best, so that offers known to lose money are hardly given, and most draws
are spent between those that may still be the best (exploration sampling, Kasy and Sautmann 2021).
Chances depend on the evidence and on what is permitted, never on a draw, and are the same for all
who may have the same offers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from churn.arrays import Bools, Floats, Ints
from churn.offers.catalogue import NO_OFFER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from churn.offers.arms import Shares
    from churn.offers.effects import Worth

FLOOR = 0.1
"""The least chance of an offer, as a share of an equal one."""
FEWEST = 15.0
"""The least number of customers of a choice set whom exploration is expected to give each offer, or
equal chances: with fewer, neither its propensities nor its effect could be checked."""
SETTLED = 0.05
"""Added to 1 - p: where the best is that certain there is little to find out, and it is drawn."""
DRAWS, SEED = 4_000, 20_21
"""Draws of the posterior, the same in every plan and independent of those of customers."""
LARGEST_STAKE = 10.0
"""In means, a margin at stake counts for no more than this multiple of the median."""
Z = 1.6448536269514722  # half of a 90 % interval, in standard deviations


@dataclass(frozen=True)
class Exploration:
    """The chances of n customers to draw each of m offers or none, by what they may be offered.

    `of_set`, sets x (m + 1), are those of each set of permitted offers, the last column of none; 0
    where not permitted. `best`, of the same shape, is the probability that an offer, or none, earns
    most on average; NaN where it was not used. `which` is the set of each customer.
    """

    of_set: Floats
    best: Floats
    which: Ints

    @property
    def chances(self) -> Floats:
        """The chances of each customer, n x (m + 1)."""
        return self.of_set[self.which]

    def to_dict(self, names: Sequence[str]) -> dict[str, dict[str, float | None]]:
        """For each offer and none, means over the customers who may draw it: `chances`, and `best`,
        None where only equal chances were used. Plain JSON.
        """
        size = np.bincount(self.which, minlength=len(self.of_set))
        may = (self.of_set > 0) & (self.of_set[:, -1:] < 1) & (size > 0)[:, None]
        columns = [*names, NO_OFFER]
        return {
            name: {
                column: _mean(part[may[:, k], k], size[may[:, k]])
                for k, column in enumerate(columns)
            }
            for name, part in (("chances", self.of_set), ("best", self.best))
        }


def equal_chances(permitted: Bools) -> Floats:
    """Every permitted offer and none with the same chance, n x (m + 1).

    >>> equal_chances(np.array([[True, False], [False, False]])).tolist()
    [[0.5, 0.0, 0.5], [0.0, 0.0, 1.0]]
    """
    could = np.column_stack([permitted, np.ones(len(permitted), dtype=bool)])
    return np.asarray(could / could.sum(axis=1, keepdims=True))


def explore_by_evidence(
    worth: Worth, permitted: Bools, slope: Floats, shares: Shares
) -> Exploration:
    """The chances by what is known of the offers' money, n customers x m offers.

    `slope` (m) is the gain of an offer per effect and margin at stake. Chances are equal for
    customers none of whose offers was measured, and in choice sets too small for `FEWEST`.
    """
    sets, which = _choice_sets(permitted)
    chances = equal_chances(sets)
    best = np.full(chances.shape, np.nan)
    measured = np.array([source != "assumed" for source in worth.effects.source], dtype=bool)
    sizes = np.bincount(which, minlength=len(sets))
    explorers = sizes * (1 - shares.holdout) * (1 - shares.control) * shares.explore
    least = np.array([_least(*each) for each in zip(sets.sum(axis=1), explorers, strict=True)])
    by_evidence = np.flatnonzero((sets & measured).any(axis=1) & (least < 1))
    if len(by_evidence):
        mean, error = _average_values(worth, permitted, slope, which, len(sets))
        luck = np.random.default_rng(SEED).standard_normal((DRAWS, sets.shape[1]))
    for number in by_evidence:
        offers = np.flatnonzero(sets[number])
        p = probability_of_best(mean[number, offers], error[number, offers], luck[:, offers])
        columns = np.r_[offers, sets.shape[1]]
        best[number, columns] = p
        chances[number, columns] = offer_chances(p, sizes[number], shares)
    return Exploration(chances, best, which)


def offer_chances(best: Floats, customers: float, shares: Shares) -> Floats:
    """The chances of k offers and none from their probabilities of being the best, shape (k + 1,).

    In proportion to p (1 - p + `SETTLED`), above a floor: `FLOOR` of an equal share and `FEWEST` of
    the customers. Exploration sampling, p (1 - p), would spend half of the draws on what cannot be
    the best, once that is known. "None" is the control of every offer, so it keeps an equal share
    unless holdout and control supply controls; then as many as sqrt(k) offers suffice, which makes
    the k comparisons most precise (Dunnett 1955).

    >>> from churn.offers.arms import Shares
    >>> offer_chances(np.array([0.1, 0.8, 0.1]), 1e6, Shares(holdout=0.2, explore=0.1)).round(2)
    array([0.25, 0.49, 0.25])
    """
    offers = len(best) - 1
    free = (1 - shares.holdout) * (1 - shares.control)
    explores, equal = free * shares.explore, 1 / len(best)
    floor = np.full(len(best), equal * _least(offers, customers * explores))
    controls = (explores / np.sqrt(offers) - (1 - free)) / (explores * (1 + 1 / np.sqrt(offers)))
    floor[-1] = min(max(floor[-1], controls), equal)
    spread = best * (1 - best + SETTLED)
    return np.asarray(floor + (1 - floor.sum()) * spread / spread.sum())


def _least(offers: float, explorers: float) -> float:
    """The least chance of each of so many offers, as a share of an equal one; at most 1."""
    enough = FEWEST * (offers + 1)
    return max(FLOOR, enough / explorers) if explorers > enough else 1.0


def _choice_sets(permitted: Bools) -> tuple[Bools, Ints]:
    """The distinct rows, and which of them each customer has."""
    code = np.zeros(len(permitted), dtype=np.int64)
    for column in permitted.T:
        if code.max(initial=0) >= 2**61:
            code = np.unique(code, return_inverse=True)[1]
        code = 2 * code + column
    _, first, which = np.unique(code, return_index=True, return_inverse=True)
    return permitted[first], which


def _average_values(
    worth: Worth, permitted: Bools, slope: Floats, which: Ints, sets: int
) -> tuple[Floats, Floats]:
    """The mean net value of each offer among the customers of each set, and its standard error,
    sets x m, in money a customer; 0 where not permitted.

    An effect without a range is taken to be as uncertain as it is large. Its error is common to all
    customers.
    """
    stake = worth.at_stake
    typical = np.median(stake[stake > 0]) if (stake > 0).any() else 1.0
    counts = np.minimum(1.0, LARGEST_STAKE * typical / np.where(stake > 0, stake, typical))
    total = np.maximum(np.bincount(which, counts, minlength=sets), 1e-300)
    mean, error = np.zeros((sets, permitted.shape[1])), np.zeros((sets, permitted.shape[1]))
    effects, value = worth.effects, worth.value
    for k, may in enumerate(permitted.T):
        half = (effects.high[:, k] - effects.low[:, k]) / (2 * Z)
        unsure = np.where(half > 0, half, np.abs(effects.mean[:, k])) * slope[k] * stake
        for table, part in ((mean, value[:, k]), (error, unsure)):
            weighed = np.where(may, part, 0.0) * counts
            table[:, k] = np.bincount(which, weighed, minlength=sets) / total
    return mean, error


def probability_of_best(mean: Floats, error: Floats, luck: Floats) -> Floats:
    """P(each of k offers, or none with a value of 0, has the largest value), shape (k + 1,).

    Half a draw is added to each, so that nothing is impossible.
    """
    drawn = np.column_stack([mean + error * luck, np.zeros(len(luck))])
    wins = np.bincount(drawn.argmax(axis=1), minlength=len(mean) + 1) + 0.5
    return np.asarray(wins / wins.sum())


def _mean(values: Floats, size: Ints) -> float | None:
    known = ~np.isnan(values)
    return float(np.average(values[known], weights=size[known])) if known.any() else None
