"""Intervals that hold at every look: who peeks before the end may stop at any of the peeks."""

from __future__ import annotations

import math

__all__ = ["LEVEL", "odds", "reach_at_any_look"]

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
