"""The verdict on an offer after an experiment, which decides the effect that the planner uses.

`individual`: the effect per customer. `average`: the average effect. `too small to tell`: the
effect assumed before the experiment.
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

MIN_CUSTOMERS_PER_ARM = 250
SMALLEST_EFFECT = 0.01
MAX_SHIFT = 15.0


def verdict(
    average: Estimate, smaller_arm: int, report: UpliftReport | None
) -> tuple[Verdict, tuple[str, ...]]:
    """The verdict and its reasons; `smaller_arm` is the number of customers in it.

    An average effect is reported if its interval excludes zero, or is so narrow that the effect
    must be small. Individual effects ship if the uplift at k is above zero and, over all shares
    (Qini area), the ranking beats random targeting and targeting by risk, each with a 95 %
    bootstrap interval above zero.
    """
    if smaller_arm < MIN_CUSTOMERS_PER_ARM:
        few = f"the smaller arm has {smaller_arm:,} customers, {MIN_CUSTOMERS_PER_ARM} needed"
        return "too small to tell", (few,)
    gaps = {} if report is None else _gaps(report)
    reasons = tuple(_reason(ranking, rival, gap) for (ranking, rival), gap in gaps.items())
    if gaps and all(gap.low > 0 for gap in gaps.values()):
        return "individual", reasons
    width = average.high - average.low
    if average.low > 0 or average.high < 0:
        return "average", (*reasons, "the average effect differs from zero")
    if width <= 2 * SMALLEST_EFFECT:
        return "average", (*reasons, "the average effect is small in either direction")
    return "too small to tell", (*reasons, "the interval of the average effect includes zero")


def _gaps(report: UpliftReport) -> Mapping[tuple[str, str], Interval]:
    """The advantage of the first ranking, by what is compared and the alternative."""
    top = f"treating the top {report.share:.0%} by predicted effect"
    ranking = "ranking by predicted effect, over all shares,"
    area = next(iter(report.qini.values()))
    return {
        (top, "treating nobody"): report.ahead["none"],
        (ranking, "treating at random"): area,
        (ranking, "ranking by risk"): report.qini_ahead["risk"],
    }


def _reason(ranking: str, rival: str, gap: Interval) -> str:
    verb = "beats" if gap.low > 0 else "does not beat"
    return f"{ranking} {verb} {rival}: {difference(gap)}"


def log_odds_shift_of(effect: float, retained: NDArray[np.float64]) -> float:
    """The common shift of the retention log-odds that raises the mean probability by `effect`.

    At most `MAX_SHIFT` in either direction, for effects that cannot be reached.

    >>> round(log_odds_shift_of(0.03, np.array([0.8])), 4)
    0.1993
    """
    odds = logit(np.clip(retained, 1e-6, 1 - 1e-6))

    def gap(shift: float) -> float:
        return float(expit(odds + shift).mean() - expit(odds).mean()) - effect

    if gap(-MAX_SHIFT) > 0 or gap(MAX_SHIFT) < 0:
        return float(np.copysign(MAX_SHIFT, effect))
    return float(brentq(gap, -MAX_SHIFT, MAX_SHIFT))


def with_mean(rate: float, retained: NDArray[np.float64]) -> NDArray[np.float64]:
    """The probabilities after a common shift of their log-odds that makes their mean `rate`.

    >>> with_mean(0.5, np.array([0.2, 0.2])).round(4)
    array([0.5, 0.5])
    """
    shift = log_odds_shift_of(rate - float(retained.mean()), retained)
    shifted: NDArray[np.float64] = expit(logit(np.clip(retained, 1e-6, 1 - 1e-6)) + shift)
    return shifted


def customers_per_arm(effect: float, retained: float) -> int:
    """Customers in each of two equal arms to detect this effect: 16 p (1 - p) / effect^2.

    For a power of 80 % at a two-sided 5 % (Lehr 1992). Effects below one percentage point of
    retention count as one point.

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
    intervals = {
        key: {name: dict(vars(interval)) for name, interval in part.items()}
        for key, part in parts.items()
    }
    return {"share": report.share, **intervals}
