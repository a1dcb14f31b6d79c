"""The verdict on an offer after an experiment: which of its effects planning may use.

`individual`: the learner finds the customers on whom the offer works. `average`: only the average
effect is known. `too small to tell`: not even that, and the assumed effect remains in use.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit, logit

from churn.modeling.metrics import Interval
from churn.results.figures import difference
from churn.uplift.average import Estimate
from churn.uplift.ranking import UpliftReport

Verdict = Literal["individual", "average", "too small to tell"]

LEAST_CUSTOMERS_AN_ARM = 250
SMALLEST_EFFECT = 0.01
MOST_SHIFT = 15.0


def verdict(
    average: Estimate, fewest_customers: int, report: UpliftReport | None
) -> tuple[Verdict, tuple[str, ...]]:
    """The verdict and its reasons; `fewest_customers` are those of the smaller arm.

    An average is used if its interval excludes zero, or is so narrow that the effect must be small.
    Individual effects are used if the uplift at k is above zero and the ranking, over all k by the
    Qini area, beats treating everyone (or as many at random) and treating those most at risk: each
    with a 95 % bootstrap interval above zero.
    """
    if fewest_customers < LEAST_CUSTOMERS_AN_ARM:
        few = f"the smaller arm has {fewest_customers:,} customers, {LEAST_CUSTOMERS_AN_ARM} needed"
        return "too small to tell", (few,)
    gaps = {} if report is None else _gaps(report)
    reasons = tuple(_sentence(rival, gap) for rival, gap in gaps.items())
    if gaps and all(gap.low > 0 for gap in gaps.values()):
        return "individual", reasons
    width = average.high - average.low
    if average.low > 0 or average.high < 0:
        return "average", (*reasons, "the average effect is not zero")
    if width <= 2 * SMALLEST_EFFECT:
        return "average", (*reasons, "the average effect is small, whatever its sign")
    return "too small to tell", (*reasons, "the interval of the average effect includes zero")


def _gaps(report: UpliftReport) -> Mapping[tuple[str, str], Interval]:
    """The lead of the first ranking over each rival, by criterion and rival."""
    share = f"the {report.share:.0%} ranked highest"
    every = "over all shares, the ranking"
    area = next(iter(report.qini.values()))
    return {
        (share, "treating nobody"): report.ahead["none"],
        (every, "treating everyone, or as many at random"): area,
        (every, "treating those most at risk"): report.qini_ahead["risk"],
    }


def _sentence(compared: tuple[str, str], gap: Interval) -> str:
    what, rival = compared
    verb = "beats" if gap.low > 0 else "does not beat"
    return f"{what} {verb} {rival}: {difference(gap)}"


def log_odds_shift_of(effect: float, retained: NDArray[np.float64]) -> float:
    """The common shift of all retention log-odds that raises their mean probability by `effect`.

    Cut to `MOST_SHIFT` if the effect would exceed certainty.

    >>> round(log_odds_shift_of(0.03, np.array([0.8])), 4)
    0.1993
    """
    odds = logit(np.clip(retained, 1e-6, 1 - 1e-6))

    def gap(shift: float) -> float:
        return float(expit(odds + shift).mean() - expit(odds).mean()) - effect

    if gap(-MOST_SHIFT) > 0 or gap(MOST_SHIFT) < 0:
        return float(np.copysign(MOST_SHIFT, effect))
    return float(brentq(gap, -MOST_SHIFT, MOST_SHIFT))


def with_mean(rate: float, retained: NDArray[np.float64]) -> NDArray[np.float64]:
    """The probabilities after a common shift of their log-odds that makes the rate their mean.

    >>> with_mean(0.5, np.array([0.2, 0.2])).round(4)
    array([0.5, 0.5])
    """
    shift = log_odds_shift_of(rate - float(retained.mean()), retained)
    moved: NDArray[np.float64] = expit(logit(np.clip(retained, 1e-6, 1 - 1e-6)) + shift)
    return moved


def customers_per_arm(effect: float, retained: float) -> int:
    """Customers that each of two equal arms needs to show such an effect: 16 p (1 - p) / effect^2.

    That is a power of 80 % at a two-sided 5 % (Lehr 1992). An effect of less than one percentage
    point of retention counts as one point.

    >>> customers_per_arm(0.05, 0.8)
    1024
    """
    size = max(abs(effect), SMALLEST_EFFECT)
    return int(np.ceil(round(16 * retained * (1 - retained) / size**2, 6)))


def to_json(report: UpliftReport) -> Mapping[str, object]:
    """An uplift report as plain JSON."""
    parts = {
        "uplift": report.uplift,
        "qini": report.qini,
        "ahead": report.ahead,
        "qini_ahead": report.qini_ahead,
    }
    found = {
        key: {name: dict(vars(interval)) for name, interval in part.items()}
        for key, part in parts.items()
    }
    return {"share": report.share, **found}
