"""A user's own features: a file of theirs, loaded once, in features, model and scores like ours."""

import re

import pytest
from simulated_shop import copied_shop, trained_shop

from churn.commands.features import features
from churn.commands.score import score
from churn.commands.train import train
from churn.config import load_tables
from churn.errors import ConfigError, ModelError
from churn.features import plugins
from churn.features.builder import build_features
from churn.features.catalogue import CATALOGUE, feature_names
from churn.features.clock import FeatureClock
from churn.features.plugins import load_own_features
from churn.modeling.manifest import read_manifest

MODULE = '''
"""Features of ours."""

import churn


@churn.feature(family="ours", unit="currency", over="days")
def largest_day_spend(days, clock):
    """Spend of the largest purchase day."""
    return days.most(days.spend)


@churn.feature(family="ours", unit="ratio", over="row")
def largest_day_share(row, clock):
    """Spend of the largest purchase day over all spend."""
    return row["largest_day_spend"] / row["spend_total"]
'''
OLD = """
import narwhals as nw

import churn


@churn.feature(family="ours", unit="currency", over="days")
def largest_day_spend(clock):
    return nw.col("spend").max()
"""
NAMES = ("largest_day_spend", "largest_day_share")


@pytest.fixture(autouse=True)
def own_catalogue():
    """The catalogue as it was, once the test is over."""
    before, loaded = dict(CATALOGUE), set(plugins._LOADED)
    yield
    CATALOGUE.clear()
    CATALOGUE.update(before)
    plugins._LOADED.clear()
    plugins._LOADED.update(loaded)


@pytest.fixture
def shop(tmp_path, tmp_path_factory):
    """A trained shop whose configuration names the module."""
    config = copied_shop(trained_shop(tmp_path_factory.getbasetemp()), tmp_path / "shop")
    config.with_name("ours.py").write_text(MODULE)
    config.write_text(config.read_text() + '\n[features]\nmodule = "ours.py"\n')
    return config


def test_the_files_features_are_built_beside_ours(shop):
    tables = load_tables(shop)
    rows = build_features(
        tables, [tables.end()], FeatureClock(horizon_days=28, lookback_days=56), names=NAMES
    )
    table = tables.engine.collect(rows).to_pandas().dropna()
    assert list(table.columns[3:]) == list(NAMES)
    assert (table["largest_day_spend"] > 0).all()
    assert table["largest_day_share"].between(0, 1).all()
    assert set(NAMES) <= set(feature_names(tables.connected()))


def test_a_file_is_loaded_once(shop):
    path = shop.with_name("ours.py")
    assert load_own_features(path) == NAMES
    assert load_own_features(path) == ()


def test_a_model_trained_with_them_scores_with_them_and_refuses_without(shop, tmp_path):
    bundle = shop.parent / "models" / train(shop).model_id
    assert set(NAMES) <= {one["name"] for one in read_manifest(bundle)["features"]}
    score(shop, model=str(bundle), out=tmp_path / "s.parquet")
    for name in NAMES:
        del CATALOGUE[name]
    shop.write_text(shop.read_text().replace('module = "ours.py"', ""))
    with pytest.raises(ModelError, match="Name the module"):
        score(shop, model=str(bundle), out=tmp_path / "t.parquet")


def test_families_are_chosen_and_the_required_ones_stay(shop, tmp_path):
    shop.write_text(shop.read_text() + 'families = ["ours"]\n')
    features(shop, out=tmp_path / "f.csv")
    header = (tmp_path / "f.csv").read_text().splitlines()[0].replace('"', "").split(",")
    assert set(NAMES) <= set(header)
    assert {"recency_days", "active_window_share", "expected_gap_days"} <= set(header)
    assert not {"spend_trend", "p_alive", "weekend_share"} & set(header)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1 / 0", "ZeroDivisionError"),
        (MODULE.replace("largest_day_spend", "recency_days"), "a unique name"),
        ("def broken(:", "SyntaxError"),
    ],
)
def test_a_file_that_fails_is_named_and_leaves_the_catalogue_as_it_was(tmp_path, text, said):
    path = tmp_path / "theirs.py"
    path.write_text(text)
    before = dict(CATALOGUE)
    with pytest.raises(ConfigError, match=rf"theirs\.py must run without an error, .*{said}"):
        load_own_features(path)
    assert before == CATALOGUE


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"must name a \.py file, got gone\.py"):
        load_own_features(tmp_path / "gone.py")


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        (MODULE.replace("days.spend", "days.spent"), "no attribute 'spent'"),
        (MODULE.replace('row["spend_total"]', 'row["spent"]'), "'spent'"),
        (MODULE.replace("days.most(days.spend)", "days.spend"), "shape"),
        (OLD, "takes 1 positional argument"),
    ],
    ids=["no such column", "no such sum", "one number a row", "an expression of 0.1"],
)
def test_a_feature_that_does_not_give_a_number_per_customer_is_named(shop, text, cause):
    shop.with_name("ours.py").write_text(text)
    tables = load_tables(shop)
    clock = FeatureClock(horizon_days=28, lookback_days=56)
    with pytest.raises(ConfigError, match=rf"your feature 'largest_day_\w+' .*{cause}") as raised:
        build_features(tables, [tables.end()], clock)
    assert re.search(r"def my_feature\((days|row), clock\)", str(raised.value))
