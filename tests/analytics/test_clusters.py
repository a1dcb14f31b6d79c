"""Clusters: a planted mixture is found, a blob is refused, another seed gives the same."""

import numpy as np
import pytest

from churn.analytics.clusters import (
    Scaling,
    bootstrap_jaccard,
    nearest,
    stable_clusters,
    tighter_than_normal,
)

CENTRES = ((600, (0, 0, 0)), (360, (4, 0, 1)), (240, (0, 4, -1)))


def mixture(rng):
    return np.concatenate([rng.normal(size=(n, 3)) * 0.6 + centre for n, centre in CENTRES])


def test_a_planted_mixture_of_three_is_found_and_another_seed_agrees():
    points = mixture(np.random.default_rng(1))
    found = stable_clusters(points, seed=7, resamples=10, most=4)
    again = stable_clusters(points, seed=8, resamples=10, most=4)
    assert len(found) == 3
    assert min(found.stability) > 0.95
    assert (found.assign(points) == again.assign(points)).mean() >= 0.95
    assert np.bincount(found.assign(points)).tolist() == sorted(
        np.bincount(found.assign(points)), reverse=True
    )


@pytest.mark.parametrize("dimensions", [2, 3])
def test_a_blob_has_no_stable_groups(dimensions):
    points = np.random.default_rng(0).normal(size=(1_000, dimensions))
    found = stable_clusters(points, resamples=10, most=4)
    assert len(found) == 0
    assert found.stability == ()


def test_a_normal_sample_is_not_tighter_than_normal_samples_and_a_mixture_is():
    rng = np.random.default_rng(2)
    blob = rng.normal(size=(500, 2)) @ np.array([[2.0, 1.0], [0.0, 0.5]])
    assert tighter_than_normal(blob, 2, rng=rng, nulls=30) > 0.001
    assert tighter_than_normal(mixture(rng), 3, rng=rng, nulls=30) < 1e-6


def test_the_same_clusters_have_a_similarity_of_one():
    points = np.repeat([[0.0, 0.0], [9.0, 9.0]], 50, axis=0)
    found = bootstrap_jaccard(points, 2, rng=np.random.default_rng(3), resamples=5)
    assert found.tolist() == [1.0, 1.0]


def test_too_few_customers_have_no_groups():
    assert len(stable_clusters(np.zeros((99, 3)))) == 0


def test_outliers_are_winsorised_and_nothing_below_zero_counts():
    values = np.array([[value] for value in [*range(1, 200), 1e9]], dtype=float)
    scaling = Scaling.learn(values)
    assert scaling.apply(np.array([[1e9]])) == scaling.apply(np.array([[1e12]]))
    assert scaling.apply(np.array([[-5.0]])) == scaling.apply(np.array([[0.0]]))


def test_a_constant_measure_is_no_division_by_zero():
    scaled = Scaling.learn(np.ones((10, 1))).apply(np.ones((10, 1)))
    assert scaled.tolist() == [[0.0]] * 10


def test_the_nearest_centroid_is_the_nearest():
    rng = np.random.default_rng(4)
    points, centroids = rng.normal(size=(50, 3)), rng.normal(size=(4, 3))
    away = ((points[:, None] - centroids) ** 2).sum(axis=2)
    assert (nearest(points, centroids) == away.argmin(axis=1)).all()
