"""The shop of the benchmarks that judges policies: its truth, and what can be learnt from it."""

import importlib
from pathlib import Path

import numpy as np
import pytest

from churn.errors import GateError
from churn.offers.catalogue import NO_OFFER
from churn.uplift.study import study

ROOT = Path(__file__).parents[2]
DRAWS = 1500


@pytest.fixture(scope="module")
def second_shop():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "benchmarks")
        yield importlib.import_module("second_shop")


@pytest.fixture(scope="module")
def world(second_shop):
    return importlib.import_module("second_world")


@pytest.fixture(scope="module")
def shop(second_shop):
    return second_shop.Shop.made(600, share_by_lot=0.5, seed=3)


@pytest.mark.parametrize("arm", [-1, 0, 1, 2, 3])
def test_the_truth_is_the_mean_of_what_happens(world, shop, arm):
    rows = np.repeat(np.arange(60), DRAWS)
    people, state = shop.people[rows], shop.state[rows]
    weeks = range(world.NOW, world.NOW + world.HORIZON)
    rng = np.random.default_rng(40 + arm)
    _, diary = world.live(people, state, weeks, rng, np.full(len(rows), arm))
    retained, margin = diary.outcome()
    contact = world.CONTACT_COST[arm] if arm >= 0 else 0.0
    drawn = {"retained": retained, "margin": margin, "cost": diary.redemption + contact}
    truth = world.foresee(shop.people[:60], shop.state[:60], world.NOW, arm)
    for name, values in drawn.items():
        draws, expected = values.reshape(60, DRAWS), getattr(truth, name)
        error = draws.std(axis=1) / np.sqrt(DRAWS)
        # Margins are heavy-tailed, so that their means are judged in sum, not one by one.
        gap = (draws.mean(axis=1) - expected).sum() / np.sqrt((error**2).sum() + 1e-12)
        assert abs(gap) < 4, name
        if name == "retained":
            sure = np.sqrt(expected * (1 - expected) / DRAWS)
            assert (np.abs(draws.mean(axis=1) - expected) < 4.5 * sure).all()


def test_effects_are_differences_of_the_truths(world, shop):
    percent, none = (world.foresee(shop.people, shop.state, world.NOW, arm) for arm in (0, -1))
    np.testing.assert_allclose(shop.truth.effect[:, 0], percent.retained - none.retained)
    np.testing.assert_allclose(shop.truth.margin_effect[:, 0], percent.margin - none.margin)
    assert (shop.truth.effect < 0).any()
    assert (shop.truth.effect > 0).any()


def test_with_more_strength_offers_move_more_customers(second_shop, shop):
    strong = second_shop.Shop.made(600, share_by_lot=0.5, seed=3, strength=2.0)
    weaker, stronger = (each.past_effect.mean(axis=0) for each in (shop, strong))
    assert (stronger > 1.3 * weaker).all()


def test_past_outcomes_agree_with_the_propensities_and_the_true_effects(second_shop, world):
    shop = second_shop.Shop.made(4000, share_by_lot=1.0, seed=4)
    past = shop.past
    shares = past["offer_id"].value_counts(normalize=True)
    assert shares[NO_OFFER] == pytest.approx(second_shop.SHARE_HELD_OUT, abs=0.02)
    retained = past.groupby("offer_id")["retained"].agg(["mean", "size"])
    for column, offer in enumerate(world.OFFERS):
        found = retained.loc[offer, "mean"] - retained.loc[NO_OFFER, "mean"]
        error = np.sqrt(0.25 / retained.loc[offer, "size"] + 0.25 / retained.loc[NO_OFFER, "size"])
        assert abs(found - shop.past_effect[:, column].mean()) < 4 * error


def test_without_a_lot_nothing_is_learnt(second_shop):
    shop = second_shop.Shop.made(600, share_by_lot=0.0, seed=5)
    data = shop.experiment()
    assert len(data) == 0
    assert sum(data.observational.values()) == (shop.past["offer_id"] != NO_OFFER).sum()
    with pytest.raises(GateError, match="some got no offer"):
        study(data)


def test_features_know_nothing_of_what_comes_later(second_shop):
    """Two shops that differ from week 60 on, by their lots, look alike before."""
    one, two = (second_shop.Shop.made(600, share_by_lot=share, seed=6) for share in (0.0, 1.0))
    names = list(one.names)
    then = [shop.past.loc[shop.past["lot"] == "week-60", names] for shop in (one, two)]
    np.testing.assert_array_equal(*(rows.to_numpy() for rows in then))
    later = [shop.past.loc[shop.past["lot"] == "week-84", "contacts"].mean() for shop in (one, two)]
    assert later[0] != later[1]
