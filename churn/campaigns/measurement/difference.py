"""Difference of two groups: its interval at one look, and one that holds at every look."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]

Z = 1.959963984540054  # of the normal, 2.5 % on either side
POWERED = 2.8015852  # 1.96 + .84: standard errors that show an effect with 80 % power


@dataclass(frozen=True)
class Difference:
    """Mean of the treated minus mean of the kept, per customer; `error` is its standard error."""

    treated: float
    kept: float
    error: float
    customers: int

    @property
    def estimate(self) -> float:
        """What the treated have more."""
        return self.treated - self.kept

    def interval(self, reach: float = Z) -> tuple[float, float]:
        """The bounds `reach` standard errors away: of 95 % for one look."""
        if self.error == 0:
            return self.estimate, self.estimate
        return self.estimate - reach * self.error, self.estimate + reach * self.error

    def is_clear(self, reach: float = Z) -> bool:
        """Whether the interval excludes zero."""
        low, high = self.interval(reach)
        return low > 0 or high < 0

    @property
    def smallest_shown(self) -> float:
        """The least true difference that so many customers show with 80 % power, at 5 %."""
        return POWERED * self.error

    @property
    def customers_needed(self) -> float:
        """Customers in the same shares that would show a difference as large as the one found."""
        if self.estimate == 0:
            return math.inf
        return self.customers * (self.smallest_shown / self.estimate) ** 2


def difference(outcome: Floats, treated: Bools) -> Difference:
    """The difference and Welch's standard error, a row a customer.

    Both groups need two customers: the error is not a number otherwise.

    >>> found = difference(np.array([1.0, 0.0, 0.0, 0.0]), np.array([True, True, False, False]))
    >>> found.estimate, found.error
    (0.5, 0.5)
    """
    ours, theirs = outcome[treated], outcome[~treated]
    error = math.sqrt(_variance_of_mean(ours) + _variance_of_mean(theirs))
    return Difference(_mean(ours), _mean(theirs), error, len(outcome))


def cuped(outcome: Floats, treated: Bools, covariate: Floats) -> Floats:
    """The outcome less what was foreseeable of it: same difference on average, smaller error.

    outcome - theta (covariate - its mean), theta the slope within the groups. Who has no covariate
    counts as average. It must be known before the groups were drawn.
    Source: Deng, Xu, Kohavi and Walker (2013).
    """
    known = np.isfinite(covariate)
    if not known.any():
        return outcome
    away = np.where(known, covariate - covariate[known].mean(), 0.0)
    inside, response = _within(away, treated), _within(outcome, treated)
    spread = float(inside @ inside)
    return outcome if spread == 0 else np.asarray(outcome - (inside @ response / spread) * away)


def _within(values: Floats, treated: Bools) -> Floats:
    """The values less the mean of their group."""
    return np.asarray(values - np.where(treated, _mean(values[treated]), _mean(values[~treated])))


def _mean(values: Floats) -> float:
    return float(values.mean()) if len(values) else math.nan


def _variance_of_mean(values: Floats) -> float:
    return float(values.var(ddof=1)) / len(values) if len(values) > 1 else math.nan


LEVEL = 0.05
NARROWEST = 8.2  # the information, in units of the mixture's, at which the reach is least


def reach_at_any_look(information: float, *, level: float = LEVEL) -> float:
    """Standard errors to either side that cover the truth at all looks together, at 1 - `level`.

    `information` is a clock of the looks: 1 where the reach is least, 3.04 instead of 1.96
    standard errors; infinite at 0. Between two looks it must grow by at least as much as their
    estimates lose in correlation: corr(s, t)^2 >= information(s) / information(t). For sums over
    days whose gains are not negatively correlated that is the share of the days; for "at least
    once" the odds (see `odds`).
    Source: normal mixture boundary, Robbins (1970); Howard, Ramdas, McAuliffe and Sekhon (2021),
    "Time-uniform, nonparametric, nonasymptotic confidence sequences", eq. 14; it is the mixture
    SPRT of Johari et al. (2022).

    >>> round(reach_at_any_look(1.0), 2), round(reach_at_any_look(0.1), 2)
    (3.04, 3.82)
    """
    if information <= 0:
        return math.inf
    ratio = NARROWEST * information
    return math.sqrt((1 + 1 / ratio) * (math.log1p(ratio) - 2 * math.log(level)))


def odds(share: float, customers: int) -> float:
    """The clock of "at least once": a share measured twice correlates like its odds.

    For indicators that only turn on, corr(s, t)^2 = odds(p_s) / odds(p_t), whoever the customers
    are. Kept finite where everyone did.

    >>> odds(0.75, 1_000)
    3.0
    """
    known = min(share, 1 - 0.5 / max(customers, 1))
    return known / (1 - known)
