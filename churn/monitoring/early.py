"""The early check: returners expected by day d of an open horizon, compared with those who came.

A model states for each customer the probability p of no purchase within the horizon. Long before
the horizon closes, the customers who come back show whether its level is right: by day d,
Σ (1 - p) F_b(d) of them are expected, where F_b(d) is the share of the returners of probability
band b who were back by day d at past cutoffs. F_b is stable from cutoff to cutoff, and the little
that it varies is part of the interval.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Literal

import numpy as np
import pandas as pd
from scipy.stats import norm

from churn.arrays import Floats, Ints

State = Literal["ok", "alarm", "too few"]

BANDS = 5
MINUS = "\u2212"
LEAST_CUTOFFS = 2
"""Past cutoffs from which the variation of F_b is known."""
LEAST_EXPECTED = 30.0
"""Expected returners, below which nothing can be said."""
LEAST_DEVIATION = 0.05
"""A smaller relative deviation raises no alarm, however certain it is."""
FAMILY_ERROR = 0.01
LEVEL = 0.95


@dataclass(frozen=True)
class ReturnCurve:
    """F_b(d): the share of returners back by day d, for each band of churn probability.

    `edges` are the inner bounds of the bands. `shares` has the shape (bands, horizon + 1), from day
    0 to the horizon; `spread` is the relative standard deviation between the past cutoffs of the
    returners by each day, given how many returned at all.
    """

    edges: Floats
    shares: Floats
    spread: Floats
    cutoffs: int

    @property
    def horizon_days(self) -> int:
        """The days of the horizon."""
        return int(self.shares.shape[1]) - 1

    @classmethod
    def of(cls, past: pd.DataFrame, horizon_days: int) -> ReturnCurve:
        """The curve of past cutoffs: `cutoff`, `probability` and `return_day` of each row, the days
        from the start of its window to the first purchase, NaN for those who did not return.
        """
        back = past[past["return_day"].notna()]
        probability = back["probability"].to_numpy(dtype=np.float64)
        inner = np.linspace(0, 1, BANDS + 1)[1:-1]
        edges = np.unique(np.quantile(probability, inner)) if len(back) else np.empty(0)
        band = np.asarray(np.searchsorted(edges, probability, side="right"), dtype=np.int64)
        days = back["return_day"].to_numpy(dtype=np.int64)
        shares = _cumulative(days, band, len(edges) + 1, horizon_days)
        nobody = np.bincount(band, minlength=len(shares)) == 0  # with ties, a band may be empty
        shares[nobody] = _cumulative(days, np.zeros_like(band), 1, horizon_days)
        codes, cutoffs = pd.factorize(back["cutoff"])
        by_cutoff = _cumulative(days, codes, len(cutoffs), horizon_days, shares=False)
        expected = np.zeros_like(by_cutoff)
        np.add.at(expected, codes, shares[band])
        return cls(edges, shares, _relative_spread(by_cutoff, expected), len(cutoffs))

    def by(self, day: int, probability: Floats) -> Floats:
        """F_b(day) of each customer."""
        return np.asarray(self.shares[self._bands(probability), day])

    def _bands(self, probability: Floats) -> Ints:
        return np.asarray(np.searchsorted(self.edges, probability, side="right"), dtype=np.int64)


def _cumulative(
    days: Ints, groups: Ints, count: int, horizon_days: int, *, shares: bool = True
) -> Floats:
    """Returners of each group by the end of day 0, 1, … horizon, as shares or as numbers."""
    cells = groups * horizon_days + np.clip(days, 0, horizon_days - 1)
    counts = np.bincount(cells, minlength=count * horizon_days).reshape(count, horizon_days)
    upto = np.hstack([np.zeros((count, 1)), counts.cumsum(axis=1)])
    return upto / np.maximum(upto[:, -1:], 1) if shares else upto


def _relative_spread(observed: Floats, expected: Floats) -> Floats:
    """The relative standard deviation over cutoffs of observed over expected, on each day."""
    if len(observed) < LEAST_CUTOFFS:
        return np.full(observed.shape[1], np.nan)
    ratio = np.divide(observed, expected, out=np.ones_like(observed), where=expected > 0)
    return np.asarray(ratio.std(axis=0, ddof=1))


@dataclass(frozen=True)
class EarlyCheck:
    """One cohort of predictions, `day` days into its horizon.

    `deviation` is observed over expected minus 1, `half` half of its 95 % interval. `censored` is
    the number of customers followed only until they were contacted, `treated` of those left out
    because an offer had reached them before.
    """

    cutoff: date
    day: int
    customers: int
    expected: float
    observed: int
    deviation: float
    half: float
    state: State
    treated: int = 0
    censored: int = 0

    def sentence(self) -> str:
        """The finding in one line.

        >>> print(EarlyCheck(
        ...     date(2017, 11, 1), 7, 2000, 1330.0, 1404, 0.0556, 0.03, "alarm").sentence())
        The model expected 1,330 returners by now and 1,404 came (+6 % ± 3): it needs a refit.
        """
        if self.state == "too few":
            return f"Too few to say: {self.expected:.0f} of {LEAST_EXPECTED:.0f} needed."
        told = f"The model expected {self.expected:,.0f} returners by now and {self.observed:,} "
        told += f"came ({signed_percent(self.deviation)} % ± {100 * self.half:.0f})"
        return f"{told}: it needs a refit." if self.state == "alarm" else f"{told}."


def signed_percent(share: float) -> str:
    """A share in whole percent with a typographic sign.

    >>> signed_percent(0.021), signed_percent(-0.001)
    ('+2', '0')
    """
    whole = round(100 * share)
    return "0" if whole == 0 else f"{MINUS if whole < 0 else '+'}{abs(whole)}"


def early_check(
    curve: ReturnCurve,
    cohort: pd.DataFrame,
    *,
    cutoff: date,
    day: int,
    looks: int = 1,
    treated: int = 0,
) -> EarlyCheck:
    """The check of a cohort of customers whom no offer had reached by its cutoff.

    `cohort` has `probability`, `return_day` (NaN: not back by `day`) and `contact_day`, the days to
    the first offer after the cutoff (NaN: none). Without such contacts the expected number is
    Σ (1 - p) F_b(day). Who is contacted later is chosen among those who had not come back, so these
    may neither be left out nor counted to the end: then every customer is followed until the
    contact, and expected are the summed hazards until the return or the end of the follow-up, which
    is unbiased whatever the choice depended on (a martingale; Andersen et al. 1993).

    An alarm needs a deviation of at least 5 % that is certain at 99 % over all `looks`.
    """
    probability = cohort["probability"].to_numpy(dtype=np.float64)
    came = cohort["return_day"].fillna(np.inf).to_numpy(dtype=np.float64)
    contact = cohort["contact_day"].fillna(np.inf).to_numpy(dtype=np.float64)
    until = np.minimum(contact, day)
    censored = int((until < np.minimum(came, day)).sum())
    observed = int((came < until).sum())
    if censored:
        expected, variance = _followed(curve, probability, came, until, day)
    else:
        back = (1 - probability) * curve.by(day, probability)
        expected, variance = float(back.sum()), float((back * (1 - back)).sum())
    between = expected * curve.spread[day] * np.sqrt(1 + 1 / max(curve.cutoffs, 1))
    error = float(np.sqrt(variance + between**2)) / max(expected, 1e-12)
    deviation = observed / max(expected, 1e-12) - 1
    return EarlyCheck(
        cutoff=cutoff,
        day=day,
        customers=len(cohort),
        expected=expected,
        observed=observed,
        deviation=deviation,
        half=float(norm.ppf((1 + LEVEL) / 2)) * error,
        state=_state(expected, deviation, error, looks),
        treated=treated,
        censored=censored,
    )


def _followed(
    curve: ReturnCurve, probability: Floats, came: Floats, until: Floats, day: int
) -> tuple[float, float]:
    """The summed hazards of returning, day by day while a customer is at risk, and their
    variance.
    """
    expected = variance = 0.0
    before = np.zeros(len(probability))
    for end in range(1, day + 1):
        by_now = (1 - probability) * curve.by(end, probability)
        hazard = (by_now - before) / np.maximum(1 - before, 1e-12)
        at_risk = (came >= end - 1) & (until >= end)
        expected += float(hazard[at_risk].sum())
        variance += float((hazard * (1 - hazard))[at_risk].sum())
        before = by_now
    return expected, variance


def _state(expected: float, deviation: float, error: float, looks: int) -> State:
    if expected < LEAST_EXPECTED or not np.isfinite(error):
        return "too few"
    width = float(norm.ppf(1 - FAMILY_ERROR / (2 * looks)))
    certain = abs(deviation) > width * error
    return "alarm" if certain and abs(deviation) >= LEAST_DEVIATION else "ok"
