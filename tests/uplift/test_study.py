import json

import numpy as np
import pytest

from churn.errors import GateError
from churn.uplift.experiment import ExperimentData
from churn.uplift.learners import DRLearner
from churn.uplift.study import study
from churn.uplift.verdict import with_mean


def test_an_offer_that_helps_some_and_harms_others_is_individual(studied, truth):
    finding = studied.findings["split"]
    assert finding.verdict == "individual"
    assert set(studied.texts) == {"split"}
    assert finding.line.average.low < truth.effects[:, 1].mean() < finding.line.average.high
    assert finding.groups["works"][0].rule.startswith("x0 above")
    assert finding.groups["harms"][0].rule.startswith("x0 at most")


def test_an_offer_with_the_same_effect_on_all_is_an_average(studied):
    finding = studied.findings["even"]
    assert finding.verdict == "average"
    assert finding.line.average.low < 0.08 < finding.line.average.high
    low, mean, high = finding.shift
    assert 0 < low < mean < high


def test_the_report_includes_challengers_and_risk(studied):
    assert set(studied.findings["split"].uplift.uplift) == {"dr", "s", "t", "risk"}


def test_few_customers_are_too_small_to_tell_and_no_learner_is_fitted(draw_experiment, quick):
    small = study(draw_experiment(250, seed=2).data, quick)
    assert {finding.verdict for finding in small.findings.values()} == {"too small to tell"}
    assert small.texts == {}
    assert all(finding.uplift is None for finding in small.findings.values())


def test_the_plain_difference_weights_by_propensity(draw_experiment, quick):
    data = draw_experiment(240, seed=3).data
    average = study(data, quick).findings["even"].line.average
    assert average.low < 0.08 < average.high


def test_an_experiment_without_a_control_is_refused(truth, quick):
    treated = truth.data.only(~truth.data.assigned("none"))
    with pytest.raises(GateError, match="Keep a control"):
        study(treated, quick)


def test_noise_is_hardly_ever_individual(draw_experiment, quick):
    """Eight verdicts without any effect: each is individual with a probability of 2.5 % at most."""
    studies = [study(draw_experiment(600, seed=seed, size=0.0).data, quick) for seed in range(4)]
    verdicts = [finding.verdict for each in studies for finding in each.findings.values()]
    assert verdicts.count("individual") <= 1


def test_retained_without_is_the_weighted_rate_of_the_held_out(studied, truth):
    held_out = truth.data.rows[truth.data.assigned("none")]
    rate = np.average(held_out["retained"], weights=1 / held_out["propensity"])
    for finding in studied.findings.values():
        assert finding.retained_without == pytest.approx(rate)


def test_the_shift_is_the_difference_of_log_odds_at_the_rate_shown(draw_experiment, quick):
    """For one probability for all, as in small experiments."""
    finding = study(draw_experiment(250, seed=2).data, quick).findings["even"]
    rate, effect = finding.retained_without, finding.line.average.estimate
    odds = [p / (1 - p) for p in (rate, rate + effect)]
    assert finding.shift[1] == pytest.approx(np.log(odds[1] / odds[0]))


@pytest.mark.parametrize("rate", [0.02, 0.183, 0.5, 0.97])
def test_probabilities_are_shifted_to_a_mean_and_keep_their_order(rate):
    retained = np.array([0.05, 0.3, 0.31, 0.9])
    shifted = with_mean(rate, retained)
    assert shifted.mean() == pytest.approx(rate)
    assert (np.diff(shifted) > 0).all()


def test_findings_are_plain_json(studied):
    findings = {name: finding.to_dict() for name, finding in studied.findings.items()}
    split = json.loads(json.dumps(findings))["split"]
    assert split["verdict"] == "individual"
    assert set(split["uplift"]["ahead"]) == {"none", "all", "s", "t", "risk"}


@pytest.mark.filterwarnings("ignore")
def test_econml_agrees_on_the_effects(truth, quick):
    dr = pytest.importorskip("econml.dr", reason="needs econml, an oracle for tests only")
    from sklearn.linear_model import LinearRegression, LogisticRegression

    two = truth.data.only(~truth.data.assigned("even"))
    x = two.matrix.astype(float)
    features = np.column_stack([x, np.sign(x[:, 0])])
    oracle = dr.LinearDRLearner(
        model_propensity=LogisticRegression(),
        model_regression=LinearRegression(),
        min_propensity=0.05,
        cv=2,
        random_state=1,
    )
    oracle.fit(two.retained, two.assigned("split").astype(int), X=features)
    share = two.assigned("split").mean()
    rows = two.rows.assign(propensity=np.where(two.assigned("split"), share, 1 - share))
    ours = study(ExperimentData(rows, two.feature_names, 28), quick)
    average = ours.findings["split"].line.average
    assert abs(oracle.ate(features) - average.estimate) < 0.5 * average.error
    predicted = DRLearner.fit(two, ("split",), quick.learning).effects(two.matrix)[:, 0]
    assert np.corrcoef(predicted, oracle.effect(features))[0, 1] > 0.8
