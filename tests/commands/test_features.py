"""The feature table as of a date, with the champion's horizon and lookback if there is one."""

from datetime import date

import pandas as pd
import pytest
from simulated_shop import (
    copied_shop,
    open_shop,
    shop_dataset,
    simulated_orders,
    trained_shop,
)

from churn.commands.features import features
from churn.features.catalogue import feature_names
from churn.modeling.bundle import load_bundle


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    folder = tmp_path_factory.mktemp("features") / "shop"
    return copied_shop(trained_shop(tmp_path_factory.getbasetemp()), folder)


@pytest.fixture(scope="module")
def table(shop, tmp_path_factory):
    out = tmp_path_factory.mktemp("table") / "f.parquet"
    features(shop, out=out, as_of="2023-12-04")
    return pd.read_parquet(out)


def test_every_eligible_customer_has_a_row_of_every_feature(table):
    assert list(table.columns) == ["customer_id", "as_of", "status", *feature_names()]
    assert set(table["status"]) == {"eligible"}
    assert set(table["as_of"]) == {date(2023, 12, 4)}


def test_the_table_equals_the_training_features(table):
    rows = shop_dataset().eligible
    rows = rows[rows["cutoff"] == rows["cutoff"].max()].reset_index(drop=True)
    names = ["customer_id", *feature_names()]
    pd.testing.assert_frame_equal(table[names], rows[names], check_dtype=False, rtol=1e-12)


def test_the_champion_can_score_the_table_as_it_is(shop, table):
    model = load_bundle(shop.parent / "models" / "champion")
    assert len(model.predict_frame(table)) == len(table)


def test_without_a_champion_the_horizon_is_that_of_a_training(tmp_path):
    config = open_shop(tmp_path / "shop", simulated_orders(120))
    result = features(config, out=tmp_path / "f.csv", as_of="2023-12-04")
    assert dict(result.resolved) == {"horizon_days": 28, "lookback_days": 56}
    assert result.rows["features"] == len(pd.read_csv(tmp_path / "f.csv"))
