"""Clusters of customers that are published only if they are stable.

Two tests have to be passed. Every cluster is found again in bootstrap samples with a mean Jaccard
similarity of at least 0.75: Hennig (2007), "Cluster-wise assessment of cluster stability", the
`clusterboot` of R's fpc. And the clusters are tighter than those that k-means cuts out of a single
normal distribution with the same covariance, which can be stable, too: Liu, Hayes, Nobel, Marron
(2008), SigClust. "No stable groups" is an answer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from churn.arrays import Floats, Ints

MEASURES = ("purchase_days", "net_spend", "recency_days")
NO_CLUSTER = "none"
"""In place of the cluster of customers who are in none."""
STABLE = 0.75
RESAMPLES = 50
MOST_CLUSTERS = 6
LEAST_CUSTOMERS = 100
SAMPLE = 2_000
"""Stability is assessed on a random sample of this size: it does not depend on the number."""
WINSOR = 0.01
NULLS = 60
SIGNIFICANT = 0.001


@dataclass(frozen=True)
class Scaling:
    """Winsorises, takes the logarithm, and standardises: learnt once, as the centroids are."""

    low: Floats
    high: Floats
    mean: Floats
    sd: Floats

    @classmethod
    def learn(cls, measures: Floats) -> Scaling:
        """From measures of shape (customers, measures), all at least 0 or cut off there."""
        logged = np.log1p(np.maximum(measures, 0.0))
        low, high = np.quantile(logged, [WINSOR, 1 - WINSOR], axis=0)
        inside = np.clip(logged, low, high)
        sd = inside.std(axis=0)
        return cls(low, high, inside.mean(axis=0), np.where(sd > 0, sd, 1.0))

    def apply(self, measures: Floats) -> Floats:
        """The measures in the space of the centroids."""
        logged = np.log1p(np.maximum(measures, 0.0))
        scaled: Floats = (np.clip(logged, self.low, self.high) - self.mean) / self.sd
        return scaled


@dataclass(frozen=True)
class Clustering:
    """The centroids of the clusters, shape (clusters, measures), and the stability of each, its
    mean Jaccard similarity; `tried` has the least stability by number of clusters, `p_value` is
    that of the test against one normal distribution.

    Without a stable number there are no centroids.
    """

    centroids: Floats
    stability: tuple[float, ...]
    tried: dict[int, float]
    p_value: float

    def __len__(self) -> int:
        return len(self.centroids)

    def assign(self, points: Floats) -> Ints:
        """The number of each point's cluster, that of the nearest centroid."""
        return nearest(points, self.centroids)


def stable_clusters(
    points: Floats, *, seed: int = 7, resamples: int = RESAMPLES, most: int = MOST_CLUSTERS
) -> Clustering:
    """The most stable clustering of points of shape (n, measures), if it passes both tests.

    Clusters are numbered by size, the largest first.
    """
    import sklearn.cluster  # noqa: F401 - its threads exist from here on, and can be limited
    from threadpoolctl import threadpool_limits

    rng = np.random.default_rng(seed)
    nothing = np.empty((0, points.shape[1]))
    if len(points) < LEAST_CUSTOMERS:
        return Clustering(nothing, (), {}, 1.0)
    some = points[rng.permutation(len(points))[:SAMPLE]]
    with threadpool_limits(1):  # threads that wait for each other are slower on small samples
        found = {
            k: bootstrap_jaccard(some, k, rng=rng, resamples=resamples) for k in range(2, most + 1)
        }
        tried = {k: float(similarity.min()) for k, similarity in found.items()}
        k = max(tried, key=lambda k: (round(tried[k], 2), k))
        if tried[k] < STABLE:
            return Clustering(nothing, (), tried, 1.0)
        p_value = tighter_than_normal(some, k, rng=rng)
        if p_value > SIGNIFICANT:
            return Clustering(nothing, (), tried, p_value)
        centroids = _by_size(points, kmeans(points, k, rng=rng, starts=10))
        stability = bootstrap_jaccard(some, k, rng=rng, resamples=resamples, centroids=centroids)
    return Clustering(centroids, tuple(map(float, stability)), tried, p_value)


def tighter_than_normal(
    points: Floats, k: int, *, rng: np.random.Generator, nulls: int = NULLS
) -> float:
    """The probability that k clusters of a normal sample, with the covariance of the points, are at
    least as tight: the p-value of SigClust, by the normal approximation over the samples.
    """
    from scipy.special import ndtr

    root = np.linalg.cholesky(np.cov(points, rowvar=False) + 1e-9 * np.eye(points.shape[1]))
    tightness = _within_share(points, k, rng)
    simulated = [
        _within_share(rng.normal(size=points.shape) @ root.T, k, rng) for _ in range(nulls)
    ]
    return float(ndtr((tightness - np.mean(simulated)) / np.std(simulated)))


def _within_share(points: Floats, k: int, rng: np.random.Generator) -> float:
    """The sum of squares within k clusters as a share of the total."""
    centroids = kmeans(points, k, rng=rng, starts=2)
    away = points - centroids[nearest(points, centroids)]
    return float((away**2).sum() / ((points - points.mean(axis=0)) ** 2).sum())


def bootstrap_jaccard(
    points: Floats,
    k: int,
    *,
    rng: np.random.Generator,
    resamples: int = RESAMPLES,
    centroids: Floats | None = None,
) -> Floats:
    """The mean Jaccard similarity of each of k clusters with the most similar cluster of a
    bootstrap sample, over the points that both contain, shape (k,).
    """
    if centroids is None:
        centroids = kmeans(points, k, rng=rng)
    labels = nearest(points, centroids)
    found = np.zeros((resamples, k))
    for row in range(resamples):
        drawn = np.unique(rng.integers(len(points), size=len(points)))
        again = nearest(points[drawn], kmeans(points[drawn], k, rng=rng, starts=2))
        found[row] = _most_similar(labels[drawn], again, k)
    similarity: Floats = found.mean(axis=0)
    return similarity


def _most_similar(labels: Ints, again: Ints, k: int) -> Floats:
    """For each cluster, the Jaccard similarity with the most similar of the other clustering."""
    both = np.bincount(labels * k + again, minlength=k * k).reshape(k, k)
    either = both.sum(axis=1)[:, None] + both.sum(axis=0)[None, :] - both
    similarity: Floats = np.where(either > 0, both / np.maximum(either, 1), 0.0).max(axis=1)
    return similarity


def kmeans(points: Floats, k: int, *, rng: np.random.Generator, starts: int = 5) -> Floats:
    """The centroids of k-means, shape (k, measures)."""
    from sklearn.cluster import KMeans

    fitted = KMeans(k, n_init=starts, random_state=int(rng.integers(2**31))).fit(points)
    centers: Floats = fitted.cluster_centers_
    return centers


def nearest(points: Floats, centroids: Floats) -> Ints:
    """The number of the nearest centroid of each point."""
    away = -2 * points @ centroids.T + (centroids**2).sum(axis=1)
    found: Ints = away.argmin(axis=1)
    return found


def _by_size(points: Floats, centroids: Floats) -> Floats:
    sizes = np.bincount(nearest(points, centroids), minlength=len(centroids))
    return centroids[np.argsort(-sizes, kind="stable")]
