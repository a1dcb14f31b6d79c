"""Randomisation: holdout, control and exploration.

Every draw is a keyed hash of the customer, so reruns are reproducible; every row's propensity is
the probability, over all draws, that this customer got this offer. So what is given by lot, and in
which share, is settled before anybody is drawn, see `churn.offers.choice`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np

from churn.arrays import Bools, Floats, Ints
from churn.data.ids import id_hashes
from churn.errors import ConfigError
from churn.offers.allocation.knapsack import NOTHING
from churn.offers.catalogue import NO_OFFER

if TYPE_CHECKING:
    from churn.offers.groups import PlanLimits


TREATMENT, HOLDOUT, CONTROL, EXPLORE = range(4)
ARMS = ("treatment", "holdout", "control", "explore")
SURE = 3.0
"""Standard deviations that a plan keeps from its limits, so that chance does not reach them."""


def hash_position(customer_ids: Iterable[str], *, salt: str) -> Floats:
    """Each customer's position in [0, 1), uniform over customers and fixed by id and salt."""
    if not salt:
        raise ConfigError(
            "the holdout salt must not be empty",
            got=repr(salt),
            fix='Choose any text once and keep it, e.g. "2025".',
        )
    hashes = id_hashes(customer_ids, key=blake2b(salt.encode()).digest())
    # The top 53 bits, the precision of a float, so that no position rounds up to 1.
    return (hashes >> np.uint64(11)) / 2.0**53


@dataclass(frozen=True, kw_only=True)
class Shares:
    """Randomised shares: `holdout` of everyone, in every campaign; `control` of the rest, in this
    one; `explore` of the remainder, who get a permitted offer or none by chances of their own.

    `key` determines the draws. Another key draws a new holdout.
    """

    holdout: float = 0.1
    control: float = 0.0
    explore: float = 0.0
    key: str = "holdout"

    def __post_init__(self) -> None:
        for name in ("holdout", "control", "explore"):
            share = getattr(self, name)
            if not 0 <= share <= 1:
                rule = f"the {name} share must be between 0 and 1"
                raise ConfigError(rule, got=share, fix="Pass e.g. 0.1.")


@dataclass(frozen=True)
class Arms:
    """The arm of each customer as an index of `ARMS`, and the offers drawn by exploration.

    `drawn` is the offer of exploring customers, -1 for "none" and for everyone else. `explore` is
    the effective share: less than that of `shares` if more might exceed the budget, a capacity or
    the cap of a group. `use` and `use_error` are the expected use of each of these limits by
    exploration, and its standard deviation over the draws. `chances`, n x (m + 1), is the
    probability that a customer who explores draws each offer or, in the last column, none.
    """

    arm: Ints
    drawn: Ints
    explore: float
    shares: Shares
    use: Floats
    use_error: Floats
    chances: Floats

    @property
    def planned_share(self) -> float:
        """The probability that a customer gets what the plan chooses."""
        return (1 - self.shares.holdout) * (1 - self.shares.control) * (1 - self.explore)

    def part(self, rows: Ints, *, share: float) -> Arms:
        """Those of some of the customers, with that share of the use of limits."""
        use, error = self.use * share, self.use_error * np.sqrt(share)
        of_rows = (self.arm[rows], self.drawn[rows])
        return Arms(*of_rows, self.explore, self.shares, use, error, self.chances[rows])

    def is_in(self, *arms: int) -> Bools:
        """Whether each customer's arm is among those."""
        return np.isin(self.arm, arms)


def draw_arms(
    customer_ids: list[str],
    chances: Floats,
    cost: Floats,
    shares: Shares,
    limits: PlanLimits,
    *,
    campaign: str,
    occasion: str,
) -> Arms:
    """The arms of a plan; `cost` is of n customers x m offers, `chances` those of exploration, n x
    (m + 1), see `churn.offers.exploration`.

    The holdout depends only on the key, the control also on the campaign, and exploration also on
    the `occasion`, e.g. the date. The share that explores is the largest, up to the requested one,
    whose draws keep the budget, the capacities and the caps of groups within `SURE` standard
    deviations; it does not depend on who is drawn. Beyond that, the last to be drawn do not
    explore. Customers without a permitted offer do not explore.
    """
    places = [
        hash_position(customer_ids, salt=salt)
        for salt in (
            shares.key,
            f"{shares.key}/{campaign}",
            f"{shares.key}/{campaign}/explore/{occasion}",
            f"{shares.key}/{campaign}/offer/{occasion}",
        )
    ]
    held, control = places[0] < shares.holdout, places[1] < shares.control
    arm = np.where(held, HOLDOUT, np.where(control, CONTROL, TREATMENT))
    lots = draw_offers(chances, places[3])
    use, most = _use(lots, cost, limits)
    free = (1 - shares.holdout) * (1 - shares.control)
    mean, square = (free * part for part in _expected_use(chances, cost, limits))
    share = _sure_share(shares.explore, mean, square, most)
    asked = (arm == TREATMENT) & (places[2] < share) & _has_options(chances)
    explores = asked & (places[2] < _affordable(asked, use, most, places[2], share))
    arm = np.where(explores, EXPLORE, arm)
    drawn = np.where(explores, lots, NOTHING)
    return Arms(arm, drawn, share, shares, share * mean, np.sqrt(share * square), chances)


