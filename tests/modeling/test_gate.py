"""The gate opens for a model that beats the rules, is no step back, nowhere worse, and knows
nothing of the future.
"""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from simulated_shop import shop_dataset, shop_evaluation, shop_model, shop_panel

from churn.modeling.audit import Leak
from churn.modeling.evaluate import Evaluation, Judged, evaluate
from churn.modeling.gate import Forecasts, Rival, judge
from churn.modeling.metrics import Interval
from churn.modeling.model import ChurnModel
from churn.modeling.training import forecasts_of

SURE = Interval(-0.01, -0.02, -0.001)
LEAK = Leak("crystal_ball", "alone", "the feature 'crystal_ball' alone ranks …", {"roc_auc": 1.0})


def an_evaluation(gap, *, auc=0.8, cutoffs=("2024-01-01", "2024-01-15")):
    """A model against two rules; `best` has the lower loss, and `gap` is the interval to it."""
    losses = {"model": 0.30, "best": 0.31, "other": 0.40}
    judged = tuple(
        Judged("eligible", name, 100, 90, 0.2, {"log_loss": exactly(loss), "roc_auc": exactly(auc)})
        for name, loss in losses.items()
    )
    against = {"other": Interval(-0.1, -0.2, -0.05), "best": gap}
    return Evaluation(judged, against, cutoffs)


def exactly(value):
    return Interval(value, value, value)


def forecasts(model=None, baseline=None, *, rows=4000):
    """Outcomes drawn from known probabilities; both predictors know them unless said otherwise."""
    rng = np.random.default_rng(8)
    truth = np.clip(rng.normal(0.2, 0.1, rows), 0.02, 0.9)
    frame = pd.DataFrame(
        {
            "customer_id": [f"c{number // 2}" for number in range(rows)],
            "lapse": (rng.random(rows) < truth).astype(float),
        }
    )
    half = np.arange(rows) % 2 == 0
    said = {
        name: truth if change is None else change(truth, half)
        for name, change in (("model", model), ("baseline", baseline))
    }
    slices = {"tenure under 28 days": half, "tenure over 28 days": ~half}
    return Forecasts(frame, said["model"], said["baseline"], slices), truth


def a_champion(probability, *, how="recipe refitted", stand_in=None, chosen=None):
    everywhere = np.ones(len(probability), dtype=bool)
    chosen = everywhere if chosen is None else chosen
    return Rival("churn-old", how, chosen, probability[chosen], stand_in)


def the(gate, name):
    return next(check for check in gate.checks if check.name == name)


def test_a_model_that_surely_beats_the_best_rule_may_speak():
    gate = judge(an_evaluation(SURE))
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


def test_one_cutoff_alone_opens_no_gate():
    gate = judge(an_evaluation(SURE, cutoffs=("2024-01-01",)))
    assert not gate.open
    assert gate.reasons[0].endswith("evaluated on 1 cutoff, and a promotion needs two")


def test_a_ranking_that_is_unusually_good_is_pointed_out():
    gate = judge(an_evaluation(SURE, auc=0.97))
    assert gate.open
    assert gate.warnings == (
        "an AUC of 0.970 on eligible customers is unusually high: plausible in a shop with a fixed "
        "rhythm; otherwise look for a feature that leaks",
    )


def test_the_shop_that_can_be_learnt_opens_the_gate():
    test = shop_dataset().only(shop_panel().blocks.test)
    found = forecasts_of(shop_model(), test, shop_evaluation().best_baseline)
    gate = judge(shop_evaluation(), found, leaks=())
    assert gate.open
    assert [check.name for check in gate.checks] == ["rules", "slices", "leaks"]


def test_shuffled_labels_are_refused():
    """Whatever is learnt from labels that were dealt out at random, no rule is beaten by it."""
    rng = np.random.default_rng(4)
    rows = shop_dataset().rows
    dealt = rows.groupby("cutoff")["lapse"].transform(rng.permutation)
    shuffled = replace(shop_dataset(), rows=rows.assign(lapse=dealt))
    model = ChurnModel(seed=7, rounds=20, threads=1).fit(shuffled.only(shop_panel().development))
    gate = judge(evaluate(model, shuffled.only(shop_panel().blocks.test), replicates=20))
    assert not gate.open
    assert "does not beat the best baseline" in gate.reasons[0]


def test_a_refit_that_is_as_good_as_the_champion_is_let_through():
    """To ask for superiority at every training would keep fresher labels out."""
    found, truth = forecasts(model=lambda truth, _: np.clip(truth + 0.002, 0, 1))
    gate = judge(an_evaluation(SURE), found, champion=a_champion(truth))
    check = the(gate, "champion")
    assert gate.open
    assert check.reason.startswith(
        "the model is not inferior to the champion churn-old (recipe refitted): log loss"
    )
    assert 0 < check.figures["high"] < check.figures["bound"]


def test_a_step_back_from_the_champion_is_refused_though_the_rules_are_beaten():
    found, truth = forecasts(model=lambda truth, _: 0.7 * truth + 0.06)
    gate = judge(an_evaluation(SURE), found, champion=a_champion(truth, how="itself"))
    assert the(gate, "rules").passed
    assert not gate.open
    assert gate.reasons[0].startswith(
        "the model may be inferior to the champion churn-old (itself): log loss difference +"
    )


def test_the_margin_is_half_a_percent_of_the_champions_own_loss():
    found, truth = forecasts()
    check = the(judge(an_evaluation(SURE), found, champion=a_champion(truth)), "champion")
    target = found.rows["lapse"].to_numpy()
    loss = -np.mean(np.where(target == 1, np.log(truth), np.log(1 - truth)))
    assert check.figures["bound"] == pytest.approx(0.005 * loss)
    assert (check.figures["low"], check.figures["high"]) == (0.0, 0.0)


