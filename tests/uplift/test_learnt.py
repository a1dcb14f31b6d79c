import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.errors import ModelError
from churn.offers.effects import assumed_effects
from churn.uplift.learnt import LearntEffects
from churn.uplift.study import study


@pytest.fixture(scope="module")
def learnt(studied) -> LearntEffects:
    return LearntEffects.of_study(studied)


@pytest.fixture(scope="module")
def offers(make_offer):
    return [make_offer(name) for name in ("split", "untried", "even")]


def test_each_offer_has_its_own_source_and_the_untried_keeps_its_assumption(learnt, offers, known):
    rows, risk = known.data.rows, np.full(len(known.data), 0.4)
    found = learnt.of(rows, risk, offers, base_rate=0.4)
    assert found.source == ("measured", "assumed", "measured")
    assumed = assumed_effects(risk, offers, base_rate=0.4)
    np.testing.assert_array_equal(found.mean[:, 1], assumed.mean[:, 1])


def test_the_individual_effect_follows_the_customer_and_the_average_one_does_not(
    learnt, offers, known
):
    risk = np.full(len(known.data), 0.45)
    found = learnt.of(known.data.rows, risk, offers, base_rate=0.45)
    helped = known.effects[:, 1] > 0
    assert found.mean[helped, 0].mean() > 0.1
    assert found.mean[~helped, 0].mean() < -0.1
    assert np.ptp(found.mean[:, 2]) < 1e-12


@given(st.floats(0, 1))
def test_bounds_are_in_order_and_nobody_is_saved_or_lost_twice(learnt, offers, known, risk):
    rows = known.data.rows.head(50)
    found = learnt.of(rows, np.full(50, risk), offers, base_rate=0.4)
    assert (found.low <= found.mean + 1e-12).all()
    assert (found.mean <= found.high + 1e-12).all()
    assert (found.high <= risk + 1e-9).all()
    assert (found.low >= risk - 1 - 1e-9).all()


def test_too_little_data_keeps_the_prior(draw_experiment, quick, make_offer):
    data = draw_experiment(250, seed=2).data
    learnt = LearntEffects.of_study(study(data, quick))
    offers, risk = [make_offer("even")], np.full(len(data), 0.4)
    found = learnt.of(data.rows, risk, offers, base_rate=0.4)
    assert found.source == ("assumed",)
    assert found.mean[0, 0] == pytest.approx(0.03)


def test_an_unknown_risk_has_no_average_effect(learnt, offers, known):
    found = learnt.of(known.data.rows.head(1), np.array([np.nan]), offers, base_rate=0.4)
    assert np.isnan(found.mean[0, 2])


def test_rows_without_the_features_are_refused(learnt, offers, known):
    rows = known.data.rows.drop(columns="x2")
    with pytest.raises(ModelError, match=r"none of these: \['x2'\]"):
        learnt.of(rows, np.full(len(rows), 0.4), offers, base_rate=0.4)
