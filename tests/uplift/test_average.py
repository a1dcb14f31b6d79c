import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.uplift.average import EffectLine, Estimate, mean_by_customer

numbers = st.lists(st.floats(-5, 5), min_size=2, max_size=30).map(np.array)


@given(numbers)
def test_rows_of_as_many_customers_have_the_textbook_error(value):
    found = mean_by_customer(value, np.arange(len(value)))
    assert found.estimate == pytest.approx(value.mean())
    assert found.error == pytest.approx(value.std(ddof=1) / np.sqrt(len(value)), abs=1e-9)


@given(numbers, st.integers(2, 4))
def test_rows_copied_within_a_customer_bring_no_certainty(value, times):
    once = mean_by_customer(value, np.arange(len(value)))
    copied = mean_by_customer(np.tile(value, times), np.tile(np.arange(len(value)), times))
    assert copied.error == pytest.approx(once.error, abs=1e-9)


def test_the_interval_holds_nine_times_in_ten():
    rng = np.random.default_rng(1)
    found = [mean_by_customer(rng.normal(size=80), np.arange(80)) for _ in range(800)]
    held = np.mean([one.low <= 0 <= one.high for one in found])
    assert 0.87 < held < 0.93


def line_of(slope: float, *, noise: float, rows: int = 2_000, seed: int = 0) -> EffectLine:
    rng = np.random.default_rng(seed)
    said = rng.normal(size=rows)
    pseudo = 0.1 + slope * (said - said.mean()) + noise * rng.normal(size=rows)
    return EffectLine.fit(pseudo, said, np.arange(rows))


def test_a_learner_that_is_right_is_taken_at_its_word():
    line = line_of(1.0, noise=0.1)
    assert line.slope == pytest.approx(1.0, abs=0.01)
    assert line.mean(np.array([line.centre + 1]))[0] == pytest.approx(1.1, abs=0.02)


def test_a_learner_that_exaggerates_is_shrunk_and_one_that_hesitates_is_not_stretched():
    assert line_of(0.5, noise=0.1).slope == pytest.approx(0.5, abs=0.01)
    assert line_of(3.0, noise=0.1).slope == 1.0


def test_a_learner_that_is_wrong_is_not_heard():
    line = line_of(-1.0, noise=0.1)
    assert line.slope == 0.0
    np.testing.assert_allclose(line.mean(np.array([-5.0, 5.0])), line.average.estimate)


@given(st.integers(0, 200))
def test_noise_shrinks_the_slope_further_than_chance_would(seed):
    line = line_of(0.0, noise=5.0, rows=200, seed=seed)
    assert 0 <= line.slope <= 1


def test_a_learner_that_says_the_same_of_all_leaves_the_average():
    line = EffectLine.fit(np.array([0.0, 1.0]), np.zeros(2), ["a", "b"])
    assert (line.slope, line.average.estimate) == (0.0, 0.5)


def test_bounds_widen_away_from_the_centre():
    line = EffectLine(Estimate(0.1, 0.01), slope=0.8, slope_error=0.2, centre=0.0)
    near, far = line.half_width(np.array([0.0, 1.0]))
    assert near == pytest.approx(1.645 * 0.01, rel=1e-3)
    assert far > 10 * near
