"""Expected orders and margin beside what came, in all and customer by customer."""

import json
from dataclasses import replace

import numpy as np
import pytest
from simulated_shop import shop_dataset, shop_evaluation, shop_model, shop_panel

from churn.modeling.expectations import AMOUNTS, judge_amounts


@pytest.fixture(scope="module")
def rows():
    return shop_dataset().only(shop_panel().blocks.test).eligible


def test_each_amount_is_judged_beside_the_lifetime_models_and_the_own_past():
    pairs = [(one.amount, one.predictor) for one in shop_evaluation().amounts]
    predictors = ("model", "lifetime", "own_rate")
    assert pairs == [(amount, name) for amount in AMOUNTS for name in predictors]


def test_sums_are_those_of_the_scores_and_of_the_orders_that_came(rows):
    said = shop_model().predict_frame(rows[["status", *shop_model().feature_names_]])
    found = {(one.amount, one.predictor): one for one in shop_evaluation().amounts}
    orders, margin = found["orders", "model"], found["margin", "model"]
    assert orders.expected == pytest.approx(said["expected_orders"].sum())
    assert orders.came == rows["horizon_orders"].sum()
    assert margin.expected == pytest.approx(said["expected_margin"].sum())
    assert margin.came == pytest.approx(0.3 * rows["horizon_net_spend"].sum())
    errors = np.abs(said["expected_orders"].to_numpy() - rows["horizon_orders"].to_numpy())
    assert orders.error.estimate == pytest.approx(errors.mean())


def test_the_sum_expected_over_the_sum_that_came_has_an_interval_around_it():
    for one in shop_evaluation().amounts:
        assert one.ratio.estimate == pytest.approx(one.expected / one.came)
        assert one.ratio.low < one.ratio.estimate < one.ratio.high
        assert one.error.low < one.error.estimate < one.error.high


def test_what_single_orders_brought_beyond_the_fence_is_told_apart(rows):
    """Of margin; the sum that came stays whole."""
    giant = rows.index[5]
    test = shop_dataset().only(shop_panel().blocks.test)
    more = test.rows["horizon_net_spend"].where(test.rows.index != giant, 1_000_000.0)
    found = judge_amounts(
        shop_model(), replace(test, rows=test.rows.assign(horizon_net_spend=more)), replicates=5
    )
    fenced = rows.loc[giant, "horizon_fenced_spend"]
    for one in found:
        beyond = 0.3 * (1_000_000.0 - fenced) if one.amount == "margin" else 0.0
        assert one.beyond_fence == pytest.approx(beyond, rel=1e-3)
        assert one.beyond_fence_share == pytest.approx(beyond / one.came, rel=1e-3)


def test_the_own_past_is_that_of_the_last_three_horizons(rows):
    one = next(
        o for o in shop_evaluation().amounts if (o.amount, o.predictor) == ("margin", "own_rate")
    )
    seen = rows["tenure_days"].clip(lower=28, upper=84)
    usual = rows["net_spend_three_horizons"].clip(lower=0) * 28 / seen
    assert one.expected == pytest.approx(0.3 * usual.sum())


def test_it_is_plain_json():
    told = [one.to_dict() for one in shop_evaluation().amounts]
    assert json.loads(json.dumps(told, allow_nan=False)) == told
