"""The champion is compared on rows that it has not learnt from, by itself or by its recipe."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from simulated_shop import AS_OF, shop_dataset, shop_model, shop_panel

from churn.modeling.baselines import predict_baseline
from churn.modeling.gate import forecast_champion, why_not_comparable
from churn.modeling.model import ChurnModel

CONNECTED = frozenset({"orders"})
FEW = ("recency_days", "purchase_days", "tenure_days", "average_basket", "expected_gap_days")


def trained_until(days_ago, *, names=None, stand_in=None, **parameters):
    """A champion whose labels end so long before the data does."""
    dataset = shop_dataset()
    until = AS_OF - timedelta(days=days_ago)
    known = dataset.cutoffs.before(until)
    learnt = replace(
        dataset.only(known),
        cutoffs=replace(known, until=until),
        feature_names=tuple(names or dataset.feature_names),
    )
    settings = {"seed": 7, "rounds": 40, "threads": 1, **parameters}
    model = ChurnModel(**settings).fit(learnt)
    model.manifest_ = {"model_id": "churn-old"}
    return model.set_params(stand_in=stand_in)


@pytest.fixture(scope="module")
def rows():
    return shop_dataset().only(shop_panel().blocks.test).eligible


def forecast(champion):
    return forecast_champion(champion, shop_model(), shop_dataset(), shop_panel())


def test_a_champion_whose_labels_ended_before_the_test_speaks_for_itself(rows):
    champion = trained_until(42, rounds=5)
    found = forecast(champion)
    assert (found.how, found.name) == ("itself", "churn-old")
    assert found.chosen.all()
    said = champion.predict_proba(rows[["status", *champion.feature_names_]])[:, 1]
    np.testing.assert_array_equal(found.probability, said)


def test_a_champion_that_has_seen_the_test_is_its_recipe_refitted_on_the_same_past(rows):
    """With its own parameters and features, and none of what it learnt."""
    champion = trained_until(0, rounds=10, names=[*FEW, *_needed()])
    found = forecast(champion)
    assert found.how == "recipe refitted"
    learnt = replace(shop_dataset(), feature_names=tuple(champion.feature_names_))
    again = ChurnModel(seed=7, rounds=10, threads=1).fit(
        learnt.before(shop_panel().blocks.test.dates[0])
    )
    said = again.predict_proba(rows[["status", *again.feature_names_]])[:, 1]
    np.testing.assert_array_equal(found.probability, said)


def _needed():
    """What rules, statuses and slices stand on."""
    return [n for n in ("active_window_share", "net_spend") if n in shop_dataset().feature_names]


def test_the_same_recipe_is_the_candidate_itself(rows):
    found = forecast(trained_until(0))
    said = shop_model().predict_proba(rows[["status", *shop_model().feature_names_]])[:, 1]
    np.testing.assert_array_equal(found.probability, said)


def test_a_stand_in_that_has_seen_the_test_is_its_rule_on_the_same_past(rows):
    found = forecast(trained_until(0, rounds=1, stand_in="recency"))
    rule = predict_baseline(shop_model().baselines_["recency"], rows)
    assert found.stand_in == "recency"
    np.testing.assert_array_equal(found.probability, rule)


def test_a_champion_of_the_same_question_is_comparable():
    assert why_not_comparable(shop_model(), shop_panel(), CONNECTED) is None
    assert why_not_comparable(None, shop_panel(), CONNECTED) is None


def test_a_champion_of_another_horizon_answers_another_question():
    clock = replace(shop_panel().clock, horizon_days=56)
    cutoffs = replace(shop_panel().cutoffs, dates=(), horizon_days=56)
    told = why_not_comparable(shop_model(), replace(shop_panel(), clock=clock, cutoffs=cutoffs), {})
    assert told == "its target differs: horizon_days 28, not 56"


def test_a_champion_whose_features_are_gone_is_told_by_their_names():
    champion = trained_until(0, rounds=1)
    champion.feature_names_ = ["recency_days", "visits_30d", "of_an_older_release"]
    told = why_not_comparable(champion, shop_panel(), CONNECTED)
    assert told == "its features can no longer be built: visits_30d, of_an_older_release"
    assert "visits_30d" not in why_not_comparable(champion, shop_panel(), CONNECTED | {"events"})
