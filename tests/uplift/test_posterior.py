"""What is known of effects: assumption and measurement, joint over the offers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.offers.effects import assumed_effects
from churn.uplift.average import EffectLine, Estimate
from churn.uplift.learnt import KnownEffect, LearntEffects
from churn.uplift.posterior import Shifts

shifts = st.floats(-2, 2)
errors = st.floats(0.01, 10)
BASE_RATE = 0.3


def knowledge(mean, error, correlation=0.0):
    error = np.asarray(error, dtype=float)
    alike = np.full((len(error), len(error)), correlation)
    np.fill_diagonal(alike, 1.0)
    return Shifts(np.asarray(mean, dtype=float), alike * np.outer(error, error))


def effect_of(shift, error, verdict="average"):
    line = EffectLine(Estimate(0.0, 0.0), 0.0, 0.0, 0.0)
    half = 1.6448536269514722 * error
    return KnownEffect("x", verdict, line, (shift - half, shift, shift + half))


def planned(make_offer, found, **offer):
    offers = [make_offer("x", **offer)]
    learnt = LearntEffects({} if found is None else {"x": found}, (), 28)
    return learnt.of(None, np.array([BASE_RATE]), offers, base_rate=BASE_RATE)


@given(st.lists(st.tuples(shifts, errors, shifts, errors), min_size=1, max_size=4), st.floats(0, 1))
def test_evidence_never_makes_us_know_less(pairs, correlation):
    assumed_mean, assumed_error, found_mean, found_error = map(np.array, zip(*pairs, strict=True))
    assumed = knowledge(assumed_mean, assumed_error)
    known = assumed.updated(knowledge(found_mean, found_error, correlation))
    assert (np.diag(known.covariance) <= assumed_error**2 * (1 + 1e-9)).all()


@given(shifts, errors, shifts, errors)
def test_one_offer_is_weighted_by_inverse_variances(assumed, assumed_error, found, found_error):
    known = knowledge([assumed], [assumed_error]).updated(knowledge([found], [found_error]))
    weights = np.array([assumed_error, found_error]) ** -2.0
    assert known.mean[0] == pytest.approx(np.average([assumed, found], weights=weights), abs=1e-9)
    assert known.error[0] == pytest.approx(weights.sum() ** -0.5)


def test_an_assumption_that_is_contradicted_gives_way():
    assumed, found = knowledge([0.1], [0.02]), knowledge([0.9], [0.05])
    assert assumed.updated(found).mean[0] < 0.25
    assert assumed.widened(found).updated(found).mean[0] == pytest.approx(0.9, abs=0.01)


@given(shifts, errors, st.floats(-1, 1), errors)
def test_an_assumption_that_is_not_contradicted_keeps_its_range(mean, error, part, found_error):
    assumed = knowledge([mean], [error])
    found = knowledge([mean + part * error], [found_error])
    assert assumed.widened(found).error[0] == pytest.approx(error)


def test_an_unlucky_control_group_is_recognised_from_the_other_offers():
    """All offers look better than assumed by as much: the control was unlucky, not they lucky."""
    assumed = knowledge([0.1, 0.1, 0.1], [0.05, 0.05, 0.05])
    apart = assumed.updated(knowledge([0.4, 0.4, 0.4], [0.2, 0.2, 0.2]))
    shared = assumed.updated(knowledge([0.4, 0.4, 0.4], [0.2, 0.2, 0.2], correlation=0.9))
    assert (shared.mean < apart.mean).all()
    assert (assumed.mean < shared.mean).all()


@given(st.floats(-0.5, 0.5), st.floats(0.01, 0.5))
def test_the_effect_does_not_jump_where_the_verdict_changes(make_offer, shift, error):
    small = planned(make_offer, effect_of(shift, error, "too small to tell"))
    told = planned(make_offer, effect_of(shift, error, "average"))
    assert small.mean == told.mean
    assert (small.source, told.source) == (("combined",), ("measured",))


@given(st.floats(0.05, 3))
def test_a_measurement_that_says_nothing_leaves_the_assumption(make_offer, shift):
    vague = planned(make_offer, effect_of(shift, 1e6))
    assumed = planned(make_offer, None)
    assert vague.mean[0, 0] == pytest.approx(assumed.mean[0, 0], abs=1e-6)
    assert assumed.source == ("assumed",)


def test_an_exact_measurement_replaces_the_assumption(make_offer):
    exact = planned(make_offer, effect_of(-0.3, 0.0))
    expected = 1 / (1 + np.exp(np.log(3 / 7) + 0.3)) - 0.7
    assert exact.mean[0, 0] == pytest.approx(expected, abs=0.001)


def test_an_effect_stated_without_a_range_still_learns(make_offer):
    stated = {"effect": 0.05, "effect_low": 0.05, "effect_high": 0.05}
    known = planned(make_offer, effect_of(0.0, 0.02), **stated)
    assert known.mean[0, 0] < 0.01
    only = assumed_effects(np.array([BASE_RATE]), [make_offer("x", **stated)], base_rate=BASE_RATE)
    assert planned(make_offer, None, **stated).mean == only.mean
