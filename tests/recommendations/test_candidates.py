"""The logistic models of the ranker are calibrated, and need enough rows."""

import numpy as np
import pytest

from churn.recommendations.candidates import MIN_ROWS_PER_OUTCOME, LogisticModel


def rows(size: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    features = np.column_stack([rng.normal(5, 2, size), np.ones(size)])
    probability = 1 / (1 + np.exp(-(features[:, 0] - 6)))
    return features, rng.random(size) < probability


def test_probabilities_are_calibrated():
    features, bought = rows(20_000)
    probability = LogisticModel.fit(features, bought).probability(features)
    high = probability > 0.5
    assert probability.mean() == pytest.approx(bought.mean(), abs=1e-3)
    assert probability[high].mean() == pytest.approx(bought[high].mean(), abs=0.02)


def test_too_few_rows_of_one_outcome_give_no_model():
    features, bought = rows(1_000)
    few = bought & (np.cumsum(bought) < MIN_ROWS_PER_OUTCOME)
    assert LogisticModel.fit(features, few) is None
    assert LogisticModel.fit(features, ~few) is None
