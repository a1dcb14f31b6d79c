"""The lines that rank tell a probability, and are silent where there is nothing to learn."""

import numpy as np
import pytest

from churn.recommendations.candidates import LEAST_OF_EACH, Line


def rows(size: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    features = np.column_stack([rng.normal(5, 2, size), np.ones(size)])
    probability = 1 / (1 + np.exp(-(features[:, 0] - 6)))
    return features, rng.random(size) < probability


def test_a_line_tells_how_often_such_rows_are_bought():
    features, bought = rows(20_000)
    line = Line.fit(features, bought)
    found = line.probability(features)
    high = found > 0.5
    assert found.mean() == pytest.approx(bought.mean(), abs=1e-3)
    assert found[high].mean() == pytest.approx(bought[high].mean(), abs=0.02)


def test_too_few_of_one_outcome_teach_nothing():
    features, bought = rows(1_000)
    few = bought & (np.cumsum(bought) < LEAST_OF_EACH)
    assert Line.fit(features, few) is None
    assert Line.fit(features, ~few) is None
