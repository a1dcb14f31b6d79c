"""The contract of the features: names, meanings, and one row per customer and cutoff."""

import math
from datetime import date

import pytest

from churn.features.builder import STATUSES, build_features
from churn.features.catalogue import CATALOGUE, Feature, feature, feature_names, features_over_days
from churn.features.clock import FeatureClock

VISIBLE = [one for one in CATALOGUE.values() if not one.hidden]
CLOCK = FeatureClock(horizon_days=28, lookback_days=56)


def test_one_row_per_customer_and_cutoff_with_stable_names_and_finite_numbers(open_shop, tiny_shop):
    tables = open_shop(tiny_shop)
    cutoffs = [date(2024, 3, 5), date(2024, 5, 1)]
    table = tables.engine.collect(build_features(tables, cutoffs, CLOCK))
    assert table.column_names == ["customer_id", "cutoff", "status", *feature_names()]
    rows = table.to_pylist()
    assert len({(row["customer_id"], row["cutoff"]) for row in rows}) == len(rows) == 2 + 3
    for row in rows:
        assert row["status"] in STATUSES
        values = [row[name] for name in feature_names()]
        assert all(value is None or math.isfinite(value) for value in values)


def test_names_are_unique_and_come_in_one_order():
    names = feature_names()
    assert len(set(names)) == len(names) == len(VISIBLE)
    assert names == feature_names()


@pytest.mark.parametrize("one", VISIBLE, ids=lambda one: one.name)
def test_every_feature_says_what_it_means_in_which_unit_and_family(one: Feature):
    assert one.meaning.endswith(".")
    assert one.unit
    assert one.family
    assert one.family != "sums"


def test_sums_that_only_features_need_are_not_features():
    hidden = [one.name for one in CATALOGUE.values() if one.hidden]
    assert hidden
    assert not set(hidden) & set(feature_names())


def test_a_name_can_be_given_only_once():
    declare = feature(family="recency", unit="days", over="days")
    with pytest.raises(ValueError, match="two features are called 'recency_days'"):
        declare(CATALOGUE["recency_days"].formula)
    with pytest.raises(ValueError, match="two features are called 'net_spend'"):
        features_over_days(
            [("net_spend", "Again.", CATALOGUE["net_spend"].formula)], family="money", unit="money"
        )
