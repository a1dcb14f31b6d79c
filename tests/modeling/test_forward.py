"""The recipe at earlier cutoffs: forecast from what had closed by then, beside the best rule."""

import json
from datetime import date

import numpy as np
import pytest
from simulated_shop import shop_dataset, shop_panel
from subscription_shop import AS_OF as SUBSCRIBED_AS_OF
from subscription_shop import subscription_tables

from churn.modeling.baselines import BASELINES, RENEWALS, predict_baseline
from churn.modeling.dataset import build_dataset
from churn.modeling.forward import judge_folds
from churn.modeling.metrics import log_loss, roc_auc
from churn.modeling.model import ChurnModel
from churn.modeling.panel import resolve_panel

RECIPE = ChurnModel(seed=7, rounds=15, threads=1)


@pytest.fixture(scope="module")
def development():
    return shop_dataset().only(shop_panel().development)


@pytest.fixture(scope="module")
def folds(development):
    return judge_folds(RECIPE, development)


@pytest.fixture(scope="module")
def whole(development, folds):
    """The same recipe, fitted wholly on what the newest fold may learn from."""
    learnt = development.before(folds[-1].cutoff)
    return ChurnModel(seed=7, rounds=15, threads=1).fit(learnt)


def test_folds_are_the_newest_development_cutoffs_that_have_a_past(folds, development):
    assert [fold.cutoff for fold in folds] == list(development.cutoffs.dates[-len(folds) :])
    for fold in folds:
        assert fold.learnt_cutoffs == len(development.cutoffs.before(fold.cutoff))


def test_a_fold_says_of_every_eligible_customer_what_a_whole_fit_would(folds, development, whole):
    fold = folds[-1]
    later = development.only(development.cutoffs.only((fold.cutoff,))).eligible
    said = whole.predict_proba(later[["status", *development.feature_names]])[:, 1]
    np.testing.assert_allclose(fold.rows["model"], said, rtol=0, atol=1e-12)
    assert fold.rows["customer_id"].tolist() == later["customer_id"].tolist()
    for name in BASELINES:
        rule = predict_baseline(whole.baselines_[name], later)
        np.testing.assert_allclose(fold.rows[name], rule, rtol=0, atol=1e-12)


def test_the_metrics_of_a_fold_are_those_of_its_rows(folds):
    for fold in folds:
        for name in ("model", *BASELINES):
            assert fold.metrics[name]["log_loss"] == log_loss(fold.rows["lapse"], fold.rows[name])
            assert fold.metrics[name]["roc_auc"] == roc_auc(fold.rows["lapse"], fold.rows[name])


def test_as_a_dictionary_a_fold_is_json_with_the_best_rule_beside_the_model(folds):
    told = folds[0].to_dict()
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    best = min(BASELINES, key=lambda name: folds[0].metrics[name]["log_loss"])
    assert told["best_baseline"] == best
    assert told["baseline_log_loss"] == folds[0].metrics[best]["log_loss"]
    assert told["model_roc_auc"] == folds[0].metrics["model"]["roc_auc"]


def test_the_rule_of_renewals_is_among_those_that_a_fold_is_set_beside():
    tables, end = subscription_tables(), date.fromisoformat(SUBSCRIBED_AS_OF)
    panel = resolve_panel(tables, end, horizon_days=28, mode="contractual", grace_days=5)
    needed = ("recency_days", "purchase_days", "tenure_days", "net_spend_three_horizons")
    names = (*needed, "active_window_share", "average_basket", "expected_gap_days")
    names += ("is_cancelled", "renewals_so_far", "subscription_tenure_days", "plan_days")
    (*_, fold) = judge_folds(RECIPE, build_dataset(tables, panel.cutoffs, panel.clock, names=names))
    assert tuple(fold.metrics) == ("model", *BASELINES, RENEWALS)
    losses = {name: found["log_loss"] for name, found in fold.metrics.items() if name != "model"}
    assert fold.best_baseline == min(losses, key=lambda name: losses[name])


def test_a_fold_with_too_few_of_a_class_to_learn_from_is_left_out(development):
    rows = development.rows[development.rows["lapse"] == 0]
    one_class = type(development)(
        rows, development.cutoffs, development.clock, development.feature_names
    )
    assert judge_folds(RECIPE, one_class) == ()


def test_forecasting_leaves_the_recipe_as_it_was(folds):
    assert not hasattr(RECIPE, "heads_")
    assert not hasattr(RECIPE, "feature_names_")
