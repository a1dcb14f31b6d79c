"""Whoever looks every day is misled no more often than once in twenty campaigns."""

import math

import numpy as np
import pytest

from churn.campaigns.measurement.difference import Z, odds, reach_at_any_look

DAYS, CUSTOMERS, CAMPAIGNS = 28, 300, 800


def purchases(rng, kind):
    """Purchases per customer and day of a campaign that changes nothing."""
    if kind == "regular":  # the same weekday every week, and then misses some
        weekday = rng.integers(0, 7, CUSTOMERS)
        day = np.arange(DAYS)
        return ((day % 7 == weekday[:, None]) & (rng.random((CUSTOMERS, DAYS)) < 0.9)) * 1.0
    rate = rng.gamma(0.8, 0.05, CUSTOMERS) if kind == "mixed" else np.full(CUSTOMERS, 0.05)
    return rng.poisson(rate[:, None], (CUSTOMERS, DAYS)).astype(float)


def looks(kind, outcome, *, seed):
    """|difference| in standard errors and the reach, at every day of many campaigns."""
    rng = np.random.default_rng(seed)
    found, reach = np.zeros((CAMPAIGNS, DAYS)), np.zeros((CAMPAIGNS, DAYS))
    for campaign in range(CAMPAIGNS):
        total = purchases(rng, kind).cumsum(axis=1)
        if outcome == "retained":
            total = np.minimum(total, 1.0)
        treated = rng.permutation(CUSTOMERS) < CUSTOMERS // 2
        ours, theirs = total[treated], total[~treated]
        error = np.sqrt(ours.var(axis=0, ddof=1) / len(ours) + theirs.var(0, ddof=1) / len(theirs))
        gap = np.abs(ours.mean(axis=0) - theirs.mean(axis=0))
        found[campaign] = np.divide(gap, error, out=np.zeros(DAYS), where=error > 0)
        clock = (
            [odds(share, CUSTOMERS) for share in total.mean(axis=0)]
            if outcome == "retained"
            else (np.arange(DAYS) + 1) / DAYS
        )
        reach[campaign] = [reach_at_any_look(moment) for moment in clock]
    return found, reach


@pytest.mark.parametrize("kind", ["alike", "mixed", "regular"])
@pytest.mark.parametrize("outcome", ["retained", "orders"])
def test_daily_looks_mislead_at_most_once_in_twenty(kind, outcome):
    found, reach = looks(kind, outcome, seed=4)
    assert (found > reach).any(axis=1).mean() <= 0.05


def test_the_ordinary_interval_would_mislead_daily_lookers_far_more_often():
    found, _ = looks("alike", "orders", seed=4)
    assert (found > Z).any(axis=1).mean() > 0.15


def test_a_brownian_campaign_is_left_at_the_stated_rate_however_long_it_is_watched():
    """The boundary on the process it was made for, in steps so fine and long that it is tight."""
    rng = np.random.default_rng(5)
    time = np.geomspace(1e-3, 1e3, 3_000)
    steps = rng.normal(0, 1, (2_000, len(time))) * np.sqrt(np.diff(time, prepend=0))
    standard = np.abs(steps.cumsum(axis=1)) / np.sqrt(time)
    reach = np.array([reach_at_any_look(moment) for moment in time])
    left = (standard > reach).any(axis=1).mean()
    assert 0.015 < left < 0.06


def test_nothing_seen_tells_nothing():
    assert reach_at_any_look(0.0) == math.inf
    assert odds(0.0, 100) == 0.0


def test_the_reach_is_never_less_than_that_of_one_look():
    assert min(reach_at_any_look(x) for x in np.geomspace(1e-3, 1e3, 200)) > Z


def test_everyone_retained_keeps_the_clock_finite():
    assert odds(1.0, 100) == pytest.approx(199)
