"""A row of weight two counts in the judgement as the same row twice, as it does in training."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from simulated_shop import shop_dataset, shop_model, shop_panel

from churn.modeling.dataset import WEIGHT
from churn.modeling.evaluate import evaluate
from churn.modeling.gate import judge
from churn.modeling.paired import slice_differences
from churn.modeling.training import forecasts_of


@pytest.fixture(scope="module")
def both_ways():
    """Rows at the test cutoffs, half of which stand for another like it."""
    dataset = shop_dataset().only(shop_panel().blocks.test)
    weight = np.where(np.arange(len(dataset.rows)) % 2, 2.0, 1.0)
    weighted = replace(dataset, rows=dataset.rows.assign(**{WEIGHT: weight}))
    repeated = dataset.rows.loc[dataset.rows.index.repeat(weight.astype(int))]
    return weighted, replace(dataset, rows=repeated.reset_index(drop=True))


def test_every_figure_of_the_evaluation_is_that_of_the_repeated_rows(both_ways):
    weighted, repeated = (evaluate(shop_model(), rows, replicates=5) for rows in both_ways)
    for one, other in zip(weighted.judged, repeated.judged, strict=True):
        assert one.base_rate == pytest.approx(other.base_rate, nan_ok=True)
        for name, value in one.metrics.items():
            assert value.estimate == pytest.approx(other.metrics[name].estimate, nan_ok=True)
    for name, gap in weighted.against.items():
        assert gap.estimate == pytest.approx(repeated.against[name].estimate)
    for one, other in zip(weighted.amounts, repeated.amounts, strict=True):
        assert one.expected == pytest.approx(other.expected)
        assert one.ratio.estimate == pytest.approx(other.ratio.estimate)


def test_the_gate_weighs_slices_and_the_difference_to_baselines(both_ways):
    gates = []
    for rows in both_ways:
        evaluation = evaluate(shop_model(), rows, replicates=5)
        gates.append(judge(evaluation, forecasts_of(shop_model(), rows, "recency")))
    weighted, repeated = ({check.name: check.figures for check in gate.checks} for gate in gates)
    assert weighted["rules"]["difference"] == pytest.approx(repeated["rules"]["difference"])
    for name, figures in weighted["slices"].items():
        assert figures["difference"] == pytest.approx(repeated["slices"][name]["difference"])


def test_slices_without_weights_count_each_row_once():
    target, rival = np.tile([0.0, 1.0], 200), np.full(400, 0.5)
    model = np.clip(target, 0.2, 0.8)
    customer = pd.Series(np.arange(400).astype(str)).to_numpy(dtype=object)
    masks = {"all": np.ones(400, dtype=bool)}
    plain, ones = (
        slice_differences(target, model, rival, customer, masks, weights=weights, seed=1)
        for weights in (None, np.ones(400))
    )
    assert plain == ones
