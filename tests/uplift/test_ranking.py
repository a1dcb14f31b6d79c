import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plain_ranking import PlainRanking

from churn.errors import ConfigError
from churn.uplift.learners import pseudo_outcomes
from churn.uplift.ranking import Contrast, RobustRanking, judge_rankings


def contrast_of(sent, retained, weight=None) -> Contrast:
    sent = np.asarray(sent, dtype=bool)
    weight = np.full(len(sent), 2.0) if weight is None else np.asarray(weight, dtype=float)
    return Contrast(sent, np.asarray(retained, dtype=float), weight, np.arange(len(sent)))


def test_uplift_is_the_difference_of_both_arms_among_those_ranked_highest():
    contrast = contrast_of([1, 0, 1, 0], [1, 0, 0, 1])
    ranking = PlainRanking.of(contrast, [4, 3, 2, 1])
    np.testing.assert_allclose(ranking.uplift_at(np.array([0.5, 1.0])), [1.0, 0.0])


def test_ties_count_at_their_mean_whatever_their_order():
    sent, retained = [1, 0, 1, 0, 1, 0], [1, 0, 0, 1, 1, 1]
    one = PlainRanking.of(contrast_of(sent, retained), np.zeros(6))
    other = PlainRanking.of(contrast_of(sent[::-1], retained[::-1]), np.zeros(6))
    shares = np.array([0.3, 0.6, 1.0])
    np.testing.assert_allclose(one.uplift_at(shares), other.uplift_at(shares))
    assert one.qini_area() == pytest.approx(0.0, abs=1e-12)


@given(st.integers(0, 1_000))
def test_a_rising_transformation_of_the_score_changes_nothing(seed):
    rng = np.random.default_rng(seed)
    contrast = contrast_of(rng.random(60) < 0.5, rng.random(60) < 0.4)
    score = rng.normal(size=60)
    one, other = PlainRanking.of(contrast, score), PlainRanking.of(contrast, np.exp(3 * score))
    assert one.qini_area() == pytest.approx(other.qini_area())


@given(st.integers(0, 1_000))
def test_drawing_a_row_twice_is_having_it_twice(seed):
    rng = np.random.default_rng(seed)
    contrast = contrast_of(rng.random(40) < 0.5, rng.random(40) < 0.4)
    score, times = rng.normal(size=40), rng.integers(0, 3, 40)
    if not times.any():
        times[:] = 1
    drawn = PlainRanking.of(contrast, score).qini_area(times.astype(float))
    rows = np.repeat(np.arange(40), times)
    copied = Contrast(
        contrast.sent[rows], contrast.retained[rows], contrast.weight[rows], rows.astype(str)
    )
    assert drawn == pytest.approx(PlainRanking.of(copied, score[rows]).qini_area())


def test_unequal_chances_are_weighed_out():
    """Customers with x are sent it three times in four and retained more: that is no uplift."""
    rng = np.random.default_rng(2)
    x = rng.random(40_000) < 0.5
    chance = np.where(x, 0.75, 0.25)
    sent = rng.random(x.size) < chance
    retained = rng.random(x.size) < np.where(x, 0.8, 0.2)
    weight = 1 / np.where(sent, chance, 1 - chance)
    whole = PlainRanking.of(contrast_of(sent, retained, weight), np.zeros(x.size))
    naive = PlainRanking.of(contrast_of(sent, retained), np.zeros(x.size))
    everyone = np.array([1.0])
    assert abs(whole.uplift_at(everyone)[0]) < 0.02
    assert naive.uplift_at(everyone)[0] > 0.2


def test_the_area_of_perfect_knowledge_is_that_of_the_triangle():
    """Half gain for certain, half are indifferent: the curve rises to .5 and stays."""
    gains = np.repeat([True, False], 2_000)
    sent = np.tile([True, False], 2_000)
    area = PlainRanking.of(contrast_of(sent, gains & sent), gains.astype(float)).qini_area()
    assert area == pytest.approx(0.125, abs=1e-3)


@given(st.integers(0, 1_000))
def test_the_robust_uplift_at_everyone_is_the_mean_of_the_pseudo_outcomes(seed):
    pseudo, score = np.random.default_rng(seed).normal(size=(2, 30))
    ranking = RobustRanking.of(pseudo, score)
    best = pseudo[np.argsort(-score)]
    found = ranking.uplift_at(np.array([0.2, 1.0]))
    np.testing.assert_allclose(found, [best[:6].mean(), best.mean()])


def test_the_plain_and_the_robust_uplift_agree_and_the_robust_one_is_sharper(known):
    data = known.data
    contrast, rows = Contrast.of(data, "split")
    p = np.clip(1 / (1 + np.exp(-0.3 - 0.8 * data.matrix[:, 1])), 0.3, 0.7)
    outcomes = np.column_stack([p, p[:, None] + known.effects])
    pseudo = pseudo_outcomes(data, ("even", "split"), outcomes)[:, 1]
    score = known.effects[:, 1]
    plain = {"plain": PlainRanking.of(contrast, score[rows])}
    robust = {"robust": RobustRanking.of(pseudo, score)}
    one = judge_rankings(plain, contrast.customer, replicates=300).uplift["plain"]
    other = judge_rankings(robust, data.customer, replicates=300).uplift["robust"]
    assert abs(one.estimate - other.estimate) < one.high - one.low
    assert other.high - other.low < one.high - one.low


def test_a_ranking_by_the_truth_is_ahead_of_everything_and_a_random_one_is_not(known):
    contrast, rows = Contrast.of(known.data, "split")
    rng = np.random.default_rng(0)
    scores = {"truth": known.effects[rows, 1], "risk": rng.random(len(rows))}
    rankings = {name: PlainRanking.of(contrast, score) for name, score in scores.items()}
    report = judge_rankings(rankings, contrast.customer, replicates=60)
    assert all(gap.low > 0 for gap in report.ahead.values())
    assert report.qini["truth"].low > 0 > report.qini["risk"].low
    assert report.qini_ahead["risk"].low > 0
    reverse = dict(reversed(rankings.items()))
    assert judge_rankings(reverse, contrast.customer, replicates=60).ahead["all"].low < 0


def test_a_share_of_everyone_ranks_nothing():
    ranking = {"one": RobustRanking.of(np.zeros(3), np.arange(3))}
    with pytest.raises(ConfigError, match="share must be between 0 and 1"):
        judge_rankings(ranking, ["a", "b", "c"], share=1.0)
