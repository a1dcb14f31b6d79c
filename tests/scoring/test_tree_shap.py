"""TreeSHAP tree by tree equals LightGBM's own, whatever the rows."""

from functools import cache

import lightgbm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churn.scoring import tree_shap as module
from churn.scoring.tree_shap import DECIMALS, tree_shap

FEATURES = 6
TOLERANCE = 2 * 10.0**-DECIMALS


def rows_of(seed, count):
    """Numbers with ties, zeros, infinities of float32's size and unknown values."""
    random = np.random.default_rng(seed)
    rows = random.normal(size=(count, FEATURES)).round(1).astype("float32")
    rows[random.random(rows.shape) < 0.1] = np.nan
    rows[random.random(rows.shape) < 0.05] = 3e38
    return rows


@cache
def fitted(leaves):
    rows = rows_of(0, 4_000)
    known = np.nan_to_num(np.clip(rows, -9, 9))
    target = (known[:, 0] + known[:, 1] * known[:, 2] + np.isnan(rows[:, 3]) > 0.2).astype(float)
    settings = {"objective": "binary", "num_leaves": leaves, "verbose": -1, "num_threads": 1}
    data = lightgbm.Dataset(rows, target)
    return lightgbm.train({**settings, "min_data_in_leaf": 5}, data, 20)


def direct(booster, rows):
    return booster.predict(rows, pred_contrib=True, num_threads=1)[:, :-1]


@pytest.mark.parametrize("leaves", [2, 15, 80])
@given(seed=st.integers(1, 10**6), count=st.integers(module.FEW_ROWS + 1, 600))
@settings(max_examples=10)
def test_contributions_are_those_of_lightgbm(leaves, seed, count):
    booster, rows = fitted(leaves), rows_of(seed, count)
    found = tree_shap(booster, rows)
    np.testing.assert_allclose(found, direct(booster, rows), rtol=0, atol=TOLERANCE)


def test_a_row_alone_has_the_contributions_that_it_has_among_many():
    rows = rows_of(1, 2_000)
    together = tree_shap(fitted(15), rows)
    for place in range(0, 2_000, 97):
        alone = tree_shap(fitted(15), rows[place : place + 1])[0]
        np.testing.assert_allclose(alone, together[place], rtol=0, atol=TOLERANCE)
    assert np.abs(together[:, :4]).sum(axis=0).min() > 0


def test_splits_on_categories_are_left_to_lightgbm():
    rows = np.nan_to_num(np.clip(rows_of(2, 1_000), 0, 5)).astype(int).astype("float32")
    target = (np.isin(rows[:, 0], [1, 3]) | (rows[:, 1] > 2)).astype(float)
    data = lightgbm.Dataset(rows, target, categorical_feature=[0])
    parameters = {"objective": "binary", "verbose": -1, "num_threads": 1, "min_data_per_group": 5}
    booster = lightgbm.train({**parameters, "max_cat_to_onehot": 1}, data, 5)
    assert any(
        line.startswith("num_cat=") and line != "num_cat=0"
        for line in booster.model_to_string().splitlines()
    )
    np.testing.assert_allclose(
        tree_shap(booster, rows), direct(booster, rows), rtol=0, atol=TOLERANCE
    )


def test_a_tree_without_a_split_is_left_to_lightgbm():
    rows = rows_of(3, 500)
    booster = lightgbm.train(
        {"objective": "binary", "verbose": -1, "num_threads": 1, "min_data_in_leaf": 400},
        lightgbm.Dataset(rows, (rows[:, 0] > 0).astype(float)),
        3,
    )
    assert np.abs(tree_shap(booster, rows)).max() == 0
