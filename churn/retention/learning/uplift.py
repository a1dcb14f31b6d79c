"""Does a ranking find those whom an offer moves? Uplift at k and the Qini curve, with intervals.

Radcliffe (2007), Using control groups to target on predicted lift. Rows are weighted by 1 /
propensity, so that lots of unequal chances compare like with like.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from churn.errors import ConfigError
from churn.modeling.metrics import Interval
from churn.retention.learning.resample import customer_draws
from churn.retention.learning.trial import Trial
from churn.retention.offers import NO_OFFER

__all__ = ["Contrast", "Ranking", "UpliftReport", "judge_rankings"]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

SHARES = np.linspace(0.0, 1.0, 101)


@dataclass(frozen=True)
class Contrast:
    """One offer against none: who was sent it (else kept), what came of it, with what weight."""

    sent: Bools
    retained: Floats
    weight: Floats
    customer: NDArray[np.generic]

    @classmethod
    def of(cls, trial: Trial, offer: str) -> tuple[Self, NDArray[np.intp]]:
        """The contrast, and the positions of its rows in the trial."""
        sent, kept = trial.was_given(offer), trial.was_given(NO_OFFER)
        rows = np.flatnonzero(trial.could_get(offer) & (sent | kept))
        part = trial.only(rows)
        return cls(sent[rows], part.retained, 1 / part.propensity, part.customer), rows


@dataclass(frozen=True)
class Ranking:
    """A contrast in the order of a score, highest first; ties count as one step, at their mean."""

    order: NDArray[np.intp]
    ends: NDArray[np.intp]
    columns: Floats  # weight of sent, retained of them, weight of kept, retained of them

    @classmethod
    def of(cls, contrast: Contrast, score: ArrayLike) -> Self:
        """The contrast ranked by a score."""
        scored = np.asarray(score, dtype=float)
        order = np.argsort(-scored, kind="stable")
        ends = np.flatnonzero(np.r_[np.diff(scored[order]) != 0, True])
        sent, weight = contrast.sent[order], contrast.weight[order]
        retained = weight * contrast.retained[order]
        columns = np.stack([weight * sent, retained * sent, weight * ~sent, retained * ~sent])
        return cls(order, ends, columns)

    def uplift_at(self, shares: Floats, drawn: Floats | None = None) -> Floats:
        """P(retained | sent) - P(retained | kept) among each share ranked highest.

        `drawn` says how often each row of the contrast counts. NaN where an arm is empty.
        """
        times = np.ones(len(self.order)) if drawn is None else drawn[self.order]
        reached = np.cumsum(times)[self.ends]
        totals = np.cumsum(self.columns * times, axis=1)[:, self.ends]
        place = np.r_[0.0, reached / reached[-1]]
        sent, sent_retained, kept, kept_retained = (
            np.interp(shares, place, np.r_[0.0, total]) for total in totals
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(sent_retained / sent - kept_retained / kept)

    def qini_area(self, drawn: Floats | None = None) -> float:
        """The area between the curve share x uplift(share) and the straight line to its end:
        retained customers more than at random, per customer of the base.
        """
        uplift = np.nan_to_num(self.uplift_at(SHARES, drawn))
        above = SHARES * (uplift - uplift[-1])
        return float(np.trapezoid(above, SHARES))


@dataclass(frozen=True)
class UpliftReport:
    """What the rankings of one contrast are worth, each with its 95 % bootstrap interval.

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
    contrast: Contrast,
    scores: Mapping[str, ArrayLike],
    *,
    share: float = 0.3,
    replicates: int = 300,
    seed: int = 0,
) -> UpliftReport:
    """The rankings on the same draws of customers; the first is the one that has to be ahead."""
    if not 0 < share < 1:
        raise ConfigError("share must be between 0 and 1", got=share, fix="Pass e.g. 0.3.")
    rankings = {name: Ranking.of(contrast, score) for name, score in scores.items()}
    draws = customer_draws(contrast.customer, replicates=replicates, seed=seed)
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
    """Uplift at the share, uplift of all, and Qini area of each ranking, a row each."""
    shares = np.array([share, 1.0])
    return np.array(
        [[*one.uplift_at(shares, drawn), one.qini_area(drawn)] for one in rankings.values()]
    )
