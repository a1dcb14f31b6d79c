"""Customer lifetime value over a horizon: BG/NBD for purchases, Gamma-Gamma for their spend.

The interval is that of the mean per customer: the uncertainty of the seven fitted parameters (from
the curvature of the two likelihoods, by the delta method), and that customers differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa

from churn.analytics.customer_base import CustomerBase
from churn.analytics.survival import Z_95
from churn.arrays import Floats, dot
from churn.data.history.columns import whole_numbers
from churn.data.history.past import Past
from churn.errors import GateError
from churn.features.lifetime_fits import HISTORIES, as_of_age, purchase_histories

NAN = float("nan")
FITTED_TO, CURVED_BY = 20_000, 4_000
"""At most so many customers are used for the parameters, and for their uncertainty."""

LONGEST = 1 << 17
"""More days than there are in any history."""

STEP = 1e-3
"""Of the logarithm of a parameter, for differences."""


@dataclass(frozen=True)
class LifetimeValue:
    """Per customer who has bought: the margin so far, and that expected in `horizon_days` with its
    95 % interval; NaN if the models cannot be fitted.
    """

    customers: int
    realised: float
    expected: float
    low: float
    high: float
    horizon_days: int


def lifetime_value(base: CustomerBase, *, horizon_days: int, margin_rate: float) -> LifetimeValue:
    """The value at the base's date; `margin_rate` turns spend into margin."""
    rows = base.sweep(_histories, HISTORIES)
    found = {name: whole_numbers(rows[name]).astype(np.float64) for name in rows.column_names}
    customers = int(found["customers"].sum())
    if not customers:
        return LifetimeValue(0, NAN, NAN, NAN, NAN, horizon_days)
    realised = margin_rate * dot(found["spend_cents"], found["customers"]) / 100 / customers
    try:
        expected, error = _expected(found, horizon_days)
    except GateError:
        expected, error = NAN, NAN
    expected, half = margin_rate * expected, margin_rate * Z_95 * error
    low, high = max(expected - half, 0.0), expected + half
    return LifetimeValue(customers, realised, expected, low, high, horizon_days)


def _histories(pasts: Iterable[Past]) -> Iterator[pa.RecordBatch]:
    return (purchase_histories(past) for past in pasts)


def _sampled(rows: Mapping[str, Floats], most: int) -> Mapping[str, Floats]:
    """The histories of every k-th customer, so that `most` remain."""
    total = rows["customers"].sum()
    if total <= most:
        return rows
    chosen = (np.arange(most) + 0.5) * total / most
    places = np.searchsorted(np.cumsum(rows["customers"]), chosen, side="right")
    kept, customers = np.unique(places, return_counts=True)
    chosen_rows = {name: values[kept] for name, values in rows.items()}
    return {**chosen_rows, "customers": customers.astype(np.float64)}


def _expected(rows: Mapping[str, Floats], horizon_days: int) -> tuple[float, float]:
    """The mean spend expected per customer, and its standard error."""
    from churn.features.lifetime import BGNBD
    from churn.features.spend import GammaGamma

    history = (rows["purchase_days"] * LONGEST + rows["tenure_days"]) * LONGEST
    order = np.lexsort([rows["spend_cents"], history + rows["recency_days"]])
    ordered = {name: values[order] for name, values in rows.items()}
    some = _Histories.of(_sampled(ordered, FITTED_TO))
    few = _Histories.of(_sampled(some.rows, CURVED_BY))
    buying = BGNBD.fit(*some.history, weights=some.weight)
    spending = GammaGamma.fit(some.days, some.mean, weights=some.weight)

    def values(parameters: Floats, of: _Histories) -> Floats:
        bought = BGNBD(*parameters[:4].tolist()).expected_purchases(horizon_days, *of.history)
        model = GammaGamma(*parameters[4:].tolist())
        return np.asarray(bought * model.expected_mean_spend(of.days, of.mean))

    def buying_fit(p: Floats) -> float:
        return BGNBD(*p.tolist()).log_likelihood(*few.history, weights=few.scaled(some))

    def spending_fit(p: Floats) -> float:
        model = GammaGamma(*p.tolist())
        return model.log_likelihood(few.days, few.mean, weights=few.scaled(some))

    fitted = np.array([*buying.to_dict().values(), *spending.to_dict().values()])
    slope = _slope(lambda p: few.averaged(values(p, few)), fitted)
    variance = _variance(buying_fit, fitted[:4], slope[:4])
    variance += _variance(spending_fit, fitted[4:], slope[4:])
    each = values(fitted, some)
    expected = some.averaged(each)
    spread = some.averaged((each - expected) ** 2)
    return expected, float(np.sqrt(variance + spread / some.weight.sum()))


@dataclass(frozen=True)
class _Histories:
    """Distinct histories, and the customers of each as `weight`."""

    rows: Mapping[str, Floats]
    history: tuple[Floats, Floats, Floats]
    days: Floats
    mean: Floats
    weight: Floats

    @classmethod
    def of(cls, rows: Mapping[str, Floats]) -> _Histories:
        mean = rows["spend_cents"] / 100 / rows["purchase_days"]
        return cls(rows, as_of_age(rows), rows["purchase_days"], mean, rows["customers"])

    def averaged(self, values: Floats) -> float:
        """The mean over customers."""
        return dot(self.weight, values) / float(self.weight.sum())

    def scaled(self, other: _Histories) -> Floats:
        """The weights, for as many customers as the other has."""
        return np.asarray(self.weight * (other.weight.sum() / self.weight.sum()))


def _slope(function: Callable[[Floats], float], at: Floats) -> Floats:
    """The derivative by the logarithm of each parameter."""
    steps = np.exp(STEP * np.eye(len(at)))
    return np.array([(function(at * s) - function(at / s)) / (2 * STEP) for s in steps])


def _variance(function: Callable[[Floats], float], at: Floats, slope: Floats) -> float:
    """The variance of a value with that slope, from the curvature of a log-likelihood."""
    places = range(len(at))
    curvature = np.array([_slope(partial(_slope_along, function, one), at) for one in places])
    values, vectors = np.linalg.eigh(-(curvature + curvature.T) / 2)
    along = (vectors.T @ slope) ** 2
    known = values > 1e-9 * max(float(values.max()), 1e-300)  # a flat direction says nothing
    return float((along[known] / values[known]).sum())


def _slope_along(function: Callable[[Floats], float], one: int, at: Floats) -> float:
    step = np.ones(len(at))
    step[one] = np.exp(STEP)
    return (function(at * step) - function(at / step)) / (2 * STEP)
