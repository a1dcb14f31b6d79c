"""Looking at the result every day gives at most 5 % false positives."""

import math

import numpy as np
import pytest

from churn.campaigns.measurement.difference import Z, odds, reach_at_any_look

DAYS, CUSTOMERS, CAMPAIGNS = 28, 300, 800


def purchases(rng, kind):
    """Purchases per customer and day of a campaign without effect."""
    if kind == "regular":  # on the same weekday every week, with some weeks missed
        weekday = rng.integers(0, 7, CUSTOMERS)
        day = np.arange(DAYS)
        return ((day % 7 == weekday[:, None]) & (rng.random((CUSTOMERS, DAYS)) < 0.9)) * 1.0
    rate = rng.gamma(0.8, 0.05, CUSTOMERS) if kind == "mixed" else np.full(CUSTOMERS, 0.05)
    return rng.poisson(rate[:, None], (CUSTOMERS, DAYS)).astype(float)


def looks(kind, outcome, *, seed):
    """|difference| in standard errors and the reach, on every day of many campaigns."""
    rng = np.random.default_rng(seed)
    statistic, reach = np.zeros((CAMPAIGNS, DAYS)), np.zeros((CAMPAIGNS, DAYS))
    for campaign in range(CAMPAIGNS):
        total = purchases(rng, kind).cumsum(axis=1)
        if outcome == "retained":
            total = np.minimum(total, 1.0)
        treated = rng.permutation(CUSTOMERS) < CUSTOMERS // 2
        groups = total[treated], total[~treated]
        error = np.sqrt(sum(group.var(axis=0, ddof=1) / len(group) for group in groups))
        gap = np.abs(groups[0].mean(axis=0) - groups[1].mean(axis=0))
        statistic[campaign] = np.divide(gap, error, out=np.zeros(DAYS), where=error > 0)
        clock = (
            [odds(share, CUSTOMERS) for share in total.mean(axis=0)]
            if outcome == "retained"
            else (np.arange(DAYS) + 1) / DAYS
        )
        reach[campaign] = [reach_at_any_look(moment) for moment in clock]
    return statistic, reach


@pytest.mark.parametrize("kind", ["alike", "mixed", "regular"])
@pytest.mark.parametrize("outcome", ["retained", "orders"])
def test_daily_looks_have_at_most_5_percent_false_positives(kind, outcome):
    statistic, reach = looks(kind, outcome, seed=4)
    assert (statistic > reach).any(axis=1).mean() <= 0.05


def test_the_fixed_sample_interval_has_many_more_false_positives_at_daily_looks():
    statistic, _ = looks("alike", "orders", seed=4)
    assert (statistic > Z).any(axis=1).mean() > 0.15


def test_brownian_motion_crosses_the_boundary_at_about_the_stated_rate():
    """In many fine steps, for which the boundary is nearly tight."""
    rng = np.random.default_rng(5)
    time = np.geomspace(1e-3, 1e3, 3_000)
    steps = rng.normal(0, 1, (2_000, len(time))) * np.sqrt(np.diff(time, prepend=0))
    standard = np.abs(steps.cumsum(axis=1)) / np.sqrt(time)
    reach = np.array([reach_at_any_look(moment) for moment in time])
    left = (standard > reach).any(axis=1).mean()
    assert 0.015 < left < 0.06


def test_without_information_the_interval_is_infinite():
    assert reach_at_any_look(0.0) == math.inf
    assert odds(0.0, 100) == 0.0


def test_the_reach_is_never_less_than_that_of_a_single_look():
    assert min(reach_at_any_look(x) for x in np.geomspace(1e-3, 1e3, 200)) > Z


def test_the_odds_are_finite_if_everyone_is_retained():
    assert odds(1.0, 100) == pytest.approx(199)
