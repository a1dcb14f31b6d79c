"""Purchases and dropout: the BG/NBD model, fitted by maximum likelihood.

While alive, a customer buys at a Poisson rate drawn from Gamma(r, alpha); after every purchase they
drop out with a probability drawn from Beta(a, b). Source: Fader, Hardie and Lee (2005),
"Counting your customers" the easy way, Marketing Science 24(2), 275-284.

A history is three numbers, the last two in one unit of time of the caller's choice:

- frequency: repeat purchases, without the first one;
- recency: time from the first purchase to the last, 0 without a repeat;
- age: time from the first purchase to now.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from scipy.special import betaincinv, digamma, expit, gammaln, hyp2f1

from churn.arrays import Floats, dot
from churn.errors import ConfigError, DataError, GateError, ModelError

_LOG_BOUND = 9.0  # parameters stay in [1e-4, 8e3], with the mean age as the unit of time
_FALLBACK_PRECISION = 0.1  # one standard deviation is a factor of 24
_POLE_MARGIN = 1e-6  # distance kept from the removable singularities of the expectation


@dataclass(frozen=True)
class BGNBD:
    """The four parameters of a population; `alpha` is in the unit of time of the histories.

    >>> cdnow = BGNBD(r=0.243, alpha=4.414, a=0.793, b=2.426)  # in weeks
    >>> round(float(cdnow.expected_purchases(39, 2, 30.43, 38.86)), 3)
    1.226
    >>> cdnow.probability_alive([0, 2], [0, 30.43], [38.86, 38.86]).round(2)
    array([1.  , 0.73])
    """

    r: float
    alpha: float
    a: float
    b: float

    def __post_init__(self) -> None:
        broken = {name: value for name, value in asdict(self).items() if not 0 < value < np.inf}
        if broken:
            rule = "BG/NBD parameters must be positive and finite"
            raise ConfigError(rule, got=broken, fix="Use those of BGNBD.fit(...).")

    @classmethod
    def fit(
        cls,
        frequency: ArrayLike,
        recency: ArrayLike,
        age: ArrayLike,
        *,
        weights: ArrayLike | None = None,
        prior_precision: float = 0.0,
    ) -> Self:
        """The maximum likelihood estimate, each row counted `weights` times.

        `prior_precision` is that of a normal prior on the logarithms of the four parameters around
        0, with the mean age as the unit of time: 0 is plain maximum likelihood. If nobody bought
        twice, no maximum exists, and a precision of at least 0.1 is used: few expected purchases,
        and the fewer the more customers there are. Raises `DataError` for impossible histories and
        `GateError` for none.
        """
        histories = _Histories.of(frequency, recency, age, weights)
        if not histories.weight.sum() > 0:
            raise GateError("BG/NBD needs a customer", got="none", fix="Pick a later cutoff.")
        if not dot(histories.weight, histories.frequency) > 0:
            prior_precision = max(prior_precision, _FALLBACK_PRECISION)
        unit = float(np.average(histories.age, weights=histories.weight)) or 1.0
        r, alpha, a, b = _most_likely(histories.in_units_of(unit), prior_precision).tolist()
        return cls(r, alpha * unit, a, b)

    @classmethod
    def from_dict(cls, parameters: Mapping[str, float]) -> Self:
        """The model that `to_dict` described; `ModelError` if the names differ."""
        names = [field.name for field in fields(cls)]
        if set(parameters) != set(names):
            rule = f"BG/NBD parameters must be {names}"
            raise ModelError(rule, got=sorted(parameters), fix="Read what to_dict() wrote.")
        return cls(**{name: float(value) for name, value in parameters.items()})

    def to_dict(self) -> dict[str, float]:
        """The parameters as plain floats, suitable for JSON."""
        return {name: float(value) for name, value in asdict(self).items()}

    def log_likelihood(
        self,
        frequency: ArrayLike,
        recency: ArrayLike,
        age: ArrayLike,
        *,
        weights: ArrayLike | None = None,
    ) -> float:
        """The total log-likelihood of all histories, each counted `weights` times."""
        histories = _Histories.of(frequency, recency, age, weights)
        parameters = np.array([self.r, self.alpha, self.a, self.b])
        return _log_likelihood_and_slope(histories, parameters)[0]

    def probability_alive(self, frequency: ArrayLike, recency: ArrayLike, age: ArrayLike) -> Floats:
        """P(not dropped out by now); 1 without a repeat purchase, NaN for NaN."""
        x, t_x, now = _floats(frequency, recency, age)
        log_odds = _log_odds_of_dropout(self.r, self.alpha, self.a, self.b, x, t_x, now)
        return np.asarray(expit(-log_odds))

    def expected_purchases(
        self, horizon: ArrayLike, frequency: ArrayLike, recency: ArrayLike, age: ArrayLike
    ) -> Floats:
        """Mean number of purchases in the `horizon` after now, given the history (equation 10)."""
        t, x, now = _floats(horizon, frequency, age)
        alive = self.probability_alive(frequency, recency, age)
        return np.asarray(alive * self._expected_while_alive(t, x, now))

    def probability_no_purchase(
        self, horizon: ArrayLike, frequency: ArrayLike, recency: ArrayLike, age: ArrayLike
    ) -> Floats:
        """P(no purchase in the `horizon` after now), given the history.

        Customers who dropped out never buy; the rate of the others is
        Gamma(r + frequency, alpha + age), so they stay away with probability
        ((alpha + age) / (alpha + age + horizon))^(r + frequency).
        """
        t, x, now = _floats(horizon, frequency, age)
        buys = -np.expm1(-(self.r + x) * np.log1p(t / (self.alpha + now)))
        return np.asarray(1.0 - buys * self.probability_alive(frequency, recency, age))

    def _expected_while_alive(self, t: Floats, x: Floats, now: Floats) -> Floats:
        """Mean purchases in the next t while alive: c / (a - 1) (1 - 2F1(r + x, a - 1; c; -y)).

        With y = t / (alpha + age) and c = a + b + x - 1. Pfaff's transformations turn the 2F1 into
        (1 + y)^-power 2F1(other, power; c; y / (1 + y)); the smaller power keeps it bounded.
        """
        y = t / (self.alpha + now)
        drift, shape = _off_zero(self.a - 1.0), self.r + x
        c = _off_zero(drift + self.b + x)
        power, other = np.minimum(drift, shape), c - np.maximum(drift, shape)
        with np.errstate(over="ignore", invalid="ignore"):
            series = np.exp(-power * np.log1p(y)) * hyp2f1(other, power, c, y / (1.0 + y))
            expected = np.asarray(np.maximum(c / drift * (1.0 - series), 0.0))
        overflown = ~np.isfinite(expected) | ~np.isfinite(series)
        if overflown.any():
            expected[overflown] = self._expected_by_quantiles(y[overflown], x[overflown])
        return expected

    def _expected_by_quantiles(self, y: Floats, x: Floats) -> Floats:
        """The same mean, E[(1 - (1 + p y)^-(r + x)) / p], over 64 quantiles of Beta(a, b + x)."""
        total = np.zeros_like(x)
        for level in (np.arange(64) + 0.5) / 64:
            p = np.maximum(betaincinv(self.a, self.b + x, level), 1e-300)
            total += -np.expm1(-(self.r + x) * np.log1p(p * y)) / p
        return total / 64


@dataclass(frozen=True)
class _Histories:
    """The distinct histories, by ascending frequency, and the weight of each."""

    frequency: Floats
    recency: Floats
    age: Floats
    weight: Floats

    @classmethod
    def of(
        cls, frequency: ArrayLike, recency: ArrayLike, age: ArrayLike, weights: ArrayLike | None
    ) -> Self:
        x, t_x, now, weight = (
            np.atleast_1d(column)
            for column in _floats(frequency, recency, age, 1.0 if weights is None else weights)
        )
        _check_possible(x, t_x, now, weight)
        order = np.lexsort((now, t_x, x))
        rows = np.stack([x, t_x, now])[:, order]
        starts = _run_starts(rows)
        x, t_x, now = rows[:, starts]
        return cls(x, t_x, now, np.add.reduceat(weight[order], starts))

    def in_units_of(self, unit: float) -> _Histories:
        return _Histories(self.frequency, self.recency / unit, self.age / unit, self.weight)


def _most_likely(histories: _Histories, prior_precision: float) -> Floats:
    """The parameters (r, alpha, a, b) that maximise likelihood times prior; time of order 1."""

    def loss(log_parameters: Floats) -> tuple[float, Floats]:
        parameters = np.exp(log_parameters)
        value, slope = _log_likelihood_and_slope(histories, parameters)
        value -= 0.5 * prior_precision * dot(log_parameters, log_parameters)
        slope = slope * parameters - prior_precision * log_parameters
        return -value / customers, -slope / customers

    customers = histories.weight.sum()
    found = minimize(
        loss,
        np.zeros(4),
        jac=True,
        method="L-BFGS-B",
        bounds=[(-_LOG_BOUND, _LOG_BOUND)] * 4,
        options={"maxiter": 1000, "ftol": 1e-13, "gtol": 1e-8},
    )
    return np.asarray(np.exp(found.x))


def _log_likelihood_and_slope(histories: _Histories, parameters: Floats) -> tuple[float, Floats]:
    """The log-likelihood of all histories and its derivatives by r, alpha, a and b."""
    r, alpha, a, b = parameters
    x, t_x, now = histories.frequency, histories.recency, histories.age
    weight, bought = histories.weight, r + x
    log_odds = _log_odds_of_dropout(r, alpha, a, b, x, t_x, now)
    odds = np.exp(-np.abs(log_odds))
    dead = np.where(log_odds > 0, 1.0, odds) / (1.0 + odds)
    log_last, log_now = np.log(alpha + t_x), np.log(alpha + now)
    value, slope = _frequency_terms(x, weight, parameters)
    value += dot(weight, np.maximum(log_odds, 0.0) + np.log1p(odds) - bought * log_now)
    by_r = log_now + dead * (log_last - log_now)
    by_alpha = bought * ((1.0 - dead) / (alpha + now) + dead / (alpha + t_x))
    by_b = dead / (b + np.maximum(x, 1.0) - 1.0)
    slope -= [dot(weight, by) for by in (by_r, by_alpha, -dead / a, by_b)]
    return value, slope


def _frequency_terms(x: Floats, weight: Floats, parameters: Floats) -> tuple[float, Floats]:
    """The terms that depend on the frequency alone, taken once per distinct frequency."""
    r, alpha, a, b = parameters
    starts = _run_starts(x[np.newaxis])
    x, weight = x[starts], np.add.reduceat(weight, starts)
    value = gammaln(r + x) - gammaln(r) + r * np.log(alpha)
    value += gammaln(a + b) - gammaln(a + b + x) + gammaln(b + x) - gammaln(b)
    by_r = digamma(r + x) - digamma(r) + np.log(alpha)
    by_a = digamma(a + b) - digamma(a + b + x)
    by_b = by_a + digamma(b + x) - digamma(b)
    slope = [dot(weight, by_r), weight.sum() * r / alpha, dot(weight, by_a), dot(weight, by_b)]
    return dot(weight, value), np.array(slope)


def _log_odds_of_dropout(
    r: float, alpha: float, a: float, b: float, x: Floats, t_x: Floats, now: Floats
) -> Floats:
    """Log odds of having dropped out; minus infinity for x = 0, because that takes a repeat."""
    elapsed = np.log1p((now - t_x) / (alpha + t_x))
    log_odds = np.log(a) - np.log(b + np.maximum(x, 1.0) - 1.0) + (r + x) * elapsed
    return np.where(x == 0, -np.inf, log_odds)


def _check_possible(x: Floats, t_x: Floats, now: Floats, weight: Floats) -> None:
    """`DataError` unless 0 <= frequency, 0 <= recency <= age, 0 <= weight, all finite."""
    finite = np.isfinite(x + t_x + now + weight)
    possible = finite & (x >= 0) & (t_x >= 0) & (t_x <= now) & (weight >= 0)
    if not possible.all():
        raise DataError(
            "histories must be finite with 0 <= recency <= age, frequency >= 0 and weight >= 0",
            got=f"{np.count_nonzero(~possible)} impossible of {x.size}",
            fix="Count recency and age from the first purchase, in one unit of time.",
        )


def _run_starts(rows: Floats) -> NDArray[np.intp]:
    """Where each run of equal columns begins."""
    changes = (rows[:, 1:] != rows[:, :-1]).any(axis=0)
    return np.flatnonzero(np.r_[rows.shape[1] > 0, changes])


def _floats(*columns: ArrayLike) -> tuple[Floats, ...]:
    try:
        return np.broadcast_arrays(*(np.asarray(column, dtype=np.float64) for column in columns))
    except ValueError as error:
        raise DataError(
            "histories must be numbers of the same length",
            got=str(error),
            fix="Pass columns of one table.",
        ) from error


def _off_zero(value: ArrayLike) -> Floats:
    """The value, moved away from 0 by a millionth if it is closer."""
    number = np.asarray(value, dtype=np.float64)
    return np.where(np.abs(number) < _POLE_MARGIN, np.copysign(_POLE_MARGIN, number), number)
