import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plain_ranking import PlainRanking

from churn.errors import ConfigError
from churn.uplift.learners import pseudo_outcomes
from churn.uplift.ranking import Contrast, RobustRanking, evaluate_rankings


def contrast_of(treated, retained, weight=None) -> Contrast:
    treated = np.asarray(treated, dtype=bool)
    weight = np.full(len(treated), 2.0) if weight is None else np.asarray(weight, dtype=float)
    return Contrast(treated, np.asarray(retained, dtype=float), weight, np.arange(len(treated)))


def test_uplift_is_the_difference_of_the_arms_in_the_top_share():
    contrast = contrast_of([1, 0, 1, 0], [1, 0, 0, 1])
    ranking = PlainRanking.of(contrast, [4, 3, 2, 1])
    np.testing.assert_allclose(ranking.uplift_at(np.array([0.5, 1.0])), [1.0, 0.0])


def test_ties_count_at_their_mean_whatever_their_order():
    treated, retained = [1, 0, 1, 0, 1, 0], [1, 0, 0, 1, 1, 1]
    forward = PlainRanking.of(contrast_of(treated, retained), np.zeros(6))
    reverse = PlainRanking.of(contrast_of(treated[::-1], retained[::-1]), np.zeros(6))
    shares = np.array([0.3, 0.6, 1.0])
    np.testing.assert_allclose(forward.uplift_at(shares), reverse.uplift_at(shares))
    assert forward.qini_area() == pytest.approx(0.0, abs=1e-12)


@given(st.integers(0, 1_000))
def test_a_monotone_transformation_of_the_score_changes_nothing(seed):
    rng = np.random.default_rng(seed)
    contrast = contrast_of(rng.random(60) < 0.5, rng.random(60) < 0.4)
    score = rng.normal(size=60)
    transformed = PlainRanking.of(contrast, np.exp(3 * score))
    assert PlainRanking.of(contrast, score).qini_area() == pytest.approx(transformed.qini_area())


@given(st.integers(0, 1_000))
def test_drawing_a_row_twice_equals_having_it_twice(seed):
    rng = np.random.default_rng(seed)
    contrast = contrast_of(rng.random(40) < 0.5, rng.random(40) < 0.4)
    score, times = rng.normal(size=40), rng.integers(0, 3, 40)
    if not times.any():
        times[:] = 1
    drawn = PlainRanking.of(contrast, score).qini_area(times.astype(float))
    rows = np.repeat(np.arange(40), times)
    copied = Contrast(
        contrast.treated[rows], contrast.retained[rows], contrast.weight[rows], rows.astype(str)
    )
    assert drawn == pytest.approx(PlainRanking.of(copied, score[rows]).qini_area())


def test_weighting_removes_confounding_by_unequal_propensities():
    """Customers with x are treated three times as often and retained more, without any uplift."""
    rng = np.random.default_rng(2)
    x = rng.random(40_000) < 0.5
    propensity = np.where(x, 0.75, 0.25)
    treated = rng.random(x.size) < propensity
    retained = rng.random(x.size) < np.where(x, 0.8, 0.2)
    weight = 1 / np.where(treated, propensity, 1 - propensity)
    weighted = PlainRanking.of(contrast_of(treated, retained, weight), np.zeros(x.size))
    naive = PlainRanking.of(contrast_of(treated, retained), np.zeros(x.size))
    everyone = np.array([1.0])
    assert abs(weighted.uplift_at(everyone)[0]) < 0.02
    assert naive.uplift_at(everyone)[0] > 0.2


def test_the_area_of_a_perfect_ranking_is_that_of_the_triangle():
    """Half of the customers gain 1, half 0: the curve rises to .5 and stays there."""
    gains = np.repeat([True, False], 2_000)
    treated = np.tile([True, False], 2_000)
    area = PlainRanking.of(contrast_of(treated, gains & treated), gains.astype(float)).qini_area()
    assert area == pytest.approx(0.125, abs=1e-3)


@given(st.integers(0, 1_000))
def test_the_robust_uplift_is_the_mean_of_the_pseudo_outcomes_in_the_share(seed):
    pseudo, score = np.random.default_rng(seed).normal(size=(2, 30))
    ranking = RobustRanking.of(pseudo, score)
    best = pseudo[np.argsort(-score)]
    uplift = ranking.uplift_at(np.array([0.2, 1.0]))
    np.testing.assert_allclose(uplift, [best[:6].mean(), best.mean()])


def test_plain_and_robust_uplift_agree_and_the_robust_one_is_more_precise(truth):
    data = truth.data
    contrast, rows = Contrast.of(data, "split")
    p = np.clip(1 / (1 + np.exp(-0.3 - 0.8 * data.matrix[:, 1])), 0.3, 0.7)
    outcomes = np.column_stack([p, p[:, None] + truth.effects])
    pseudo = pseudo_outcomes(data, ("even", "split"), outcomes)[:, 1]
    score = truth.effects[:, 1]
    rankings = {"plain": PlainRanking.of(contrast, score[rows])}
    plain = evaluate_rankings(rankings, contrast.customer, replicates=300).uplift["plain"]
    rankings = {"robust": RobustRanking.of(pseudo, score)}
    robust = evaluate_rankings(rankings, data.customer, replicates=300).uplift["robust"]
    assert abs(plain.estimate - robust.estimate) < plain.high - plain.low
    assert robust.high - robust.low < plain.high - plain.low


def test_a_ranking_by_the_true_effect_beats_everything_and_a_random_one_does_not(truth):
    contrast, rows = Contrast.of(truth.data, "split")
    rng = np.random.default_rng(0)
    scores = {"truth": truth.effects[rows, 1], "risk": rng.random(len(rows))}
    rankings = {name: PlainRanking.of(contrast, score) for name, score in scores.items()}
    report = evaluate_rankings(rankings, contrast.customer, replicates=60)
    assert all(gap.low > 0 for gap in report.ahead.values())
    assert report.qini["truth"].low > 0 > report.qini["risk"].low
    assert report.qini_ahead["risk"].low > 0
    reverse = dict(reversed(rankings.items()))
    assert evaluate_rankings(reverse, contrast.customer, replicates=60).ahead["all"].low < 0


def test_a_share_of_100_percent_is_refused():
    rankings = {"dr": RobustRanking.of(np.zeros(3), np.arange(3))}
    with pytest.raises(ConfigError, match="share must be between 0 and 1"):
        evaluate_rankings(rankings, ["a", "b", "c"], share=1.0)
