"""Changes of rates: silence without a change, the planted one first, and nothing twice."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.analytics.changes import (
    EVERYONE,
    Population,
    benjamini_yekutieli,
    find_changes,
)
from churn.analytics.decomposition import kitagawa

VALUES = {"region": ("north", "south", "east"), "channel": ("web", "shop")}


def population(rng, customers, *, fall=0.0, everyone=0.0):
    region = rng.choice(3, size=customers, p=[0.05, 0.45, 0.5])
    channel = np.where(region == 0, rng.random(customers) < 0.1, rng.random(customers) < 0.5)
    kept = 0.9 - fall * (region == 0) - everyone
    groups = {"region": region, "channel": channel.astype(np.int64)}
    return Population(rng.random(customers) < kept, groups)


def named(changes):
    return [(one.split, one.value) for one in changes.signals]


def test_without_a_change_there_is_silence():
    rng = np.random.default_rng(1)
    found = [
        find_changes(population(rng, 5_000), population(rng, 5_000), VALUES) for _ in range(40)
    ]
    assert sum(bool(one.signals) for one in found) <= 2


def test_a_planted_fall_is_named_first_and_what_it_explains_is_not():
    rng = np.random.default_rng(2)
    for _ in range(10):
        before, now = population(rng, 100_000), population(rng, 100_000, fall=0.05)
        assert named(find_changes(before, now, VALUES)) == [("region", "north")]


def test_a_fall_of_everyone_is_reported_once():
    rng = np.random.default_rng(3)
    found = find_changes(population(rng, 50_000), population(rng, 50_000, everyone=0.03), VALUES)
    assert named(found) == [(EVERYONE, EVERYONE)]


def test_a_change_below_the_least_effect_is_not_reported():
    rng = np.random.default_rng(4)
    before, now = population(rng, 100_000), population(rng, 100_000, fall=0.05)
    assert find_changes(before, now, VALUES, least_events=2_000).signals == ()


def test_a_group_with_too_few_expected_events_is_not_tested():
    rng = np.random.default_rng(5)
    found = find_changes(population(rng, 1_000), population(rng, 1_000, fall=0.5), VALUES)
    looks = {(one.split, one.value): one for one in found.looks}
    assert looks["region", "north"].p_value is None
    assert len(found.looks) == 6
    assert found.total.p_value is not None


def test_the_procedure_of_benjamini_and_yekutieli_is_that_of_scipy():
    from scipy.stats import false_discovery_control

    p_values = np.array([0.001, 0.2, 0.004, 0.03, 0.011, 0.6])
    expected = false_discovery_control(p_values, method="by") <= 0.05
    found = benjamini_yekutieli(p_values, looks=6, level=0.05)
    assert (found == expected).all()
    assert found.any()


counts = st.lists(
    st.tuples(st.integers(1, 500), st.floats(0, 1), st.integers(1, 500), st.floats(0, 1)),
    min_size=1,
    max_size=6,
)


@given(counts)
def test_mix_and_rate_add_up_to_the_change(groups):
    n0, p0, n1, p1 = (np.array(column, dtype=float) for column in zip(*groups, strict=True))
    x0, x1 = np.floor(n0 * p0), np.floor(n1 * p1)
    found = kitagawa(n0, x0, n1, x1)
    assert found.change == pytest.approx(x1.sum() / n1.sum() - x0.sum() / n0.sum(), abs=1e-12)


def test_a_group_that_is_new_is_mix_only():
    found = kitagawa(*(np.array(x, dtype=float) for x in ([10, 0], [5, 0], [10, 10], [5, 9])))
    assert found.rate.tolist() == [0, 0]
    assert found.mix.sum() == pytest.approx(0.2)