def test_a_stand_in_has_to_be_beaten_as_a_rule_has():
    found, truth = forecasts()
    equal = judge(an_evaluation(SURE), found, champion=a_champion(truth, stand_in="recency"))
    assert not the(equal, "champion").passed
    assert "does not beat the champion churn-old" in the(equal, "champion").reason
    worse = a_champion(np.full(len(truth), 0.2), stand_in="recency")
    assert the(judge(an_evaluation(SURE), found, champion=worse), "champion").passed


def test_a_model_that_is_worse_on_one_slice_is_refused_though_better_on_the_whole():
    found, _ = forecasts(
        model=lambda truth, half: np.where(half, truth, 0.85 * truth + 0.1),
        baseline=lambda truth, half: np.where(half, 0.2, truth),
    )
    gate = judge(an_evaluation(SURE), found)
    assert the(gate, "rules").passed
    assert not gate.open
    assert gate.reasons[0].startswith(
        "the model is worse than the best baseline, best on a slice: tenure over 28 days, "
        "log loss +"
    )
    assert gate.reasons[0].endswith("(97.5% intervals for 2 slices)")


def test_slices_are_measured_by_the_champion_where_there_is_one():
    found, truth = forecasts(
        model=lambda truth, half: np.where(half, truth, 0.85 * truth + 0.1),
        baseline=lambda truth, half: np.full(len(truth), 0.2),
    )
    champion = a_champion(np.where(np.arange(len(truth)) % 2 == 0, 0.2, truth))
    gate = judge(an_evaluation(SURE), found, champion=champion)
    assert the(gate, "slices").reason.startswith("the model is worse than the champion churn-old")
    kind = a_champion(np.full(len(truth), 0.2))
    assert the(judge(an_evaluation(SURE), found, champion=kind), "slices").passed


def test_a_champion_is_compared_on_the_rows_it_may_be_compared_on_alone():
    chosen = np.arange(4000) >= 2000
    found, truth = forecasts(model=lambda truth, _: np.where(chosen, truth, 0.99))
    check = the(
        judge(an_evaluation(SURE), found, champion=a_champion(truth, chosen=chosen)), "champion"
    )
    assert check.passed
    assert check.figures["difference"] == 0.0


def test_a_leak_is_refused_by_the_name_of_its_feature():
    gate = judge(an_evaluation(SURE), leaks=[LEAK])
    assert not gate.open
    assert gate.reasons == (LEAK.reason,)
    assert the(gate, "leaks").figures == {"crystal_ball": {"kind": "alone", "roc_auc": 1.0}}


def test_of_many_leaks_the_first_five_are_told_and_all_are_counted():
    leaks = [replace(LEAK, feature=f"ball_{n}", reason=f"ball {n} glows") for n in range(8)]
    check = the(judge(an_evaluation(SURE), leaks=leaks), "leaks")
    assert check.reason.endswith("ball 4 glows; and 3 more")
    assert len(check.figures) == 8


@pytest.mark.parametrize(
    ("champion", "stands_in", "expected"),
    [(None, False, "best"), ("churn-old", True, "best"), ("churn-old", False, None)],
    ids=["nobody speaks yet", "a rule speaks, and gets fresher", "a model speaks, and stays"],
)
def test_the_best_rule_stands_in_where_no_model_speaks(champion, stands_in, expected):
    gate = judge(an_evaluation(Interval(0.0, -0.01, 0.01)), leaks=())
    assert gate.stand_in(champion, stands_in=stands_in) == expected


def test_nothing_stands_in_for_a_model_that_passed():
    assert judge(an_evaluation(SURE), leaks=()).stand_in(None, stands_in=False) is None


@pytest.mark.parametrize("gap", [SURE, Interval(0.0, -0.01, 0.01)])
@pytest.mark.parametrize("feature", ["crystal_ball", "visits_30d"])
def test_where_a_feature_beside_the_orders_leaks_the_best_rule_stands_in(gap, feature):
    """A user's own feature, or one of events: rules stand on orders alone."""
    gate = judge(an_evaluation(gap), leaks=[replace(LEAK, feature=feature)])
    assert gate.leaking == (feature,)
    assert gate.stand_in(None, stands_in=False) == "best"


@pytest.mark.parametrize("feature", ["recency_days", "first_channel_share", "distinct_products"])
def test_where_the_orders_themselves_leak_no_rule_stands_in(feature):
    """Rules stand on the same rows."""
    gate = judge(an_evaluation(SURE), leaks=[LEAK, replace(LEAK, feature=feature)])
    assert gate.stand_in(None, stands_in=False) is None


def test_renewals_do_not_stand_in_where_subscriptions_leak():
    leak = replace(LEAK, feature="is_cancelled")
    gate = judge(an_evaluation(SURE), leaks=[leak])
    assert gate.stand_in(None, stands_in=False) == "best"
    renewals = replace(gate, best_baseline="renewals")
    assert renewals.stand_in(None, stands_in=False) is None


def test_a_model_that_is_worse_on_a_slice_gives_way_to_the_rule_where_nobody_speaks():
    found, _ = forecasts(
        model=lambda truth, half: np.where(half, truth, 0.85 * truth + 0.1),
        baseline=lambda truth, half: np.where(half, 0.2, truth),
    )
    gate = judge(an_evaluation(SURE), found)
    assert gate.stand_in(None, stands_in=False) == "best"
    assert gate.stand_in("churn-old", stands_in=False) is None


def test_checks_are_plain_json():
    found, truth = forecasts()
    gate = judge(an_evaluation(SURE), found, champion=a_champion(truth), leaks=[LEAK])
    told = [check.to_dict() for check in gate.checks]
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert [one["name"] for one in told] == ["rules", "champion", "slices", "leaks"]
