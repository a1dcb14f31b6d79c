"""The gate opens for a model that beats the best simple rule beyond chance."""

import pytest
from simulated_shop import shop_evaluation

from churn.modeling.evaluate import Evaluation, Judged
from churn.modeling.gate import judge
from churn.modeling.metrics import Interval


def an_evaluation(gap, *, auc=0.8):
    """A model against two rules; `best` has the lower loss, and `gap` is the interval to it."""
    losses = {"model": 0.30, "best": 0.31, "other": 0.40}
    judged = tuple(
        Judged("eligible", name, 100, 90, 0.2, {"log_loss": exactly(loss), "roc_auc": exactly(auc)})
        for name, loss in losses.items()
    )
    against = {"other": Interval(-0.1, -0.2, -0.05), "best": gap}
    return Evaluation(judged, against, ("2024-01-01",))


def exactly(value):
    return Interval(value, value, value)


def test_a_model_that_surely_beats_the_best_rule_may_speak():
    gate = judge(an_evaluation(Interval(-0.01, -0.02, -0.001)))
    assert gate.open
    assert gate.best_baseline == "best"
    assert gate.reasons == (
        "the model beats the best baseline, best: log loss difference -0.0100 [-0.0200, -0.0010]",
    )
    assert gate.warnings == ()


@pytest.mark.parametrize("high", [0.0, 0.001])
def test_a_model_that_may_have_been_lucky_may_not(high):
    """Better on average is not enough: the whole interval has to lie below zero."""
    gate = judge(an_evaluation(Interval(-0.01, -0.02, high)))
    assert not gate.open
    assert "does not beat the best baseline, best" in gate.reasons[0]


def test_beating_a_weaker_rule_does_not_open_the_gate():
    assert not judge(an_evaluation(Interval(0.02, 0.01, 0.03))).open


def test_too_good_a_ranking_is_called_a_leak_until_shown_not_to_be():
    gate = judge(an_evaluation(Interval(-0.01, -0.02, -0.001), auc=0.97))
    assert gate.open
    assert gate.warnings == (
        "an AUC of 0.970 among eligible customers is a leak until shown not to be",
    )


def test_the_shop_that_can_be_learnt_opens_the_gate():
    assert judge(shop_evaluation()).open
