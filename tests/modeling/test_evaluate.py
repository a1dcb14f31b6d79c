"""A judgement compares the model with every rule, on the eligible and on their strata."""

import json

import numpy as np
import pytest
from simulated_shop import shop_dataset, shop_evaluation, shop_model, shop_panel

from churn.modeling.baselines import BASELINES
from churn.modeling.evaluate import evaluate
from churn.modeling.metrics import log_loss, roc_auc

GROUPS = ("eligible", "3+ purchase days", "one-time buyers", "tenure under H")


@pytest.fixture(scope="module")
def rows():
    return shop_dataset().only(shop_panel().blocks.test).eligible


def test_every_predictor_is_judged_on_every_group():
    pairs = {(one.group, one.predictor) for one in shop_evaluation().judged}
    eligible = {(group, name) for group in GROUPS for name in ("model", *BASELINES)}
    assert pairs == eligible | {("lapsed", "model"), ("lapsed", "group_rate")}


def test_the_groups_are_the_eligible_and_three_kinds_of_them(rows):
    sizes = {group: shop_evaluation().of("model", group).rows for group in GROUPS}
    assert sizes == {
        "eligible": len(rows),
        "3+ purchase days": (rows["purchase_days"] >= 3).sum(),
        "one-time buyers": (rows["purchase_days"] == 1).sum(),
        "tenure under H": (rows["tenure_days"] < 28).sum(),
    }
    assert shop_evaluation().of("model").customers == rows["customer_id"].nunique()
    assert shop_evaluation().of("model").base_rate == rows["lapse"].mean()


def test_metrics_are_those_of_the_models_own_probabilities(rows):
    said = shop_model().predict_proba(rows[["status", *shop_model().feature_names_]])[:, 1]
    found = shop_evaluation().of("model").metrics
    assert found["roc_auc"].estimate == roc_auc(rows["lapse"], said)
    assert found["log_loss"].estimate == log_loss(rows["lapse"], said)


def test_the_model_is_compared_with_each_rule_by_the_difference_of_their_losses():
    found = shop_evaluation()
    assert tuple(found.against) == BASELINES
    for name, gap in found.against.items():
        losses = [found.of(p).metrics["log_loss"].estimate for p in ("model", name)]
        assert gap.estimate == pytest.approx(losses[0] - losses[1])
        assert gap.low <= gap.estimate <= gap.high


def test_the_best_baseline_is_the_one_with_the_lowest_loss():
    found = shop_evaluation()
    losses = {name: found.of(name).metrics["log_loss"].estimate for name in BASELINES}
    assert losses[found.best_baseline] == min(losses.values())


def test_the_cutoffs_of_the_judgement_are_named():
    assert shop_evaluation().cutoffs == tuple(str(date) for date in shop_panel().blocks.test)


def test_as_a_dictionary_it_is_json_even_where_a_metric_is_undefined():
    """A cutoff at which nobody is a newcomer leaves strata without rows, so without metrics."""
    dataset = shop_dataset().only(shop_panel().blocks.test)
    settled = dataset.rows[dataset.rows["tenure_days"] > 100]
    found = evaluate(
        shop_model(),
        type(dataset)(settled, dataset.cutoffs, dataset.clock, dataset.feature_names),
        replicates=5,
    ).to_dict()
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    empty = next(one for one in found["judged"] if one["group"] == "tenure under H")
    assert (empty["rows"], empty["base_rate"], empty["roc_auc"]) == (0, None, None)
    assert set(found) == {
        "amounts",
        "cutoffs",
        "decline",
        "judged",
        "log_loss_difference",
        "win_back_log_loss_difference",
    }


def test_as_a_frame_it_has_a_row_for_each_judgement_with_bounds():
    frame = shop_evaluation().to_frame()
    assert len(frame) == len(GROUPS) * (1 + len(BASELINES)) + 2
    known = frame[frame["group"] == "eligible"]
    assert (known["roc_auc_low"] <= known["roc_auc"]).all()
    assert (known["roc_auc"] <= known["roc_auc_high"]).all()


def test_as_text_it_is_a_table_of_the_predictors_on_the_eligible():
    header, *lines = str(shop_evaluation()).splitlines()
    assert header.startswith("eligible")
    assert [line.split()[0] for line in lines] == ["model", *BASELINES]


def test_a_stand_in_is_judged_as_what_speaks():
    """Its model row equals the row of its baseline."""
    model = type(shop_model())()
    model.__setstate__(shop_model().__getstate__())
    model.set_params(stand_in="recency")
    found = evaluate(model, shop_dataset().only(shop_panel().blocks.test), replicates=2)
    assert found.against["recency"].estimate == 0.0
    assert found.of("model").metrics == found.of("recency").metrics


def test_the_seed_decides_the_intervals():
    dataset = shop_dataset().only(shop_panel().blocks.test)
    one, two, other = (
        evaluate(shop_model(), dataset, replicates=5, seed=seed).to_dict() for seed in (1, 1, 2)
    )
    assert one == two
    assert one != other
    assert np.isclose(one["judged"][0]["roc_auc"], other["judged"][0]["roc_auc"])
