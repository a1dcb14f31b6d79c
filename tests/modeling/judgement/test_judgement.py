"""A judgement holds every figure, as plain JSON and as flat numbers, of rows not learnt from."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from judged_shop import shop_forecasts, shop_judgement, shop_predictions
from simulated_shop import shop_dataset, shop_evaluation, shop_model, shop_panel

from churn.modeling.judgement.judgement import judge_run
from churn.modeling.judgement.pooled import forward_forecasts
from churn.modeling.judgement.reliability import calibration_error
from churn.modeling.model import ChurnModel
from churn.modeling.slices import slices_of


def test_the_predictions_have_the_evaluations_rows_and_probabilities():
    tested = shop_predictions()
    assert len(tested.rows) == shop_evaluation().of("model").rows
    assert tested.shown[0] == "model"
    assert tested.best_baseline in tested.shown
    assert "recency" in tested.shown
    assert (tested.usual_spend >= 0).all()


def test_calibration_is_told_of_the_eligible_and_of_every_slice():
    tested, found = shop_predictions(), shop_judgement().calibration
    assert [one.group for one in found] == ["eligible", *slices_of(tested.rows, tested.clock)]
    assert found[0].rows == len(tested.rows)
    said = tested.lapse["model"]
    assert found[0].error.estimate == pytest.approx(calibration_error(tested.outcome, said))


def test_rates_are_those_of_every_cutoff_and_forecasts_are_told_where_there_are_any():
    rates = {one.cutoff: one for one in shop_judgement().rates}
    assert list(rates) == sorted(str(date) for date in shop_panel().cutoffs)
    rows = shop_dataset().eligible
    assert sum(one.rows for one in rates.values()) == len(rows)
    assert sum(one.rows * one.lapse.estimate for one in rates.values()) == pytest.approx(
        rows["lapse"].sum()
    )
    for date in shop_panel().blocks.test:
        one = rates[str(date)]
        assert one.foretold is not None
        assert one.roc_auc.low <= one.roc_auc.estimate <= one.roc_auc.high
    assert rates[str(shop_panel().cutoffs.dates[0])].foretold is None


def test_pooled_are_the_forecasts_and_the_test_each_row_once():
    pooled, forecasts = shop_judgement().pooled, shop_forecasts()
    assert len(forecasts) > 0
    assert pooled.calibration[0].rows == len(forecasts) + len(shop_predictions().rows)
    assert set(map(str, shop_panel().blocks.test)) < set(pooled.cutoffs)


def test_a_forecast_of_a_cutoff_rests_on_three_that_had_closed():
    cutoffs = shop_panel().development
    for number in shop_forecasts()["cutoff"].unique():
        date = next(d for d in cutoffs if (d - type(d)(1970, 1, 1)).days == number)
        assert len(cutoffs.before(date)) >= 3


def test_a_stand_in_is_forecast_as_what_speaks():
    development = shop_dataset().only(shop_panel().development)
    recipe = ChurnModel(seed=7, rounds=10, threads=1, stand_in="recency")
    found = forward_forecasts(recipe, development)
    newest = development.only(development.cutoffs.only(development.cutoffs.dates[-1:]))
    said = found[found["cutoff"] == found["cutoff"].max()]["model"].to_numpy()
    recency = newest.eligible["recency_days"].to_numpy()
    order = np.argsort(recency, kind="stable")
    assert (np.diff(said[order]) >= 0).all(), "the longer ago, the likelier to lapse"


def test_importance_is_told_of_every_family_and_gains_add_up_to_one():
    found = shop_judgement().importance
    assert sum(one.features for one in found) == len(shop_model().feature_names_)
    assert sum(one.gain_share for one in found) == pytest.approx(1)
    rises = [one.loss_rise.estimate for one in found]
    assert rises == sorted(rises, reverse=True)
    assert rises[0] > 0


def test_to_json_and_back_nothing_is_lost_and_nothing_is_nan():
    text = shop_judgement().to_json()
    told = json.loads(text)
    assert set(told) >= {
        *("schema", "evaluation", "capacity", "gains", "calibration", "decline_calibration"),
        *("pooled", "rules", "profits", "rates", "importance", "backtest", "ablation", "horizons"),
    }
    assert told["evaluation"] == shop_evaluation().to_dict()
    assert json.loads(json.dumps(told, allow_nan=False)) == told


def test_flat_metrics_are_finite_numbers_and_name_every_part():
    found = shop_judgement().metrics()
    assert all(isinstance(value, (int, float)) and math.isfinite(value) for value in found.values())
    assert {
        *("decline_roc_auc", "decline_log_loss", "decline_brier", "decline_base_rate"),
        *("calibration_error", "calibration_floor_mean", "calibration_floor_95"),
        *("pooled_calibration_error", "pooled_rows", "model_expected_maximum_profit"),
        *("model_precision_at_capacity", "recency_recall_at_capacity"),
        "value_at_risk_spend_caught_at_capacity",
    } <= set(found)


def test_where_nobody_lapsed_there_is_still_a_judgement_in_plain_json():
    test = shop_dataset().only(shop_panel().blocks.test)
    nobody = replace(test, rows=test.rows.assign(lapse=0.0))
    found = judge_run(shop_model(), nobody, shop_evaluation(), history=nobody, replicates=2)
    assert json.loads(found.to_json())["gains"][0]["caught"][0] is None
    assert "recency_recall_at_capacity" not in found.metrics()


def test_the_seed_decides_the_judgement():
    test = shop_dataset().only(shop_panel().blocks.test)
    one, two = (
        judge_run(
            shop_model(), test, shop_evaluation(), history=test, replicates=3, seed=5
        ).to_json()
        for _ in range(2)
    )
    assert one == two


def test_decline_is_judged_where_it_is_defined():
    decline = {one.group: one for one in shop_evaluation().decline}
    rows = shop_predictions().rows
    assert decline["eligible"].rows == rows["decline"].notna().sum()
    assert decline["eligible"].base_rate == pytest.approx(np.nanmean(rows["decline"]))
    assert shop_judgement().decline_calibration.rows == decline["eligible"].rows
