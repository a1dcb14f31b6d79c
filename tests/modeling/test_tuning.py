"""A tuning looks forward in time, inside the development block, and says what it found."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from simulated_shop import AS_OF, HORIZON_DAYS, shop_dataset, shop_panel, simulated_orders

from churn.data.tables import Tables
from churn.errors import ConfigError, GateError
from churn.modeling.model import ChurnModel
from churn.modeling.panel import forward_folds, resolve_panel
from churn.modeling.training import train_model
from churn.modeling.tuning import TUNED, tune

TRIALS = 9


def recipe(**parameters):
    return ChurnModel(seed=1, threads=1, **{"rounds": 6, "num_leaves": 4, **parameters})


@pytest.fixture(scope="module")
def development():
    return shop_dataset().only(shop_panel().development)


@pytest.fixture(scope="module")
def tuned(development):
    """A recipe that hardly learns, so that nearly any other is better; and what was told."""
    told = []
    found = tune(recipe(learning_rate=0.05), development, trials=TRIALS, progress=told.append)
    return found, told


def test_a_recipe_that_hardly_learns_is_replaced_by_a_better_one(tuned, development):
    found, _ = tuned
    assert found.changed
    assert found.difference.high < 0
    assert set(found.parameters) == set(TUNED)
    assert {name: getattr(found.recipe, name) for name in TUNED} == found.parameters
    assert found.recipe.get_params() | found.parameters == found.recipe.get_params()
    assert (found.recipe.seed, found.recipe.threads) == (1, 1)


def test_its_difference_is_that_of_both_recipes_on_the_forward_folds(tuned, development):
    found, _ = tuned

    def loss(one):
        folds = forward_folds(development.cutoffs)
        later = pd.concat([development.only(fold.judge).eligible for fold in folds])
        said = np.concatenate(
            [
                one.forecast_lapse(
                    development.before(fold.judge.dates[0]), development.only(fold.judge).eligible
                )
                for fold in folds
            ]
        )
        return -np.log(np.where(later["lapse"] == 1, said, 1 - said)).mean()

    expected = loss(found.recipe) - loss(recipe(learning_rate=0.05))
    assert found.difference.estimate == pytest.approx(expected, abs=1e-9)


def test_every_trial_is_told_and_those_behind_are_given_up(tuned):
    found, told = tuned
    assert [line.split(",")[0] for line in told] == [
        f"tuning: trial {number} of {TRIALS}" for number in range(1, TRIALS + 1)
    ]
    given_up = [line for line in told if "pruned after" in line]
    assert len(given_up) == found.given_up > 0
    assert not any("pruned" in line for line in told[:5])


def test_the_seed_decides_what_a_tuning_finds(tuned, development):
    found, _ = tuned
    again = tune(recipe(learning_rate=0.05), development, trials=TRIALS)
    assert again.to_dict() == found.to_dict()


def test_one_trial_is_the_recipe_itself(development):
    found = tune(recipe(), development, trials=1)
    assert not found.changed
    assert found.recipe.get_params() == recipe().get_params()
    assert found.difference.estimate == 0.0


def test_a_tuning_without_trials_is_refused(development):
    with pytest.raises(ConfigError, match=r"trials >= 1, got 0\. Pass e\.g\. 20"):
        tune(recipe(), development, trials=0)


def test_a_panel_without_a_forward_fold_is_refused(development):
    newest = development.only(development.cutoffs.only(development.cutoffs.dates[-1:]))
    with pytest.raises(GateError, match=r"forward fold.*tune_trials = 0"):
        tune(recipe(), newest, trials=1)


def test_a_tuning_never_sees_the_test_cutoffs():
    """From the first test cutoff on, half of the customers stop buying: nothing that a tuning
    finds or tells may change.
    """
    orders = simulated_orders(200, seed=5)
    test_begins = AS_OF - timedelta(days=HORIZON_DAYS + HORIZON_DAYS // 2)
    late = orders["ordered_at"] >= pd.Timestamp(test_begins)
    odd = orders["customer_id"].str[-1].isin(list("13579"))
    found = []
    for rows in (orders, orders[~(late & odd)]):
        tables = Tables.from_frames(rows, currency="EUR")
        panel = resolve_panel(tables, AS_OF, horizon_days=HORIZON_DAYS, count=8)
        assert panel.blocks.test.dates[0] == test_begins
        told = []
        trained = train_model(recipe(), tables, panel, tune_trials=6, progress=told.append)
        tuned_lines = [line for line in told if line.startswith("tuning")]
        found.append((trained.tuned.to_dict(), tuned_lines))
        assert trained.model.get_params() == trained.tuned.recipe.get_params()
        tables.engine.close()
    assert found[0] == found[1]