def propensities(arms: Arms, choice: Ints, intended: Ints, spare: Bools | None = None) -> Floats:
    """P(the customer gets the offer of `choice`), over the draws of all arms, shape (customers,).

    `intended` is what the plan chooses, or would have chosen, without randomisation. Customers
    without a permitted offer get "none" with certainty; 1 also stands for `spare` customers, whose
    probability is not known, see `churn.offers.choice`.
    """
    free = (1 - arms.shares.holdout) * (1 - arms.shares.control)
    kept = 1 - free
    drawn = arms.chances[np.arange(len(choice)), choice]  # NOTHING is the last column
    by_exploration = free * arms.explore * drawn
    by_plan = np.where(choice == intended, free * (1 - arms.explore), 0.0)
    without = np.where(choice == NOTHING, kept, 0.0)
    certain = ~_has_options(arms.chances)
    if spare is not None:
        certain |= spare
    return np.where(certain, 1.0, by_exploration + by_plan + without)


def choice_sets(
    arms: Arms, intended: Ints, names: Sequence[str], spare: Bools | None = None
) -> list[str | None]:
    """The choice set of each customer: the names of all that they could have got; None if there is
    only one possibility, and for `spare` customers.

    Only customers with the same choice set can be compared, because others could not have got the
    same offers.
    """
    could = arms.chances[:, :-1] > 0
    if not arms.explore > 0:
        could &= intended[:, None] == np.arange(could.shape[1])
    kept = arms.shares.holdout > 0 or arms.shares.control > 0 or arms.explore > 0
    without = np.full(len(could), kept) | (intended == NOTHING)
    kinds, which = np.unique(np.column_stack([could, without]), axis=0, return_inverse=True)
    options = np.array([*names, NO_OFFER], dtype=object)
    labels = np.array(
        ["+".join(options[kind]) if kind.sum() > 1 else None for kind in kinds], dtype=object
    )
    sets = labels[which.ravel()]
    if spare is not None:
        sets[spare] = None
    return list(sets)


def _has_options(chances: Floats) -> Bools:
    """Whether each customer may have an offer at all."""
    return np.asarray((chances[:, :-1] > 0).any(axis=1))


def draw_offers(chances: Floats, place: Floats) -> Ints:
    """One of the offers or none by its chance, from a position in [0, 1): none first."""
    upto = np.cumsum(np.roll(chances, 1, axis=1), axis=1)
    upto /= upto[:, -1:]  # so that rounding never leaves a gap at the end
    return np.asarray((upto > place[:, None]).argmax(axis=1) - 1)


def _use(lots: Ints, cost: Floats, limits: PlanLimits) -> tuple[Floats, Floats]:
    """Expected use of budget, offer capacities and group caps by each row's draw, and their
    limits.
    """
    given = lots[:, None] == np.arange(cost.shape[1])
    use = np.column_stack([(cost * given).sum(axis=1), given])
    most, groups = np.r_[limits.budget, limits.capacity], limits.groups
    if groups is None:
        return use, most
    members = groups.code[:, None] == np.arange(len(groups.names))
    caps = groups.most(groups.counts(np.zeros(len(lots), dtype=bool)))
    return np.column_stack([use, members & (lots != NOTHING)[:, None]]), np.r_[most, caps]


def _expected_use(chances: Floats, cost: Floats, limits: PlanLimits) -> tuple[Floats, Floats]:
    """If everyone explored: the sum over customers of the mean use of each limit by a draw, and
    that of its mean square. In the order of `_use`.
    """
    given = chances[:, :-1]
    spent = np.where(given > 0, cost, 0.0)
    money, squares = (spent * given).sum(), (spent**2 * given).sum()
    counts = given.sum(axis=0)
    if limits.groups is not None:
        groups = limits.groups
        by_group = np.bincount(groups.code, given.sum(axis=1), minlength=len(groups.names))
        counts = np.r_[counts, by_group]
    return np.r_[money, counts], np.r_[squares, counts]


def _sure_share(share: float, mean: Floats, square: Floats, most: Floats) -> float:
    """The largest share up to the requested one whose use, `share` x `mean` on average with a
    variance of `share` x `square`, stays below `most` by `SURE` standard deviations.
    """
    for a, b, limit in zip(mean, SURE * np.sqrt(square), most, strict=True):
        if a > 0 and np.isfinite(limit):
            share = min(share, float((np.sqrt(b**2 + 4 * a * limit) - b) / (2 * a)) ** 2)
    return share


def _affordable(asked: Bools, use: Floats, most: Floats, place: Floats, share: float) -> float:
    """The largest share up to the requested one whose draws keep all limits."""
    rows = np.flatnonzero(asked)
    rows = rows[np.argsort(place[rows], kind="stable")]
    fits = (np.cumsum(use[rows], axis=0) <= most).all(axis=1)
    return share if fits.all() else float(place[rows[np.argmin(fits)]])
