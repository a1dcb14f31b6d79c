"""Kaplan-Meier: how long until something happens, when for some it has not happened yet.

Times are counted, so that millions of customers are one row per distinct time. The variance is
Greenwood's, the interval of the survival is on the scale log(-log S), and that of the median holds
the times at which the interval of the survival contains one half.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from churn.arrays import Floats, Ints

Z_95 = 1.959963984540054


@dataclass(frozen=True)
class SurvivalCurve:
    """The survival after each of the distinct `times`, all of shape (times,).

    `at_risk` and `events` are counts; `low` and `high` bound the 95 % interval; an interval is NaN
    before the first event and after the last customer.
    """

    times: Floats
    at_risk: Ints
    events: Ints
    survival: Floats
    std_error: Floats
    low: Floats
    high: Floats

    @property
    def median(self) -> float:
        """The first time at which at most half remain; NaN if more than half always do."""
        return _first(self.times, self.survival <= 0.5 + 1e-12)

    @property
    def median_interval(self) -> tuple[float, float]:
        """The 95 % interval of the median; a bound that is not reached is NaN."""
        return _first(self.times, self.low <= 0.5), _first(self.times, self.high <= 0.5)

    def at(self, time: float) -> int:
        """The place of the last of the `times` that is at most `time`; -1 before the first."""
        return int(np.searchsorted(self.times, time, side="right")) - 1


def kaplan_meier(
    times: Floats, events: Ints, censored: Ints, *, scale: Literal["log-log", "log"] = "log-log"
) -> SurvivalCurve:
    """The curve of events and censorings counted at each of the times, which ascend.

    Whoever is censored at the time of an event is still at risk there. `scale` is that of the
    interval; R's survfit uses "log" unless told otherwise.
    """
    times = np.asarray(times, dtype=np.float64)
    events, censored = np.asarray(events), np.asarray(censored)
    leaving = events + censored
    at_risk: Ints = leaving.sum() - np.cumsum(leaving) + leaving
    with np.errstate(divide="ignore", invalid="ignore"):
        factors = np.where(at_risk > 0, 1.0 - events / at_risk, 1.0)
        survival: Floats = np.asarray(np.cumprod(factors), dtype=np.float64)
        terms = events / (at_risk * (at_risk - events).astype(np.float64))
        greenwood = np.cumsum(np.where(events > 0, terms, 0.0))
        std_error = np.asarray(survival * np.sqrt(greenwood))
        half = Z_95 * np.sqrt(greenwood)
        if scale == "log":
            low, high = survival * np.exp(-half), np.minimum(survival * np.exp(half), 1.0)
        else:
            spread = half / np.abs(np.log(survival))
            low, high = survival ** np.exp(spread), survival ** np.exp(-spread)
    undefined = ~((survival > 0) & (survival < 1))
    for bound in (low, high):
        bound[undefined] = np.nan
    return SurvivalCurve(
        times=times,
        at_risk=at_risk,
        events=events,
        survival=survival,
        std_error=std_error,
        low=low,
        high=high,
    )


def _first(times: Floats, where: Floats | np.ndarray) -> float:
    places = np.flatnonzero(where)
    return float(times[places[0]]) if len(places) else float("nan")
