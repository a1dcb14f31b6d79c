import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.uplift.average import EffectLine, Estimate, mean_by_customer, responsive_groups

samples = st.lists(st.floats(-5, 5), min_size=2, max_size=30).map(np.array)


@given(samples)
def test_one_row_per_customer_gives_the_standard_error_of_the_mean(value):
    mean = mean_by_customer(value, np.arange(len(value)))
    assert mean.estimate == pytest.approx(value.mean())
    assert mean.error == pytest.approx(value.std(ddof=1) / np.sqrt(len(value)), abs=1e-9)


@given(samples, st.integers(2, 4))
def test_copies_of_rows_within_a_customer_do_not_change_the_error(value, times):
    once = mean_by_customer(value, np.arange(len(value)))
    copied = mean_by_customer(np.tile(value, times), np.tile(np.arange(len(value)), times))
    assert copied.error == pytest.approx(once.error, abs=1e-9)


def test_the_interval_covers_the_truth_in_90_percent_of_samples():
    rng = np.random.default_rng(1)
    means = [mean_by_customer(rng.normal(size=80), np.arange(80)) for _ in range(800)]
    coverage = np.mean([mean.low <= 0 <= mean.high for mean in means])
    assert 0.87 < coverage < 0.93


def line_of(slope: float, *, noise: float, rows: int = 2_000, seed: int = 0) -> EffectLine:
    rng = np.random.default_rng(seed)
    predicted = rng.normal(size=rows)
    pseudo = 0.1 + slope * (predicted - predicted.mean()) + noise * rng.normal(size=rows)
    return EffectLine.fit(pseudo, predicted, np.arange(rows))


def test_correct_predictions_are_not_shrunk():
    line = line_of(1.0, noise=0.1)
    assert line.slope == pytest.approx(1.0, abs=0.01)
    assert line.mean(np.array([line.centre + 1]))[0] == pytest.approx(1.1, abs=0.02)


def test_exaggerated_predictions_are_shrunk_and_cautious_ones_are_not_amplified():
    assert line_of(0.5, noise=0.1).slope == pytest.approx(0.5, abs=0.01)
    assert line_of(3.0, noise=0.1).slope == 1.0


def test_reversed_predictions_are_ignored():
    line = line_of(-1.0, noise=0.1)
    assert line.slope == 0.0
    np.testing.assert_allclose(line.mean(np.array([-5.0, 5.0])), line.average.estimate)


@given(st.integers(0, 200))
def test_the_slope_of_noise_stays_between_0_and_1(seed):
    line = line_of(0.0, noise=5.0, rows=200, seed=seed)
    assert 0 <= line.slope <= 1


def test_constant_predictions_give_the_average():
    line = EffectLine.fit(np.array([0.0, 1.0]), np.zeros(2), ["a", "b"])
    assert (line.slope, line.average.estimate) == (0.0, 0.5)


def test_bounds_widen_away_from_the_centre():
    line = EffectLine(Estimate(0.1, 0.01), slope=0.8, slope_error=0.2, centre=0.0)
    near, far = line.half_width(np.array([0.0, 1.0]))
    assert near == pytest.approx(1.645 * 0.01, rel=1e-3)
    assert far > 10 * near


def test_groups_that_gain_or_lose_are_described_by_a_rule():
    rng = np.random.default_rng(3)
    features = pd.DataFrame(
        {"recency_days": rng.uniform(0, 90, 6_000), "is_member": rng.integers(0, 2, 6_000) * 1.0}
    )
    effect = np.where(features["recency_days"] > 60, 0.3, -0.1)
    groups = responsive_groups(features, effect + rng.normal(0, 0.5, 6_000), np.arange(6_000))
    assert groups["works"][0].rule.startswith("recency_days above 60")
    assert groups["works"][0].low > 0.2
    assert {group.feature for group in groups["harms"]} == {"recency_days"}
    assert all(group.high < 0 for group in groups["harms"])


def test_noise_gives_no_groups():
    rng = np.random.default_rng(4)
    features = pd.DataFrame(rng.normal(size=(3_000, 30))).add_prefix("x")
    groups = responsive_groups(features, rng.normal(0, 1, 3_000), np.arange(3_000))
    assert groups == {"works": (), "harms": ()}


def test_single_values_and_missing_ones_are_groups_of_their_own():
    value = np.repeat([0.0, 1.0, np.nan], 1_000)
    effect = np.repeat([0.0, 0.0, 1.0], 1_000) + np.random.default_rng(5).normal(0, 0.1, 3_000)
    groups = responsive_groups(pd.DataFrame({"tier": value}), effect, np.arange(3_000))
    assert [group.rule for group in groups["works"]] == ["tier is not known"]


def test_small_groups_and_constant_features_are_skipped():
    features = pd.DataFrame({"same": np.ones(300), "rare": np.r_[np.zeros(295), np.ones(5)]})
    effect = np.r_[np.zeros(295), np.full(5, 9.0)]
    assert responsive_groups(features, effect, np.arange(300))["works"] == ()
