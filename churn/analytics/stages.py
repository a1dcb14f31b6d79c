"""Stages of the customer journey: what each customer went through, from purchases and activity.

A timeline of stages follows from the purchase days alone. After a purchase a customer is in the
stage of that purchase (first purchase, repeat, loyal, won back); without another one they are at
risk after half of the active days, and lapsed after all of them, until the next.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from churn.arrays import Bools, Floats, Ints

STAGES = {
    "aware": "known, but has not bought; no visit or cart in the active days",
    "considering": "has not bought; a visit or a cart in the active days",
    "first purchase": "bought on one day",
    "repeat": "bought on more than one day",
    "loyal": "bought on as many days as the segments' bound for often (F of 4)",
    "at risk": "active, but no purchase in the last half of the active days",
    "lapsed": "bought before, but not in the active days",
    "won back": "the last purchase came after more than the active days without one",
}
AWARE, CONSIDERING, FIRST, REPEAT, LOYAL, AT_RISK, LAPSED, WON_BACK = range(len(STAGES))
ACTIVE = (FIRST, REPEAT, LOYAL, AT_RISK, WON_BACK)
UNKNOWN = "not known before"
NAMES = (*STAGES, UNKNOWN)
"""The stages, and what customers were before anything was known of them."""
NOT_YET = -1
"""Not known yet."""


@dataclass(frozen=True)
class Timeline:
    """Spells of stages, one row each, sorted by customer and start; shapes are (spells,).

    A spell runs from its day `start` to before `end`; `is_over` is false if it still ran at the
    end of the timeline.
    """

    customer: Ints
    stage: Ints
    start: Ints
    end: Ints
    is_over: Bools

    def at(self, day: int, customers: int) -> Ints:
        """The stage of each customer at that date (exclusive: what happened before it), `NOT_YET`
        before the first purchase; shape (customers,).
        """
        found = np.full(customers, NOT_YET, dtype=np.int64)
        ongoing = (self.start < day) & (self.end >= day)
        found[self.customer[ongoing]] = self.stage[ongoing]
        return found


def timeline(
    customer: Ints, day: Ints, *, until: int, active_days: int, loyal_days: float
) -> Timeline:
    """The timeline of purchase days, sorted by customer and day, each once; `until` is exclusive.

    At a date c, a customer whose last purchase is c - active_days or later is active.
    """
    if not len(day):
        return Timeline(*(np.zeros(0, dtype=np.int64),) * 4, np.zeros(0, dtype=bool))
    half = active_days // 2
    begins = np.ones(len(day), dtype=bool)
    begins[1:] = customer[1:] != customer[:-1]
    row = np.arange(len(day))
    place = row - np.maximum.accumulate(np.where(begins, row, 0)) + 1
    gap = np.where(begins, 0, day - np.concatenate([[0], day[:-1]]))
    ends = np.where(np.concatenate([begins[1:], [True]]), until, np.concatenate([day[1:], [until]]))
    censored = np.concatenate([begins[1:], [True]])
    fresh = np.select(
        [place == 1, gap > active_days, place >= loyal_days], [FIRST, WON_BACK, LOYAL], REPEAT
    )
    risk_from, lapse_from = day + half, day + active_days
    parts = [
        (fresh, day, np.minimum(ends, risk_from)),
        (np.full(len(day), AT_RISK), risk_from, np.minimum(ends, lapse_from)),
        (np.full(len(day), LAPSED), lapse_from, ends),
    ]
    stage, start, end = (np.stack([part[i] for part in parts], axis=1).ravel() for i in range(3))
    owner = np.repeat(customer, 3)
    over = np.stack([(end < ends) | ~censored for _, _, end in parts], axis=1).ravel()
    held = end > start
    return _merged(owner[held], stage[held], start[held], end[held], over[held])


def _merged(owner: Ints, stage: Ints, start: Ints, end: Ints, over: Bools) -> Timeline:
    """Adjacent spells of one customer in one stage as one."""
    fresh = np.ones(len(owner), dtype=bool)
    fresh[1:] = (owner[1:] != owner[:-1]) | (stage[1:] != stage[:-1])
    first = np.flatnonzero(fresh)
    last = np.concatenate([first[1:], [len(owner)]]) - 1
    return Timeline(owner[first], stage[first], start[first], end[last], over[last])


def median_duration(days: Floats, is_over: Bools) -> float:
    """The median by Kaplan and Meier (1958) of durations of which some are not over; NaN if fewer
    than half are over by the longest.

    >>> median_duration(np.array([1.0, 2.0, 3.0, 4.0]), np.array([True, True, True, True]))
    2.0
    """
    order = np.argsort(days, kind="stable")
    days, is_over = days[order], is_over[order]
    times, first = np.unique(days, return_index=True)
    at_risk = len(days) - first
    ended = np.add.reduceat(is_over.astype(np.float64), first) if len(days) else np.zeros(0)
    survival = np.cumprod(1 - ended / at_risk)
    below = np.flatnonzero(survival <= 0.5 + 1e-12)
    return float(times[below[0]]) if len(below) else np.nan
