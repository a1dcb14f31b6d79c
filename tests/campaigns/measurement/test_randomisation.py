"""The tails of the randomisation: exact without an effect, whatever the outcome looks like."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from churn.campaigns.measurement.difference import difference
from churn.campaigns.measurement.randomisation import draws_for, randomisation_tails


def heavy(customers: int, seed: int) -> np.ndarray:
    """Margins of which a few customers make up most, and half are zero."""
    random = np.random.default_rng(seed)
    return random.pareto(1.3, customers) * (random.random(customers) < 0.5)


def statistic(outcome: np.ndarray, treated: np.ndarray) -> float:
    found = difference(outcome, treated)
    return found.estimate / found.error


def test_many_ordinary_outcomes_have_normal_tails():
    outcome = np.random.default_rng(1).normal(size=(20_000, 1))
    (tails,) = randomisation_tails(outcome, np.arange(20_000) % 10 > 0)
    assert tails == pytest.approx([norm.ppf(0.025), norm.ppf(0.975)], abs=0.15)


def test_they_are_quantiles_of_all_assignments_of_a_small_group():
    outcome, treated = heavy(14, 3), np.arange(14) < 10
    outcome += np.random.default_rng(4).random(14)
    every = []
    for kept in combinations(range(14), 4):
        arm = np.ones(14, dtype=bool)
        arm[list(kept)] = False
        every.append(statistic(outcome, arm))
    (tails,) = randomisation_tails(outcome[:, None], treated)
    below, above = np.mean(every < tails[0]), np.mean(every > tails[1])
    assert (below, above) == pytest.approx((0.025, 0.025), abs=0.012)


@given(st.integers(0, 1_000), st.integers(10, 60), st.floats(0.1, 10))
def test_scale_location_and_the_order_of_outcomes_change_nothing(seed, kept, scale):
    outcomes = np.column_stack([heavy(80, seed), heavy(80, seed + 1)])
    treated = np.arange(80) >= kept
    tails = randomisation_tails(outcomes, treated, draws=199)
    moved = randomisation_tails(7 + scale * outcomes[:, ::-1], treated, draws=199)
    np.testing.assert_allclose(moved, tails[::-1], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("customers", [10, 100_000, 100_001, 10_000_000])
def test_the_level_is_exact_with_any_number_of_draws(customers):
    """2.5 % of the draws and the assignment made are a whole number."""
    assert (draws_for(customers) + 1) * 0.025 % 1 == 0


def test_swapping_the_groups_swaps_the_tails():
    outcome, treated = heavy(200, 5)[:, None], np.arange(200) < 150
    (tails,), (swapped,) = (randomisation_tails(outcome, arm) for arm in (treated, ~treated))
    assert swapped == pytest.approx(-tails[::-1])


def test_constant_outcomes_and_single_customers_have_no_spread():
    assert (randomisation_tails(np.ones((50, 1)), np.arange(50) < 20) == 0).all()
    assert np.isnan(randomisation_tails(np.ones((50, 1)), np.arange(50) < 1)).all()


def test_of_heavy_tailed_margins_one_draw_in_twenty_is_called_clear_and_both_sides_are():
    """An A/A test: the normal approximation calls far more clear, and nearly all of them `more`."""
    outcome, random = heavy(3_000, 8), np.random.default_rng(9)
    sides, normal = np.zeros(2), 0
    (tails,) = randomisation_tails(outcome[:, None], np.arange(3_000) >= 300)
    for _ in range(2_000):
        treated = np.ones(3_000, dtype=bool)
        treated[random.choice(3_000, 300, replace=False)] = False
        found = statistic(outcome, treated)
        sides += found < tails[0], found > tails[1]
        normal += abs(found) > norm.ppf(0.975)
    assert 0.03 <= sides.sum() / 2_000 <= 0.06
    assert (sides / 2_000 >= 0.01).all()
    assert normal / 2_000 > 0.08
