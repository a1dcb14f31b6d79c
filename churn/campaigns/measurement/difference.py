"""Difference of two groups: its interval at one look, and an anytime-valid one."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from churn.arrays import Bools, Floats

Z = 1.959963984540054  # normal quantile, 2.5 % on either side
POWERED = 2.8015852  # 1.96 + .84: standard errors for 80 % power

LEVEL = 0.05
NARROWEST = 8.2  # the information, in units of the mixture's, at which the reach is smallest


@dataclass(frozen=True)
class Difference:
    """Mean of treated minus mean of control customers; `error` is its standard error.

    `tails` are the 2.5 and 97.5 % quantiles of the studentised difference without an effect: those
    of the normal distribution, or of `churn.campaigns.measurement.randomisation`.
    """

    treated: float
    kept: float
    error: float
    customers: int
    tails: tuple[float, float] = (-Z, Z)

    @property
    def estimate(self) -> float:
        """The effect per customer, treated minus control."""
        return self.treated - self.kept

    def interval(self, widening: float = 1.0) -> tuple[float, float]:
        """The 95 % bounds for one look, or those `widening` times as far from the estimate."""
        if self.error == 0:
            return self.estimate, self.estimate
        lower, upper = (widening * tail * self.error for tail in self.tails)
        return self.estimate - upper, self.estimate - lower

    def is_clear(self, widening: float = 1.0) -> bool:
        """Whether the interval excludes zero."""
        low, high = self.interval(widening)
        return low > 0 or high < 0

    @property
    def smallest_shown(self) -> float:
        """The minimum detectable difference with 80 % power, at 5 %."""
        lower, upper = self.tails
        return POWERED * self.error * (upper - lower) / (2 * Z)

    @property
    def customers_needed(self) -> float:
        """Customers needed, in the same shares, to detect a difference as large as the estimate."""
        if self.estimate == 0:
            return math.inf
        return self.customers * (self.smallest_shown / self.estimate) ** 2


def difference(outcome: Floats, treated: Bools) -> Difference:
    """The difference with Welch's standard error, one row per customer.

    Both groups need two customers; otherwise the error is NaN.

    >>> effect = difference(np.array([1.0, 0.0, 0.0, 0.0]), np.array([True, True, False, False]))
    >>> effect.estimate, effect.error
    (0.5, 0.5)
    """
    treatment, control = outcome[treated], outcome[~treated]
    error = math.sqrt(_variance_of_mean(treatment) + _variance_of_mean(control))
    return Difference(_mean(treatment), _mean(control), error, len(outcome))


def cuped(outcome: Floats, treated: Bools, *covariates: Floats) -> Floats:
    """The outcome adjusted by covariates: same expected difference, smaller error.

    outcome - sum of theta (covariate - its mean), theta the slopes within the groups. A missing
    value counts as average. Covariates must be known before the randomisation. Source: Deng, Xu,
    Kohavi and Walker (2013).
    """
    centred = np.column_stack([_centred(covariate) for covariate in covariates])
    within = np.column_stack([_within(column, treated) for column in centred.T])
    slopes = np.linalg.lstsq(within, _within(outcome, treated))[0]
    return np.asarray(outcome - (centred * slopes).sum(axis=1))


def _centred(covariate: Floats) -> Floats:
    """Minus its mean, 0 where it is missing."""
    known = np.isfinite(covariate)
    mean = covariate[known].mean() if known.any() else 0.0
    return np.where(known, covariate - mean, 0.0)


def _within(values: Floats, treated: Bools) -> Floats:
    """The values minus the mean of their group."""
    return np.asarray(values - np.where(treated, _mean(values[treated]), _mean(values[~treated])))


def _mean(values: Floats) -> float:
    return float(values.mean()) if len(values) else math.nan


def _variance_of_mean(values: Floats) -> float:
    return float(values.var(ddof=1)) / len(values) if len(values) > 1 else math.nan


def reach_at_any_look(information: float, *, level: float = LEVEL) -> float:
    """Half-width, in standard errors, of an interval with coverage 1 - `level` over all looks.

    `information` is the time scale of the looks: at 1 the reach is smallest, 3.04 instead of 1.96
    standard errors; it is infinite at 0. Between two looks it must grow by at least as much as
    their estimates lose in correlation: corr(s, t)^2 >= information(s) / information(t). For sums
    over days without negative correlation that is the share of elapsed days; for "at least once"
    the odds (see `odds`). Source: normal mixture boundary, Robbins (1970); Howard, Ramdas,
    McAuliffe and Sekhon (2021), "Time-uniform, nonparametric, nonasymptotic confidence sequences",
    eq. 14; it is the mixture SPRT of Johari et al. (2022).

    >>> round(reach_at_any_look(1.0), 2), round(reach_at_any_look(0.1), 2)
    (3.04, 3.82)
    """
    if information <= 0:
        return math.inf
    ratio = NARROWEST * information
    return math.sqrt((1 + 1 / ratio) * (math.log1p(ratio) - 2 * math.log(level)))


def odds(share: float, customers: int) -> float:
    """The information of "at least once": the correlation of a share at two looks follows its odds.

    For indicators that only turn on, corr(s, t)^2 = odds(p_s) / odds(p_t), for any customers.
    Finite even if everyone did.

    >>> odds(0.75, 1_000)
    3.0
    """
    known = min(share, 1 - 0.5 / max(customers, 1))
    return known / (1 - known)
