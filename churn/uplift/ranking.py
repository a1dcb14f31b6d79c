"""Evaluation of rankings by effect: uplift at k and the Qini curve, with intervals.

Radcliffe (2007), Using control groups to target on predicted lift. Rows are weighted by
1 / propensity, so that the arms are comparable.
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
    """One offer against none: whether a row was treated (or held out), its outcome and weight."""

    treated: Bools
    retained: Floats
    weight: Floats
    customer: NDArray[np.generic]

    @classmethod
    def of(cls, data: ExperimentData, offer: str) -> tuple[Self, NDArray[np.intp]]:
        """The contrast, and the positions of its rows in the experiment."""
        treated, held_out = data.assigned(offer), data.assigned(NO_OFFER)
        rows = np.flatnonzero(data.in_choice_set(offer) & (treated | held_out))
        part = data.only(rows)
        return cls(treated[rows], part.retained, 1 / part.propensity, part.customer), rows


class Ranking(ABC):
    """Rows ordered by a score, highest first; ties are one step, at their mean."""

    @abstractmethod
    def uplift_at(self, shares: Floats, drawn: Floats | None = None) -> Floats:
        """P(retained | treated) - P(retained | held out) in the top share, for each share.

        `drawn` is how often each row counts. NaN if an arm is empty.
        """

    def qini_area(self, drawn: Floats | None = None) -> float:
        """The area between the curve share x uplift(share) and the straight line to its end:
        additional retained customers compared with random targeting, per customer.
        """
        uplift = np.nan_to_num(self.uplift_at(SHARES, drawn))
        above = SHARES * (uplift - uplift[-1])
        return float(np.trapezoid(above, SHARES))


@dataclass(frozen=True)
class Steps:
    """The order by a score, and the end of each run of ties."""

    order: NDArray[np.intp]
    ends: NDArray[np.intp]

    @classmethod
    def of(cls, score: ArrayLike) -> Self:
        """Rows by score, highest first."""
        scored = np.asarray(score, dtype=float)
        order = np.argsort(-scored, kind="stable")
        return cls(order, np.flatnonzero(np.r_[np.diff(scored[order]) != 0, True]))

    def totals(self, columns: Floats, shares: Floats, drawn: Floats | None) -> Floats:
        """The number of rows and the sum of each column (already in this order) at each share."""
        times = np.ones(len(self.order)) if drawn is None else drawn[self.order]
        sums = np.cumsum(np.vstack([times, columns * times]), axis=1)[:, self.ends]
        reached = np.r_[0.0, sums[0] / sums[0, -1]]
        return np.array([np.interp(shares, reached, np.r_[0.0, total]) for total in sums])


@dataclass(frozen=True)
class RobustRanking(Ranking):
    """Uplift as the mean of doubly robust pseudo-outcomes, which use the outcome model to reduce
    noise, and rows of other offers as well.
    """

    steps: Steps
    pseudo: Floats
    weight: Floats

    @classmethod
    def of(cls, pseudo: ArrayLike, score: ArrayLike, weight: Floats | None = None) -> Self:
        """Pseudo-outcomes, weighted if asked, ranked by an out-of-fold score."""
        steps, values = Steps.of(score), np.asarray(pseudo, dtype=float)
        weight = np.ones(len(values)) if weight is None else weight
        return cls(steps, values[steps.order], weight[steps.order])

    def uplift_at(self, shares: Floats, drawn: Floats | None = None) -> Floats:
        """See `Ranking`."""
        columns = np.stack([self.weight * self.pseudo, self.weight])
        _, total, weight = self.steps.totals(columns, shares, drawn)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(total / weight)


@dataclass(frozen=True)
class UpliftReport:
    """The rankings of one offer, with 95 % bootstrap intervals.

    By ranking, `uplift` is the uplift at the share k and `qini` the Qini area. `ahead` is the
    uplift at k of the first ranking minus that of "none" (treating nobody), "all" (treating at
    random) and of each other ranking; `qini_ahead` the difference in area to each other ranking.
    """

    share: float
    uplift: Mapping[str, Interval]
    qini: Mapping[str, Interval]
    ahead: Mapping[str, Interval]
    qini_ahead: Mapping[str, Interval]


def evaluate_rankings(
    rankings: Mapping[str, Ranking],
    customer: ArrayLike,
    *,
    share: float = 0.3,
    replicates: int = 300,
    seed: int = 0,
) -> UpliftReport:
    """Rankings of the same rows on the same bootstrap draws; the first is compared with all others
    in `ahead`.
    """
    if not 0 < share < 1:
        raise ConfigError("share must be between 0 and 1", got=share, fix="Pass e.g. 0.3.")
    draws = draws_of(customer_codes(customer), replicates, seed)
    estimates = _metrics(rankings, share, None)
    replicated = np.array([_metrics(rankings, share, drawn) for drawn in draws])
    replicated = replicated.reshape(-1, *estimates.shape)
    rows = {name: row for row, name in enumerate(rankings)}
    others = {name: row for name, row in rows.items() if row > 0}

    def interval(row: int, column: int, less: tuple[int, int] | None = None) -> Interval:
        estimate, drawn = estimates[row, column], replicated[:, row, column]
        if less is not None:
            estimate, drawn = estimate - estimates[less], drawn - replicated[:, less[0], less[1]]
        return Interval.of(float(estimate), drawn)

    ahead = {"none": interval(0, 0), "all": interval(0, 0, less=(0, 1))}
    return UpliftReport(
        share=share,
        uplift={name: interval(row, 0) for name, row in rows.items()},
        qini={name: interval(row, 2) for name, row in rows.items()},
        ahead=ahead | {name: interval(0, 0, less=(row, 0)) for name, row in others.items()},
        qini_ahead={name: interval(0, 2, less=(row, 2)) for name, row in others.items()},
    )


def _metrics(rankings: Mapping[str, Ranking], share: float, drawn: Floats | None) -> Floats:
    """Uplift at the share, uplift overall, and Qini area, one row per ranking."""
    shares = np.array([share, 1.0])
    return np.array(
        [
            [*ranking.uplift_at(shares, drawn), ranking.qini_area(drawn)]
            for ranking in rankings.values()
        ]
    )
