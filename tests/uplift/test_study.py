import json

import numpy as np
import pytest

from churn.errors import GateError
from churn.uplift.experiment import ExperimentData
from churn.uplift.learners import DRLearner
from churn.uplift.study import study
from churn.uplift.verdict import with_mean


def test_an_offer_that_helps_some_and_harms_others_is_individual(studied, known):
    found = studied.findings["split"]
    assert found.verdict == "individual"
    assert set(studied.texts) == {"split"}
    assert found.line.average.low < known.effects[:, 1].mean() < found.line.average.high
    assert found.groups["works"][0].rule.startswith("x0 above")
    assert found.groups["harms"][0].rule.startswith("x0 at most")


def test_an_offer_that_does_the_same_for_all_is_an_average(studied):
    found = studied.findings["even"]
    assert found.verdict == "average"
    assert found.line.average.low < 0.08 < found.line.average.high
    low, mean, high = found.shift
    assert 0 < low < mean < high


def test_challengers_stand_beside_the_learner(studied):
    assert set(studied.findings["split"].uplift.uplift) == {"dr", "s", "t", "risk"}


def test_few_customers_are_too_small_to_tell_and_no_learner_is_fitted(draw_experiment, quick):
    found = study(draw_experiment(250, seed=2).data, quick)
    assert {one.verdict for one in found.findings.values()} == {"too small to tell"}
    assert found.texts == {}
    assert all(one.uplift is None for one in found.findings.values())


def test_the_plain_difference_weighs_unequal_chances_out(draw_experiment, quick):
    truth = draw_experiment(240, seed=3)
    average = study(truth.data, quick).findings["even"].line.average
    assert average.low < 0.08 < average.high


def test_an_experiment_without_a_control_is_refused(known, quick):
    sent = known.data.only(~known.data.was_given("none"))
    with pytest.raises(GateError, match="Keep a control group"):
        study(sent, quick)


def test_noise_alone_hardly_ever_ships(draw_experiment, quick):
    """No effect at all, in eight verdicts: each is individual with a chance of 2.5 % at most."""
    found = [study(draw_experiment(600, seed=seed, size=0.0).data, quick) for seed in range(4)]
    verdicts = [one.verdict for each in found for one in each.findings.values()]
    assert verdicts.count("individual") <= 1


def test_retained_without_is_the_weighted_rate_of_those_kept(studied, known):
    kept = known.data.rows[known.data.was_given("none")]
    rate = np.average(kept["retained"], weights=1 / kept["propensity"])
    for finding in studied.findings.values():
        assert finding.retained_without == pytest.approx(rate)


def test_the_shift_raises_the_rate_that_is_shown_by_the_effect_that_is_shown(
    draw_experiment, quick
):
    """With one probability for all the shift is a difference of log-odds that anyone can check."""
    found = study(draw_experiment(250, seed=2).data, quick).findings["even"]
    rate, effect = found.retained_without, found.line.average.estimate
    odds = [p / (1 - p) for p in (rate, rate + effect)]
    assert found.shift[1] == pytest.approx(np.log(odds[1] / odds[0]))


@pytest.mark.parametrize("rate", [0.02, 0.183, 0.5, 0.97])
def test_probabilities_are_moved_to_a_mean_and_keep_their_order(rate):
    retained = np.array([0.05, 0.3, 0.31, 0.9])
    moved = with_mean(rate, retained)
    assert moved.mean() == pytest.approx(rate)
    assert (np.diff(moved) > 0).all()


def test_the_findings_are_plain_json(studied):
    told = json.loads(json.dumps({n: one.to_dict() for n, one in studied.findings.items()}))
    assert told["split"]["verdict"] == "individual"
    assert set(told["split"]["uplift"]["ahead"]) == {"none", "all", "s", "t", "risk"}


@pytest.mark.filterwarnings("ignore")
def test_econml_agrees_on_the_effects(known, quick):
    dr = pytest.importorskip("econml.dr", reason="needs econml: an oracle for the tests alone")
    from sklearn.linear_model import LinearRegression, LogisticRegression

    two = known.data.only(~known.data.was_given("even"))
    x = two.matrix.astype(float)
    features = np.column_stack([x, np.sign(x[:, 0])])
    oracle = dr.LinearDRLearner(
        model_propensity=LogisticRegression(),
        model_regression=LinearRegression(),
        min_propensity=0.05,
        cv=2,
        random_state=1,
    )
    oracle.fit(two.retained, two.was_given("split").astype(int), X=features)
    share = two.was_given("split").mean()
    chance = np.where(two.was_given("split"), share, 1 - share)
    ours = study(ExperimentData(two.rows.assign(propensity=chance), two.feature_names, 28), quick)
    average = ours.findings["split"].line.average
    assert abs(oracle.ate(features) - average.estimate) < 0.5 * average.error
    said = DRLearner.fit(two, ("split",), quick.learning).effects(two.matrix)[:, 0]
    assert np.corrcoef(said, oracle.effect(features))[0, 1] > 0.8
