import numpy as np
import pandas as pd

from churn.uplift.average import telling_groups


def test_groups_that_gain_and_groups_that_lose_are_named_by_a_rule():
    rng = np.random.default_rng(3)
    features = pd.DataFrame(
        {"recency_days": rng.uniform(0, 90, 6_000), "is_member": rng.integers(0, 2, 6_000) * 1.0}
    )
    effect = np.where(features["recency_days"] > 60, 0.3, -0.1)
    found = telling_groups(features, effect + rng.normal(0, 0.5, 6_000), np.arange(6_000))
    assert found["works"][0].rule.startswith("recency_days above 60")
    assert found["works"][0].low > 0.2
    assert {group.feature for group in found["harms"]} == {"recency_days"}
    assert all(group.high < 0 for group in found["harms"])


def test_chance_alone_names_nobody():
    rng = np.random.default_rng(4)
    features = pd.DataFrame(rng.normal(size=(3_000, 30))).add_prefix("x")
    found = telling_groups(features, rng.normal(0, 1, 3_000), np.arange(3_000))
    assert found == {"works": (), "harms": ()}


def test_few_values_and_missing_ones_are_groups_of_their_own():
    value = np.repeat([0.0, 1.0, np.nan], 1_000)
    effect = np.repeat([0.0, 0.0, 1.0], 1_000) + np.random.default_rng(5).normal(0, 0.1, 3_000)
    found = telling_groups(pd.DataFrame({"tier": value}), effect, np.arange(3_000))
    assert [group.rule for group in found["works"]] == ["tier is not known"]


def test_groups_of_few_rows_and_features_of_one_value_are_passed_over():
    features = pd.DataFrame({"same": np.ones(300), "rare": np.r_[np.zeros(295), np.ones(5)]})
    effect = np.r_[np.zeros(295), np.full(5, 9.0)]
    assert telling_groups(features, effect, np.arange(300))["works"] == ()
