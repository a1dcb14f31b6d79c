"""How many plans until an effect is known: by the draws of the plan, and true to its power."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.offers.pace import learning_pace, plans_needed

counts = st.integers(1, 100_000)


@pytest.fixture
def offers(make_offer):
    return [make_offer("coupon"), make_offer("gift"), make_offer("untried")]


def plan_of(*rows):
    """offer, propensity, lot, arm, effect and cost of each customer."""
    names = ("offer_id", "propensity", "lot", "arm", "effect", "expected_cost")
    return pa.table(
        dict(zip(names, (list(column) for column in zip(*rows, strict=True)), strict=True))
    )


ROWS = (
    *[("coupon", 0.8, "coupon+none", "treatment", 0.04, 1.0)] * 90,
    *[("coupon", 0.1, "coupon+gift+none", "explore", 0.02, 2.0)] * 10,
    *[("gift", 0.1, "coupon+gift+none", "explore", 0.01, 3.0)] * 5,
    *[("none", 0.2, "coupon+none", "holdout", None, 0.0)] * 40,
    *[("none", 0.2, "coupon+gift+none", "holdout", None, 0.0)] * 10,
    *[("coupon", 1.0, None, "treatment", 0.04, 1.0)] * 500,
    *[("none", 1.0, None, "treatment", None, 0.0)] * 500,
)


def test_only_what_chance_decided_counts_and_controls_could_have_had_the_offer(offers):
    coupon, gift, untried = learning_pace(plan_of(*ROWS), offers, 0.2)
    assert (coupon["assigned"], coupon["controls"], coupon["explored_cost"]) == (100, 50, 20.0)
    assert (gift["assigned"], gift["controls"], gift["explored_cost"]) == (5, 10, 15.0)
    assert coupon["effect"] == pytest.approx(0.038)
    assert coupon["plans"] == plans_needed(0.038, 0.8, [(90, 40), (10, 10)])
    assert (untried["assigned"], untried["effect"], untried["plans"]) == (0, None, None)


def test_without_a_random_draw_no_number_of_plans_would_do(offers):
    rows = [row for row in ROWS if row[1] == 1.0]
    assert [one["plans"] for one in learning_pace(plan_of(*rows), offers, 0.2)] == [None] * 3


def test_without_a_base_rate_the_number_is_not_known(offers):
    assert learning_pace(plan_of(*ROWS), offers, float("nan"))[0]["plans"] is None


@given(counts, counts, st.floats(-0.3, 0.3), st.floats(0.05, 0.95))
def test_more_customers_never_take_more_plans(assigned, controls, effect, retained):
    plans = plans_needed(effect, retained, [(assigned, controls)])
    assert plans >= 1
    for more in (
        [(2 * assigned, controls)],
        [(assigned, 2 * controls)],
        [(assigned, controls)] * 2,
    ):
        assert plans_needed(effect, retained, more) <= plans


@given(st.lists(st.tuples(counts, counts), min_size=1, max_size=4))
def test_choice_sets_apart_never_tell_more_than_all_in_one(arms):
    pooled = tuple(map(sum, zip(*arms, strict=True)))
    assert plans_needed(0.02, 0.8, arms) >= plans_needed(0.02, 0.8, [pooled])


@pytest.mark.parametrize(("assigned", "controls"), [(300, 100), (50, 400), (200, 200)])
def test_so_many_plans_show_the_effect_with_the_power_that_is_named(assigned, controls):
    effect, retained = 0.05, 0.75
    plans = plans_needed(effect, retained, [(assigned, controls)])
    random = np.random.default_rng(4)
    treated, kept = assigned * plans, controls * plans
    stayed = random.binomial(treated, retained + effect, 4_000) / treated
    without = random.binomial(kept, retained, 4_000) / kept
    error = np.sqrt(stayed * (1 - stayed) / treated + without * (1 - without) / kept)
    power = float(np.mean((stayed - without) / error > 1.96))
    assert 0.77 < power < 0.86
