import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.uplift.learners import DRLearner, SLearner, TLearner, pseudo_outcomes

OFFERS = ("even", "split")


@pytest.mark.parametrize("kind", [DRLearner, SLearner, TLearner])
def test_every_learner_finds_heterogeneous_effects(truth, quick, kind):
    learner = kind.fit(truth.data, OFFERS, quick.learning)
    predicted = learner.effects(truth.data.matrix)
    assert predicted.shape == (len(truth.data), 2)
    assert np.corrcoef(predicted[:, 1], truth.effects[:, 1])[0, 1] > 0.7


@given(st.floats(-0.3, 0.3))
def test_pseudo_outcomes_are_unbiased_under_a_wrong_outcome_model(truth, error):
    wrong = np.full((len(truth.data), 3), 0.5 + error)
    pseudo = pseudo_outcomes(truth.data, OFFERS, wrong)
    spread = pseudo.std(axis=0) / np.sqrt(len(pseudo) / 2)
    assert (np.abs(pseudo.mean(axis=0) - truth.effects.mean(axis=0)) < 4 * spread).all()


def test_pseudo_outcomes_follow_their_formula(truth):
    data = truth.data.only(np.arange(3))
    outcomes = np.array([[0.5, 0.6, 0.7]] * 3)
    pseudo = pseudo_outcomes(data, OFFERS, outcomes)
    for row, (_, contact) in enumerate(data.rows.iterrows()):
        for column, offer in enumerate(OFFERS):
            treated = outcomes[row, 1 + column]
            expected = treated - 0.5
            if contact["offer_id"] == offer:
                expected += (contact["retained"] - treated) / contact["propensity"]
            if contact["offer_id"] == "none":
                expected -= (contact["retained"] - 0.5) / contact["propensity"]
            if data.in_choice_set(offer)[row]:
                assert pseudo[row, column] == pytest.approx(expected)
            else:
                assert np.isnan(pseudo[row, column])


def test_the_same_seed_gives_the_same_trees(truth, quick):
    part = truth.data.only(np.arange(1_000))
    first, second = (DRLearner.fit(part, OFFERS, quick.learning) for _ in range(2))
    assert first.texts == second.texts
