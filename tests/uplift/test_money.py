"""The money that randomised contacts show: slopes, lifts, redemptions, and how effects lean."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from churn.uplift.experiment import ExperimentData
from churn.uplift.learners import pseudo_outcomes
from churn.uplift.money import MoneyEvidence, money_evidence
from churn.uplift.study import OutOfFold

EFFECT, SLOPE, LIFT, PROPENSITY = 0.2, 2.0, 0.1, 0.5


def experiment(rows=40_000, *, lean=1.0, slope=SLOPE, lift=LIFT, seed=1, giant=False):
    """Contacts with an offer whose average effect is EFFECT, in proportion to the risk or, with a
    `lean` of 0, to p (1 - p); the predictions are true.
    """
    rng = np.random.default_rng(seed)
    risk = rng.uniform(0.1, 0.9, rows)
    stake = rng.lognormal(3.0, 1.0, rows)
    undecided = risk * (1 - risk)
    shape = (1 - lean) * undecided / undecided.mean() + lean * risk / risk.mean()
    effect = EFFECT * shape * 0.4
    sent = rng.random(rows) < PROPENSITY
    expected = (1 - risk) * stake
    gain = slope * effect * stake + lift * expected
    margin = (expected + sent * gain) * rng.lognormal(-0.125, 0.5, rows)
    if giant:
        margin[np.flatnonzero(sent)[0]] = 1e9
    frame = pd.DataFrame(
        {
            "customer_id": np.arange(rows).astype(str),
            "lot": "one",
            "offer_id": np.where(sent, "x", "none"),
            "propensity": PROPENSITY,
            "retained": (rng.random(rows) < 1 - risk + sent * effect).astype(float),
            "margin": margin,
            "redeemed": (rng.random(rows) < 0.3 * sent * (1 - risk + effect)).astype(float),
        }
    )
    data = ExperimentData(frame, (), 28)
    outcomes = np.column_stack([1 - risk, 1 - risk + effect])
    pseudo = pseudo_outcomes(data, ("x",), outcomes)
    return data, OutOfFold(("x",), {}, outcomes, pseudo, expected), float(effect.mean())


@pytest.fixture(scope="module")
def found():
    data, unseen, effect = experiment()
    return money_evidence(data, unseen), effect


def terms(evidence, offer, effect):
    return evidence.terms([offer], {"x": effect}, 0.5)[0]


def test_the_money_of_an_effect_is_found(found, make_offer):
    evidence, effect = found
    learnt = terms(evidence, make_offer("x", redemption_rate=0.05), effect)
    assert learnt.slope == pytest.approx(SLOPE, abs=0.6)
    assert 0.0 < learnt.lift < 2 * LIFT
    assert learnt.redemption == pytest.approx(0.3, abs=0.02)


@pytest.mark.parametrize("lean", [0.0, 1.0])
def test_how_the_effect_varies_with_the_risk_is_found(lean):
    data, unseen, effect = experiment(60_000, lean=lean, seed=3)
    assert money_evidence(data, unseen).lean({"x": effect}) == pytest.approx(lean, abs=0.3)


def test_one_giant_order_moves_nothing(make_offer):
    with_giant, without = (
        terms(money_evidence(*experiment(4_000, giant=giant)[:2]), make_offer("x"), 0.08)
        for giant in (True, False)
    )
    assert with_giant.slope == pytest.approx(without.slope, abs=0.3)
    assert with_giant.lift == pytest.approx(without.lift, abs=0.01)


def test_where_little_is_known_the_terms_are_what_is_assumed(found, make_offer):
    evidence, effect = found
    vague = replace(evidence, covariance=1e6 * evidence.covariance)
    near = terms(vague, make_offer("x"), effect)
    assert (near.slope, near.lift) == pytest.approx((1.0, 0.0), abs=0.01)
    assert vague.lean({"x": effect}) == pytest.approx(0.5, abs=0.01)


def test_without_any_margin_nothing_is_known_of_money(make_offer):
    data, unseen, effect = experiment(2_000)
    empty = ExperimentData(data.rows.assign(margin=0.0), (), 28)
    learnt = money_evidence(empty, replace(unseen, margin=np.zeros(len(data))))
    assert terms(learnt, make_offer("x"), effect).slope == pytest.approx(1.0, abs=1e-3)


def test_without_redemptions_the_rate_of_the_catalogue_stays(make_offer):
    data, unseen, effect = experiment(2_000)
    unknown = ExperimentData(data.rows.drop(columns="redeemed"), (), 28)
    offer = make_offer("x", redemption_rate=0.1, effect=0.03)
    learnt = terms(money_evidence(unknown, unseen), offer, effect)
    assert learnt.redemption == pytest.approx(0.1 / 0.53)


def test_an_offer_without_evidence_has_no_terms(found, make_offer):
    evidence, effect = found
    both = evidence.terms([make_offer("y"), make_offer("x")], {"x": effect}, 0.5)
    assert both[0] is None
    assert both[1] is not None


def test_the_evidence_survives_json(found):
    evidence, effect = found
    again = MoneyEvidence.from_dict(json.loads(json.dumps(evidence.to_dict())))
    np.testing.assert_array_equal(again.covariance, evidence.covariance)
    assert again.lean({"x": effect}) == evidence.lean({"x": effect})


def test_evidence_of_another_shape_is_refused(found):
    entry = found[0].to_dict() | {"mean_risk": [0.1, 0.2]}
    with pytest.raises(ValueError, match="mean_risk must have the shape"):
        MoneyEvidence.from_dict(entry)
