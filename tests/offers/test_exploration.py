"""Chances of exploration: by the evidence on money, above floors, the same for all alike."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from churn.offers.arms import Shares
from churn.offers.effects import Effects, Worth
from churn.offers.exploration import (
    FEWEST,
    FLOOR,
    equal_chances,
    explore_by_evidence,
    offer_chances,
)

COUNT = 6_000
SHARES = Shares(holdout=0.1, explore=0.3)
EVERYBODY = np.ones((COUNT, 3), dtype=bool)
SLOPE = np.ones(3)


def worth_of(effect, half=0.01, *, source="measured", stake=20.0, cost=0.2, count=COUNT):
    """Offers of those average effects, 90 % intervals of that half width."""
    mean = np.tile(np.asarray(effect, dtype=float), (count, 1))
    at_stake = np.broadcast_to(stake, count)
    sources = (source,) * mean.shape[1] if isinstance(source, str) else source
    effects = Effects(mean, mean - half, mean + half, sources)
    gain = mean * at_stake[:, None]
    return Worth(effects, gain, np.full(mean.shape, cost), np.asarray(at_stake, dtype=float))


def chances(*args, permitted=EVERYBODY, shares=SHARES, **how):
    worth = worth_of(*args, count=len(permitted), **how)
    return explore_by_evidence(worth, permitted, SLOPE, shares).chances


def test_without_any_evidence_chances_are_equal():
    assert chances([0.05, 0.0, -0.05], source="assumed") == pytest.approx(np.full((COUNT, 4), 0.25))


def test_what_loses_money_is_hardly_drawn_and_what_may_be_best_is():
    good, rival, bad, none = chances([0.05, 0.048, -0.05])[0]
    assert good > 0.3
    assert rival > 0.3
    floor = max(FLOOR, FEWEST * 4 / (COUNT * 0.9 * 0.3)) / 4
    assert bad == pytest.approx(floor, abs=1e-3)
    assert none >= bad


def test_where_every_offer_loses_money_most_draw_none():
    found = chances([-0.05, -0.03, -0.04], half=0.03)[0]
    assert found[-1] > 0.4


def test_an_offer_that_may_yet_be_best_is_tried_more_than_one_that_may_not():
    """Both have the same mean; the effect of the second is known precisely."""
    half = np.array([0.01, 0.05, 0.001])
    _, unsure, sure, _ = chances([0.05, 0.03, 0.03], half=half)[0]
    assert unsure > 2 * sure


def test_a_small_choice_set_explores_with_equal_chances():
    permitted = EVERYBODY.copy()
    permitted[:50, 0] = False
    found = chances([0.05, 0.02, -0.05], permitted=permitted)
    assert found[:50] == pytest.approx(equal_chances(permitted)[:50])
    assert found[-1, 2] < 0.1


def test_customers_none_of_whose_offers_was_measured_explore_with_equal_chances():
    permitted = EVERYBODY.copy()
    permitted[: COUNT // 2, 0] = False
    found = chances([0.05, 0.02, -0.05], permitted=permitted, source=("measured", *["assumed"] * 2))
    assert found[0] == pytest.approx([0, 1 / 3, 1 / 3, 1 / 3])
    assert found[-1, 2] < 0.1


def test_a_giant_margin_does_not_decide_which_offer_is_best():
    """Costs of 5 do not pay at a stake of 20; at the giant's they would."""
    stake = np.full(COUNT, 20.0)
    stake[0] = 1e9
    assert chances([0.05, 0.05, 0.05], cost=5.0, stake=stake)[1, -1] > 0.4


def test_without_holdout_and_control_none_keeps_an_equal_share():
    found = chances([0.05, 0.048, -0.05], shares=Shares(holdout=0.0, explore=0.3))
    assert found[0, -1] >= 0.25


def test_a_catalogue_of_many_offers_keeps_its_choice_sets_apart():
    permitted = np.random.default_rng(1).random((300, 130)) < 0.5
    worth = worth_of([0.01] * 130, count=300)
    found = explore_by_evidence(worth, permitted, np.ones(130), SHARES).chances
    assert ((found[:, :-1] > 0) == permitted).all()


def test_the_evidence_is_told_by_offer():
    permitted = EVERYBODY.copy()
    permitted[:, 2] = False
    worth = worth_of([0.05, -0.05, 0.0])
    told = explore_by_evidence(worth, permitted, SLOPE, SHARES).to_dict(["a", "b", "c"])
    assert told["chances"]["c"] is None
    assert told["best"]["a"] > 0.99
    assert sum(told["chances"][name] for name in ("a", "b", "none")) == pytest.approx(1.0)
    assumed = worth_of([0.05, -0.05, 0.0], source="assumed")
    told = explore_by_evidence(assumed, permitted, SLOPE, SHARES).to_dict(["a", "b", "c"])
    assert told["best"] == {"a": None, "b": None, "c": None, "none": None}


@given(
    permitted=arrays(bool, (400, 3)),
    effect=st.lists(st.floats(-0.1, 0.1), min_size=3, max_size=3),
    half=st.floats(0, 0.1),
    holdout=st.floats(0, 0.9),
    explore=st.floats(0, 1),
)
@settings(max_examples=40, deadline=None)
def test_what_is_permitted_has_a_chance_and_nothing_else_and_alike_customers_have_the_same(
    permitted, effect, half, holdout, explore
):
    shares = Shares(holdout=holdout, explore=explore)
    permitted = np.repeat(permitted, 10, axis=0)
    found = chances(effect, half, permitted=permitted, shares=shares)
    assert found.sum(axis=1) == pytest.approx(np.ones(len(permitted)))
    assert ((found[:, :-1] > 0) == permitted).all()
    equal = equal_chances(permitted)[:, -1]
    assert (
        found[:, :-1][permitted] >= FLOOR * np.repeat(equal, permitted.sum(axis=1)) - 1e-12
    ).all()
    assert (found[:, -1] >= FLOOR * equal - 1e-12).all()
    for kind in np.unique(permitted, axis=0):
        alike = found[(permitted == kind).all(axis=1)]
        assert (alike == alike[0]).all()


@given(
    weights=arrays(float, 5, elements=st.floats(1e-4, 1)),
    customers=st.floats(0, 1e6),
    holdout=st.floats(0, 0.9),
)
def test_none_has_an_equal_share_or_as_many_controls_as_make_comparisons_precise(
    weights, customers, holdout
):
    shares = Shares(holdout=holdout, explore=0.2)
    found = offer_chances(weights / weights.sum(), customers, shares)
    assert found.sum() == pytest.approx(1.0)
    explores = (1 - holdout) * 0.2
    controls, offers = holdout + explores * found[-1], explores * (1 - found[-1])
    enough = controls >= np.sqrt(4) * offers / 4 - 1e-12
    assert enough or found[-1] >= 0.2 - 1e-12
