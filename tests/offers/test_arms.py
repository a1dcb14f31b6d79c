"""Arms: what is left to chance, and the propensity of every row."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from churn.errors import ConfigError
from churn.offers.allocation.knapsack import NOTHING
from churn.offers.arms import (
    ARMS,
    CONTROL,
    EXPLORE,
    HOLDOUT,
    Shares,
    choice_sets,
    draw_arms,
    draw_offers,
    propensities,
)
from churn.offers.exploration import equal_chances
from churn.offers.groups import PlanLimits
from churn.uplift.experiment import check_propensities

IDS = [f"c{number}" for number in range(4_000)]
ALL = np.ones((len(IDS), 2), dtype=bool)
COST = np.ones((len(IDS), 2))
FREE = np.array([np.inf, np.inf])
NO_LIMIT = PlanLimits(np.inf, FREE)
SHARES = Shares(holdout=0.1, control=0.05, explore=0.2)


def chances_of(permitted, weights):
    """The chances in proportion to weights, of the permitted offers and none."""
    could = np.column_stack([permitted, np.ones(len(permitted), dtype=bool)])
    weighed = np.where(could, weights, 0.0)
    return weighed / weighed.sum(axis=1, keepdims=True)


def drawn(shares=SHARES, *, campaign="spring", occasion="2024-03-01", **changes):
    limits = PlanLimits(**({"budget": np.inf, "capacity": FREE} | changes))
    return draw_arms(
        IDS, equal_chances(ALL), COST, shares, limits, campaign=campaign, occasion=occasion
    )


def test_every_arm_has_its_share():
    found = drawn()
    counts = np.bincount(found.arm, minlength=len(ARMS)) / len(IDS)
    assert counts == pytest.approx([0.684, 0.1, 0.045, 0.171], abs=0.02)


def test_the_holdout_is_the_same_in_every_campaign_and_the_control_is_not():
    spring, summer = drawn(), drawn(campaign="summer", occasion="2024-07-01")
    assert ((spring.arm == HOLDOUT) == (summer.arm == HOLDOUT)).all()
    assert not ((spring.arm == CONTROL) == (summer.arm == CONTROL)).all()


def test_another_key_draws_another_holdout():
    other = drawn(Shares(holdout=0.1, key="other"))
    assert not ((drawn().arm == HOLDOUT) == (other.arm == HOLDOUT)).all()


def test_who_explores_gets_one_of_the_permitted_offers_or_none_all_alike():
    found = drawn()
    lots = found.drawn[found.arm == EXPLORE]
    assert np.bincount(lots + 1) / len(lots) == pytest.approx([1 / 3] * 3, abs=0.06)
    assert (found.drawn[found.arm != EXPLORE] == NOTHING).all()


@given(
    permitted=arrays(bool, (20, 3)),
    weights=arrays(float, (20, 4), elements=st.floats(1e-9, 1)),
    place=arrays(float, 20, elements=st.sampled_from([0.0, 0.25, 0.5, 1 - 2**-53])),
)
@settings(max_examples=60, deadline=None)
def test_nobody_draws_what_has_no_chance(permitted, weights, place):
    chances = chances_of(permitted, weights)
    lots = draw_offers(chances, place)
    assert (chances[np.arange(20), lots] > 0).all()


def test_offers_are_drawn_in_proportion_to_their_chances():
    chances = np.tile([0.05, 0.0, 0.6, 0.35], (1_000, 1))
    lots = draw_offers(chances, (np.arange(1_000) + 0.5) / 1_000)
    assert np.bincount(lots + 1).tolist() == [350, 50, 0, 600]


@pytest.mark.parametrize("changes", [{"budget": 50.0}, {"capacity": np.array([20.0, np.inf])}])
def test_exploration_ends_where_money_or_places_do_and_says_its_true_share(changes):
    found = drawn(**changes)
    given = np.bincount(found.drawn[found.drawn != NOTHING], minlength=2)
    assert given.sum() <= changes.get("budget", np.inf)
    assert (given <= changes.get("capacity", FREE)).all()
    assert 0 < found.explore < SHARES.explore


@given(
    permitted=arrays(bool, (30, 3)),
    weights=arrays(float, (30, 4), elements=st.floats(1e-6, 1)),
    intended=arrays(np.int64, 30, elements=st.integers(0, 2)),
    holdout=st.floats(0, 0.9),
    control=st.floats(0, 0.9),
    explore=st.floats(0, 1),
)
@settings(max_examples=60, deadline=None)
def test_the_propensities_of_all_a_customer_could_get_add_up_to_one(
    permitted, weights, intended, holdout, control, explore
):
    chances = chances_of(permitted, weights)
    shares = Shares(holdout=holdout, control=control, explore=explore)
    intended = np.where(permitted[np.arange(30), intended], intended, NOTHING)
    arms = draw_arms(
        IDS[:30],
        chances,
        np.ones((30, 3)),
        shares,
        PlanLimits(np.inf, np.full(3, np.inf)),
        campaign="c",
        occasion="o",
    )
    total = np.zeros(30)
    for offer in (NOTHING, 0, 1, 2):
        total += propensities(arms, np.full(30, offer), intended) * (chances[:, offer] > 0)
    assert total == pytest.approx(np.ones(30))


def test_a_propensity_is_how_often_the_draws_give_that_offer():
    """Over many keys: one customer for whom the plan intends offer 1."""
    chances, cost = np.array([[0.1, 0.6, 0.3]]), np.ones((1, 2))
    intended, counts, keys = np.array([1]), np.zeros(3), 4_000
    for key in range(keys):
        shares = Shares(holdout=0.2, control=0.1, explore=0.3, key=f"key-{key}")
        arms = draw_arms(["ann"], chances, cost, shares, NO_LIMIT, campaign="c", occasion="o")
        kept = arms.is_in(HOLDOUT, CONTROL)
        choice = np.where(kept, NOTHING, np.where(arms.is_in(EXPLORE), arms.drawn, intended))
        counts[choice[0] + 1] += 1
    stated = [propensities(arms, np.array([offer]), intended)[0] for offer in (NOTHING, 0, 1)]
    assert counts / keys == pytest.approx(stated, abs=0.025)


def test_who_has_no_permitted_offer_gets_none_for_certain():
    nobody = equal_chances(np.zeros((len(IDS), 2), dtype=bool))
    found = draw_arms(IDS, nobody, COST, SHARES, NO_LIMIT, campaign="c", occasion="o")
    nothing = np.full(len(IDS), NOTHING)
    assert not found.is_in(EXPLORE).any()
    assert (propensities(found, nothing, nothing) == 1).all()


def test_a_share_beyond_one_is_refused():
    with pytest.raises(ConfigError, match=r"the explore share must be between 0 and 1, got 5"):
        Shares(explore=5)


@pytest.mark.parametrize("weights", [(1, 1, 1), (0.05, 0.6, 0.35)], ids=["equal", "unequal"])
@pytest.mark.parametrize("explore", [0.0, 0.3])
def test_what_a_plan_drew_fits_its_propensities_lot_by_lot(explore, weights):
    """So `churn effects` can learn from a plan that permits different offers to customers."""
    rng = np.random.default_rng(8)
    count, names = 30_000, ["small", "big"]
    ids = [f"customer-{number}" for number in range(count)]
    permitted = rng.random((count, 2)) < [0.8, 0.5]
    wish = rng.integers(-1, 2, count)
    intended = np.where(permitted[np.arange(count), wish] & (wish >= 0), wish, NOTHING)
    shares = Shares(holdout=0.1, control=0.1, explore=explore)
    arms = draw_arms(
        ids,
        chances_of(permitted, np.array(weights)),
        np.ones((count, 2)),
        shares,
        NO_LIMIT,
        campaign="spring",
        occasion="2024-03-01",
    )
    planned = np.where(arms.is_in(EXPLORE), arms.drawn, intended)
    choice = np.where(arms.is_in(HOLDOUT, CONTROL), NOTHING, planned)
    contacts = pd.DataFrame(
        {
            "lot": choice_sets(arms, intended, names),
            "offer_id": np.array([*names, "none"], dtype=object)[choice],
            "propensity": propensities(arms, choice, intended),
        }
    )
    certain = contacts["propensity"] == 1
    assert (contacts["lot"].isna() == certain).all()
    kept, left_out = check_propensities(contacts[~certain])
    assert left_out == 0
    assert len(kept) > count / 3
    wrong = contacts[~certain].assign(propensity=lambda rows: rows["propensity"].clip(upper=0.2))
    assert check_propensities(wrong)[1] > 0
