"""Frictions: found if planted, silent if not, and not confused with ordering often."""

import numpy as np
import pytest

from churn.analytics.frictions import compare_frictions, strata

KINDS = {"late delivery": 0.15, "ticket": 0.08, "return": 0.2}


def shop(rng, customers, ratio=1.0):
    """Who orders often has more frictions, and lapses less."""
    rate = rng.gamma(1.5, size=customers)
    orders = rng.poisson(rate)
    days = orders + rng.poisson(rate * 8) + 1
    recency = np.where(orders > 0, rng.exponential(28 / (1 + orders)), 28 + rng.exponential(40))
    had = {name: rng.binomial(orders, share) > 0 for name, share in KINDS.items()}
    risk = 0.6 * np.exp(-0.5 * np.minimum(rate, 6)) * np.where(recency > 20, 1.2, 0.8)
    risk = np.clip(risk * np.where(had["late delivery"], ratio, 1), 0, 1)
    groups = strata(recency.round(), days.astype(float), orders.astype(float))
    return rng.random(customers) < risk, groups, had


def test_a_planted_ratio_is_found_with_an_interval_that_holds_it():
    rng = np.random.default_rng(1)
    for _ in range(5):
        first, *_ = compare_frictions(*shop(rng, 10_000, ratio=1.5))
        assert (first.name, first.is_named) == ("late delivery", True)
        assert first.interval[0] < 1.55
        assert first.interval[1] > 1.45


def test_with_none_planted_hardly_any_is_named():
    rng = np.random.default_rng(2)
    runs = [compare_frictions(*shop(rng, 10_000)) for _ in range(40)]
    assert sum(any(one.is_named for one in run) for run in runs) <= 2


def test_a_friction_that_protects_is_not_named():
    rng = np.random.default_rng(3)
    found = {one.name: one for one in compare_frictions(*shop(rng, 10_000, ratio=0.5))}
    assert found["late delivery"].ratio < 0.7
    assert not found["late delivery"].is_named


def test_observed_and_expected_are_counted_by_stratum():
    """Stratum 0: 2 of 4 with it lapse, 1 of 4 without; stratum 1: 1 of 1, 1 of 2."""
    lapsed = np.array([1, 1, 0, 0, 1, 0, 0, 0, 1, 1, 0], dtype=bool)
    groups = np.array([0] * 8 + [1] * 3)
    had = np.array([1, 1, 1, 1, 0, 0, 0, 0, 1, 0, 0], dtype=bool)
    (one,) = compare_frictions(lapsed, groups, {"ticket": had})
    assert (one.observed, one.lapses, one.exposed) == (3, 5, 5)
    assert one.expected == pytest.approx(4 * 1 / 4 + 1 * 1 / 2)
    assert one.ratio == 2
    assert one.p_value is None


def test_a_customer_with_nobody_alike_is_counted_and_left_out():
    lapsed = np.array([1, 0, 1], dtype=bool)
    had = np.array([1, 0, 1], dtype=bool)
    (one,) = compare_frictions(lapsed, np.array([0, 0, 1]), {"ticket": had})
    assert (one.exposed, one.unmatched, one.lapses) == (1, 1, 1)


def test_strata_keep_few_values_and_halve_many():
    few = np.array([0.0, 1.0, 1.0, 2.0])
    assert len(set(strata(few).tolist())) == 3
    many = np.arange(800.0)
    assert np.bincount(strata(many)).tolist() == [100] * 8
