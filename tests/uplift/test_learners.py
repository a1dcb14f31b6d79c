import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.uplift.learners import DRLearner, SLearner, TLearner, pseudo_outcomes

OFFERS = ("even", "split")


@pytest.mark.parametrize("kind", [DRLearner, SLearner, TLearner])
def test_every_learner_tells_whom_the_split_offer_helps_from_whom_it_harms(known, quick, kind):
    learner = kind.fit(known.data, OFFERS, quick.learning)
    said = learner.effects(known.data.matrix)
    assert said.shape == (len(known.data), 2)
    assert np.corrcoef(said[:, 1], known.effects[:, 1])[0, 1] > 0.7


@given(st.floats(-0.3, 0.3))
def test_pseudo_outcomes_average_to_the_effect_however_wrong_the_outcome_model(known, error):
    wrong = np.full((len(known.data), 3), 0.5 + error)
    pseudo = pseudo_outcomes(known.data, OFFERS, wrong)
    spread = pseudo.std(axis=0) / np.sqrt(len(pseudo) / 2)
    assert (np.abs(pseudo.mean(axis=0) - known.effects.mean(axis=0)) < 4 * spread).all()


def test_pseudo_outcomes_by_hand(known):
    data = known.data.only(np.arange(3))
    outcomes = np.array([[0.5, 0.6, 0.7]] * 3)
    found = pseudo_outcomes(data, OFFERS, outcomes)
    for row, (_, one) in enumerate(data.rows.iterrows()):
        for column, offer in enumerate(OFFERS):
            said = outcomes[row, 1 + column]
            expected = said - 0.5
            if one["offer_id"] == offer:
                expected += (one["retained"] - said) / one["propensity"]
            if one["offer_id"] == "none":
                expected -= (one["retained"] - 0.5) / one["propensity"]
            if data.could_get(offer)[row]:
                assert found[row, column] == pytest.approx(expected)
            else:
                assert np.isnan(found[row, column])


def test_the_same_seed_gives_the_same_trees(known, quick):
    part = known.data.only(np.arange(1_000))
    one, other = (DRLearner.fit(part, OFFERS, quick.learning) for _ in range(2))
    assert one.texts == other.texts
