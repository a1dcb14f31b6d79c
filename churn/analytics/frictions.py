"""Frictions: what precedes lapses more often than among customers alike.

Who orders more often has more late deliveries, and who has not ordered for long has fewer and
lapses more often. Customers with a friction are therefore compared with customers without one in
the same stratum of recency, frequency and time at risk: the orders that could have gone wrong in
the window. The ratio is a standardised morbidity ratio: lapses observed among customers with the
friction, by those expected at the rate of customers alike (Rothman, Greenland, Lash: Modern
Epidemiology, 3rd ed., chapter 4). It says what precedes a lapse, never what causes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from churn.analytics.changes import benjamini_yekutieli
from churn.analytics.proportions import Z_95
from churn.arrays import Bools, Floats, Ints

LEAST_EXPECTED = 5
LEAST_OBSERVED = 10
FALSE_DISCOVERIES = 0.05
CLASSES = 8


@dataclass(frozen=True)
class Friction:
    """One kind of friction: `observed` lapses of `lapses` were preceded by it, where `expected`
    would be among customers alike; `exposed` customers had it. `unmatched` of them had nobody alike
    without it and are left out. `p_value` is None if there are too few to say.
    """

    name: str
    exposed: int
    unmatched: int
    lapses: int
    observed: int
    expected: float
    log_error: float
    p_value: float | None
    is_named: bool = False

    @property
    def ratio(self) -> float:
        """Observed by expected."""
        return self.observed / self.expected if self.expected > 0 else np.nan

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the ratio."""
        spread = float(np.exp(Z_95 * self.log_error))
        return self.ratio / spread, self.ratio * spread


def strata(*measures: Floats, classes: int = CLASSES) -> Ints:
    """The stratum of each customer: the combination of the classes of all measures.

    A measure has a class for each value if there are few values, else about equal quantiles.
    """
    codes = np.zeros(len(measures[0]), dtype=np.int64)
    for measure in measures:
        distinct = np.unique(measure)
        edges = distinct[1:]
        if len(distinct) > classes:
            edges = np.unique(np.quantile(measure, np.arange(1, classes) / classes))
        codes = codes * (classes + 1) + np.searchsorted(edges, measure, side="right")
    return np.unique(codes, return_inverse=True)[1].astype(np.int64)


def compare_frictions(lapsed: Bools, stratum: Ints, had: Mapping[str, Bools]) -> list[Friction]:
    """The frictions with their ratios, the clearest first; `is_named` if the ratio is above 1
    beyond chance, over all kinds that were compared.

    `lapsed` and each of `had` have the shape (customers,).
    """
    found = [_friction(name, lapsed, stratum, exposed) for name, exposed in had.items()]
    tested = [one for one in found if one.p_value is not None]
    p_values = np.array([one.p_value for one in tested], dtype=np.float64)
    named = benjamini_yekutieli(p_values, looks=len(tested), level=FALSE_DISCOVERIES)
    names = {one.name for one, is_named in zip(tested, named, strict=True) if is_named}
    marked = [
        Friction(**{**one.__dict__, "is_named": one.name in names and one.ratio > 1})
        for one in found
    ]
    return sorted(marked, key=_clearness)


def _clearness(friction: Friction) -> tuple[bool, float]:
    """Those named first, then by p-value, then those with too few to say."""
    return not friction.is_named, 2.0 if friction.p_value is None else friction.p_value


def _friction(name: str, lapsed: Bools, stratum: Ints, exposed: Bools) -> Friction:
    width = int(stratum.max()) + 1 if len(stratum) else 0
    with_it = _counts(stratum, exposed, width), _counts(stratum, exposed & lapsed, width)
    without = _counts(stratum, ~exposed, width), _counts(stratum, ~exposed & lapsed, width)
    matched = (with_it[0] > 0) & (without[0] > 0)
    n1, x1 = (values[matched] for values in with_it)
    n0, x0 = (values[matched] for values in without)
    observed, expected = float(x1.sum()), float((n1 * x0 / n0).sum())
    lapses = int((with_it[1] + without[1])[without[0] > 0].sum())
    error, p_value = np.nan, None
    if expected > 0 and observed > 0:
        error = _log_error(n1, x1, n0, x0)
    if expected >= LEAST_EXPECTED and observed >= LEAST_OBSERVED:
        p_value = _p_value(n1, x1, n0, x0)
    there = int(n1.sum())
    unmatched = int(exposed.sum()) - there
    return Friction(name, there, unmatched, lapses, int(observed), expected, float(error), p_value)


def _counts(stratum: Ints, held: Bools, width: int) -> Floats:
    """The customers by stratum for whom it holds."""
    return np.bincount(stratum[held], minlength=width).astype(np.float64)


def _log_error(n1: Floats, x1: Floats, n0: Floats, x0: Floats) -> float:
    """The standard error of the logarithm of observed by expected (delta method).

    Rates without a lapse, or with lapses only, are smoothed by half a customer of either kind, so
    that no stratum counts as certain.
    """
    observed, expected = x1.sum(), (n1 * x0 / n0).sum()
    smooth0 = (x0 + 0.5) / (n0 + 1)
    smooth1 = (x1 + 0.5) / (n1 + 1)
    of_observed = (n1 * smooth1 * (1 - smooth1)).sum() / observed**2
    of_expected = (n1**2 * smooth0 * (1 - smooth0) / n0).sum() / expected**2
    return float(np.sqrt(of_observed + of_expected))


def _p_value(n1: Floats, x1: Floats, n0: Floats, x0: Floats) -> float:
    """The test of Mantel and Haenszel (1959), that there is no difference in any stratum."""
    from scipy.special import ndtr

    total = n1 + n0
    lapsed = x1 + x0
    some = total > 1
    difference = (x1 - n1 * lapsed / total)[some].sum()
    variance = (n1 * n0 * lapsed * (total - lapsed))[some] / (total**2 * (total - 1))[some]
    if not variance.sum() > 0:
        return 1.0
    return float(2 * ndtr(-abs(difference) / np.sqrt(variance.sum())))
