"""What a purchase day is worth: the Gamma-Gamma model, fitted by maximum likelihood.

The spend of a customer's purchase days is Gamma(p, nu), with nu distributed over customers as
Gamma(q, gamma); how much a customer spends is independent of how often they buy. Sources: Fader
and Hardie (2013), "The Gamma-Gamma Model of Monetary Value"; Fader, Hardie and Lee (2005), "RFM
and CLV", Journal of Marketing Research 42(4), 415-430.

A history is two numbers:

- days: purchase days with a positive spend;
- mean_spend: the mean spend of those days, in one currency; ignored without a day.

A few enormous amounts can dominate the fit: winsorise them first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize
from scipy.special import betaln, digamma

from churn.arrays import Floats, dot
from churn.errors import ConfigError, DataError, GateError, ModelError

_LOG_BOUND = 9.0  # p, q - 1 and the population's mean stay above 1e-4, the first two below 8e3
_LOG_LARGEST_MEAN = np.log(10.0)  # in units of the observed mean: beyond it, q has run into 1


@dataclass(frozen=True)
class GammaGamma:
    """The three parameters of a population; `gamma` is in the currency of the spends.

    Its mean spend is p * gamma / (q - 1), so q is above 1.

    >>> cdnow = GammaGamma(p=6.25, q=3.74, gamma=15.44)  # in dollars
    >>> round(float(cdnow.expected_mean_spend(0, 0)), 2)
    35.22
    >>> cdnow.expected_mean_spend([1, 2, 50], 100).round(1)
    array([80.3, 88.4, 99.4])
    """

    p: float
    q: float
    gamma: float

    def __post_init__(self) -> None:
        floors = {"p": 0.0, "q": 1.0, "gamma": 0.0}
        given = asdict(self)
        broken = {name: given[name] for name in floors if not floors[name] < given[name] < np.inf}
        if broken:
            rule = "Gamma-Gamma parameters must be positive and finite, with q above 1"
            raise ConfigError(rule, got=broken, fix="Use those of GammaGamma.fit(...).")

    @classmethod
    def fit(
        cls, days: ArrayLike, mean_spend: ArrayLike, *, weights: ArrayLike | None = None
    ) -> Self:
        """The maximum likelihood estimate, each row counted `weights` times.

        Rows of 0 days carry no information and are skipped. The population's mean spend is kept
        finite (q > 1) and within ten times the observed one. If nobody bought on two days, the
        variation between customers cannot be separated from that between days: half and half is
        assumed (p = q - 1), which gives the population's mean the weight of one purchase day.
        Raises `DataError` for impossible histories and `GateError` for none.
        """
        histories = _Histories.of(days, mean_spend, weights)
        if not histories.weight.sum() > 0:
            raise GateError("Gamma-Gamma needs a purchase", got="none", fix="Pick a later cutoff.")
        unit = float(np.average(histories.mean_spend, weights=histories.weight))
        p, q, gamma = _most_likely(histories.in_units_of(unit)).tolist()
        return cls(p, q, gamma * unit)

    @classmethod
    def from_dict(cls, parameters: Mapping[str, float]) -> Self:
        """The model that `to_dict` described; `ModelError` if the names differ."""
        names = [field.name for field in fields(cls)]
        if set(parameters) != set(names):
            rule = f"Gamma-Gamma parameters must be {names}"
            raise ModelError(rule, got=sorted(parameters), fix="Read what to_dict() wrote.")
        return cls(**{name: float(value) for name, value in parameters.items()})

    def to_dict(self) -> dict[str, float]:
        """The parameters as plain floats, suitable for JSON."""
        return {name: float(value) for name, value in asdict(self).items()}

    def log_likelihood(
        self, days: ArrayLike, mean_spend: ArrayLike, *, weights: ArrayLike | None = None
    ) -> float:
        """The total log density of all mean spends, each counted `weights` times."""
        histories = _Histories.of(days, mean_spend, weights)
        parameters, log_total = np.array([self.p, self.q, self.gamma]), np.log(histories.total)
        value, _ = _log_likelihood_and_slope(histories, log_total, parameters)
        return value - dot(histories.weight, np.log(histories.mean_spend))

    def expected_mean_spend(self, days: ArrayLike, mean_spend: ArrayLike) -> Floats:
        """Mean spend of a customer's future purchase days, given those so far (equation 5).

        It is between their own mean and the population's, the closer to their own the more days
        they bought on; the population's for 0 days, NaN for NaN.
        """
        x, mean = _floats(days, mean_spend)
        prior = self.q - 1.0
        own = np.where(x == 0, 0.0, mean)
        share = self.p * x / (self.p * x + prior)
        return np.asarray(share * own + (1.0 - share) * (self.p * self.gamma / prior))


@dataclass(frozen=True)
class _Histories:
    """The histories that carry information, in their own order; `total` is days times mean."""

    days: Floats
    total: Floats
    weight: Floats

    @classmethod
    def of(cls, days: ArrayLike, mean_spend: ArrayLike, weights: ArrayLike | None) -> Self:
        x, mean, weight = (
            np.atleast_1d(column)
            for column in _floats(days, mean_spend, 1.0 if weights is None else weights)
        )
        _check_possible(x, mean, weight)
        order = np.lexsort((weight, mean, x))
        order = order[(x[order] > 0) & (weight[order] > 0)]
        return cls(x[order], x[order] * mean[order], weight[order])

    @property
    def mean_spend(self) -> Floats:
        return self.total / self.days

    def in_units_of(self, unit: float) -> _Histories:
        return _Histories(self.days, self.total / unit, self.weight)


def _most_likely(histories: _Histories) -> Floats:
    """The maximum likelihood parameters (p, q, gamma); spends of order 1.

    The search is over the logarithms of p, q - 1 and the population's mean, which unlike gamma
    stays put when p and q diverge together.
    """
    # Rows are logarithms, columns the free parameters: without a second day, p = q - 1.
    free = np.eye(3) if (histories.days > 1).any() else np.array([[1, 0], [1, 0], [0, 1.0]])
    bounds = [(-_LOG_BOUND, _LOG_BOUND)] * (free.shape[1] - 1) + [(-_LOG_BOUND, _LOG_LARGEST_MEAN)]
    log_total, customers = np.log(histories.total), histories.weight.sum()

    def loss(point: Floats) -> tuple[float, Floats]:
        p, prior, mean = np.exp(free @ point)
        q, gamma = 1.0 + prior, mean * prior / p
        value, (by_p, by_q, by_gamma) = _log_likelihood_and_slope(
            histories, log_total, np.array([p, q, gamma])
        )
        by_mean = gamma * by_gamma
        slope = np.array([p * by_p - by_mean, prior * by_q + by_mean, by_mean]) @ free
        return -value / customers, -slope / customers

    found = minimize(
        loss,
        np.zeros(free.shape[1]),
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        options={"maxiter": 1000, "ftol": 1e-13, "gtol": 1e-8},
    )
    p, prior, mean = np.exp(free @ found.x)
    return np.array([p, 1.0 + prior, mean * prior / p])


def _log_likelihood_and_slope(
    histories: _Histories, log_total: Floats, parameters: Floats
) -> tuple[float, Floats]:
    """The log-likelihood of all histories and its derivatives by p, q and gamma.

    The term that depends only on the spends, minus the sum of log(mean spend), is left out.
    """
    p, q, gamma = parameters
    weight, evidence = histories.weight, p * histories.days + q
    log_share = np.log1p(gamma / histories.total)  # log((gamma + total) / total)
    log_odds = weight.sum() * np.log(gamma) - dot(weight, log_total)
    weighted = weight * log_share
    value, slope = _day_terms(histories, p, q)
    value += float(q * log_odds - dot(evidence, weighted))
    by_gamma = weight.sum() * q / gamma - dot(evidence, weight / (gamma + histories.total))
    slope += [-dot(histories.days, weighted), log_odds - weighted.sum(), by_gamma]
    return value, slope


def _day_terms(histories: _Histories, p: float, q: float) -> tuple[float, Floats]:
    """The terms that depend on the days alone, computed once per distinct number of days."""
    x = histories.days
    starts = np.flatnonzero(np.diff(x, prepend=-1.0))
    x = x[starts]
    weight = np.add.reduceat(histories.weight, starts) if x.size else x
    together = digamma(p * x + q)
    by_p = x * (together - digamma(p * x))
    slope = [dot(weight, by_p), dot(weight, together - digamma(q)), 0.0]
    return -dot(weight, betaln(p * x, q)), np.array(slope)


def _check_possible(x: Floats, mean: Floats, weight: Floats) -> None:
    """`DataError` unless 0 <= days and 0 <= weight, finite, and 0 < mean_spend if days > 0."""
    spent = (x == 0) | (np.isfinite(x) & np.isfinite(mean) & (mean > 0))
    possible = spent & (x >= 0) & (weight >= 0) & np.isfinite(weight)
    if not possible.all():
        raise DataError(
            "spends must be finite with days >= 0, mean_spend > 0 and weight >= 0",
            got=f"{np.count_nonzero(~possible)} impossible of {x.size}",
            fix="Count the purchase days with a positive spend only.",
        )


def _floats(*columns: ArrayLike) -> tuple[Floats, ...]:
    try:
        return np.broadcast_arrays(*(np.asarray(column, dtype=np.float64) for column in columns))
    except ValueError as error:
        raise DataError(
            "spends must be numbers of the same length",
            got=str(error),
            fix="Pass columns of one table.",
        ) from error
