"""Evaluation of rankings by effect: uplift at k and the Qini curve, with intervals.

Radcliffe (2007), Using control groups to target on predicted lift. Rows are weighted by 1 /
propensity, so that unequal shares do not bias the comparison.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from churn.arrays import Bools, Floats
from churn.errors import ConfigError
from churn.modeling.metrics import Interval, draws_of
from churn.offers.catalogue import NO_OFFER
from churn.uplift.experiment import ExperimentData, customer_codes

SHARES = np.linspace(0.0, 1.0, 101)


@dataclass(frozen=True)
class Contrast:
    """One offer against none: whether each row was sent it, its outcome and its weight."""

    sent: Bools
    retained: Floats
    weight: Floats
    customer: NDArray[np.generic]

    @classmethod
    def of(cls, data: ExperimentData, offer: str) -> tuple[Self, NDArray[np.intp]]:
        """The contrast, and the positions of its rows in the experiment."""
        sent, kept = data.was_given(offer), data.was_given(NO_OFFER)
        rows = np.flatnonzero(data.could_get(offer) & (sent | kept))
        part = data.only(rows)
        return cls(sent[rows], part.retained, 1 / part.propensity, part.customer), rows


class Ranking(ABC):
    """Rows in descending order of a score; ties count as one step, at their mean."""

    @abstractmethod
    def uplift_at(self, shares: Floats, drawn: Floats | None = None) -> Floats:
        """P(retained | sent) - P(retained | control) among each top share of the ranking.

        `drawn` is how often each row counts. NaN if a share has no rows.
        """

    def qini_area(self, drawn: Floats | None = None) -> float:
        """The area between the curve share x uplift(share) and the straight line to its end:
        additional retained customers compared with a random order, per customer.
        """
        uplift = np.nan_to_num(self.uplift_at(SHARES, drawn))
        above = SHARES * (uplift - uplift[-1])
        return float(np.trapezoid(above, SHARES))


@dataclass(frozen=True)
class Steps:
    """The descending order of a score, and the end of each run of ties."""

    order: NDArray[np.intp]
    ends: NDArray[np.intp]

    @classmethod
    def of(cls, score: ArrayLike) -> Self:
        """The rows in descending order of the score."""
        scored = np.asarray(score, dtype=float)
        order = np.argsort(-scored, kind="stable")
        return cls(order, np.flatnonzero(np.r_[np.diff(scored[order]) != 0, True]))

    def totals(self, columns: Floats, shares: Floats, drawn: Floats | None) -> Floats:
        """The number of rows and the sum of each column (in this order) within each share."""
        times = np.ones(len(self.order)) if drawn is None else drawn[self.order]
        sums = np.cumsum(np.vstack([times, columns * times]), axis=1)[:, self.ends]
        place = np.r_[0.0, sums[0] / sums[0, -1]]
        return np.array([np.interp(shares, place, np.r_[0.0, total]) for total in sums])


@dataclass(frozen=True)
class RobustRanking(Ranking):
    """Uplift as the mean of doubly robust pseudo-outcomes: predicted outcomes remove noise, and
    rows of other offers contribute, too.
    """

    steps: Steps
    pseudo: Floats

    @classmethod
    def of(cls, pseudo: ArrayLike, score: ArrayLike) -> Self:
        """Pseudo-outcomes ranked by a score that had not seen their customers."""
        steps = Steps.of(score)
        return cls(steps, np.asarray(pseudo, dtype=float)[steps.order])

    def uplift_at(self, shares: Floats, drawn: Floats | None = None) -> Floats:
        """See `Ranking`."""
        rows, total = self.steps.totals(self.pseudo[None, :], shares, drawn)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(total / rows)


@dataclass(frozen=True)
class UpliftReport:
    """The evaluation of the rankings of one offer, each with its 95 % bootstrap interval.

    `uplift` is that at the share k by ranking, `qini` the area. `ahead` is how much the uplift at
    k of the first ranking exceeds "none" (nobody is treated), "all" (everyone, or as many at
    random) and each other ranking; `qini_ahead` how much its area exceeds those.
    """

    share: float
    uplift: Mapping[str, Interval]
    qini: Mapping[str, Interval]
    ahead: Mapping[str, Interval]
    qini_ahead: Mapping[str, Interval]


def judge_rankings(
    rankings: Mapping[str, Ranking],
    customer: ArrayLike,
    *,
    share: float = 0.3,
    replicates: int = 300,
    seed: int = 0,
) -> UpliftReport:
    """The evaluation of rankings of the same rows, on the same bootstrap draws of customers; the
    first is compared with the others.
    """
    if not 0 < share < 1:
        raise ConfigError("share must be between 0 and 1", got=share, fix="Pass e.g. 0.3.")
    draws = draws_of(customer_codes(customer), replicates, seed)
    whole = _measured(rankings, share, None)
    found = np.array([_measured(rankings, share, drawn) for drawn in draws])
    found = found.reshape(-1, *whole.shape)
    first = next(iter(rankings))
    place = {name: number for number, name in enumerate(rankings)}

    def interval(row: int, column: int, less: tuple[int, int] | None = None) -> Interval:
        taken, drawn = whole[row, column], found[:, row, column]
        if less is not None:
            taken, drawn = taken - whole[less], drawn - found[:, less[0], less[1]]
        return Interval.of(float(taken), drawn)

    ahead = {"none": interval(0, 0), "all": interval(0, 0, less=(0, 1))}
    others = {name: interval(0, 0, less=(n, 0)) for name, n in place.items() if name != first}
    return UpliftReport(
        share=share,
        uplift={name: interval(n, 0) for name, n in place.items()},
        qini={name: interval(n, 2) for name, n in place.items()},
        ahead=ahead | others,
        qini_ahead={
            name: interval(0, 2, less=(n, 2)) for name, n in place.items() if name != first
        },
    )


def _measured(rankings: Mapping[str, Ranking], share: float, drawn: Floats | None) -> Floats:
    """Uplift at the share, uplift of everyone and Qini area, one row per ranking."""
    shares = np.array([share, 1.0])
    return np.array(
        [[*one.uplift_at(shares, drawn), one.qini_area(drawn)] for one in rankings.values()]
    )
