"""Paired comparison of two predictors on the same rows: log loss difference by slice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from churn.arrays import Floats
from churn.modeling.metrics import Interval, row_log_losses

LEAST_POSITIVES = 100
FAMILY_ERROR = 0.05
DRAWS_AT_ONCE = 50


@dataclass(frozen=True)
class SliceDifference:
    """One slice: its number of lapsed, mean log loss difference, and the level of its interval."""

    name: str
    positives: int
    difference: Interval
    level: float

    @property
    def is_worse(self) -> bool:
        """Whether the whole interval lies above 0."""
        return self.difference.low > 0


def slice_differences(
    target: Floats,
    model: Floats,
    rival: Floats,
    customer: NDArray[np.object_],
    masks: Mapping[str, NDArray[np.bool_]],
    *,
    weights: Floats | None = None,
    replicates: int = 1000,
    seed: int,
) -> tuple[SliceDifference, ...]:
    """The model's mean log loss minus the rival's on every slice with 100 or more positives.

    With many slices, one in twenty looks worse at 95 % by chance alone. So k slices share the error
    of 5 % (Bonferroni): each interval has level 1 - .05 / k and comes from the bootstrap standard
    error, because 1,000 replicates have too few values that far out in the tail. `weights` are
    sample weights.
    """
    judged = {name: mask for name, mask in masks.items() if target[mask].sum() >= LEAST_POSITIVES}
    if not judged:
        return ()
    weight = np.ones(len(target)) if weights is None else weights
    inside = weight[:, None] * np.column_stack(list(judged.values()))
    losses = (row_log_losses(target, model) - row_log_losses(target, rival))[:, None] * inside
    level = 1 - FAMILY_ERROR / len(judged)
    width = float(norm.ppf((1 + level) / 2)) * _errors(losses, inside, customer, replicates, seed)
    means = losses.sum(axis=0) / inside.sum(axis=0)
    return tuple(
        SliceDifference(
            name,
            int(target[mask].sum()),
            Interval(float(mean), float(mean - half), float(mean + half)),
            level,
        )
        for (name, mask), mean, half in zip(judged.items(), means, width, strict=True)
    )


def _errors(
    losses: Floats, inside: Floats, customer: NDArray[np.object_], replicates: int, seed: int
) -> Floats:
    """The standard error of each slice's mean when customers are resampled with all their rows."""
    rng = np.random.default_rng(seed)
    _, code = np.unique(customer, return_inverse=True)
    size = int(code.max()) + 1
    totals = np.column_stack([_by_customer(part, code, size) for part in (losses, inside)])
    means = []
    for start in range(0, replicates, DRAWS_AT_ONCE):
        draws = min(DRAWS_AT_ONCE, replicates - start)
        drawn = rng.multinomial(size, np.full(size, 1 / size), size=draws)
        loss, rows = np.split(drawn @ totals, 2, axis=1)
        means.append(np.divide(loss, rows, out=np.full_like(loss, np.nan), where=rows > 0))
    return np.asarray(np.nanstd(np.concatenate(means), axis=0))


def _by_customer(values: Floats, code: NDArray[np.intp], size: int) -> Floats:
    return np.column_stack([np.bincount(code, column, size) for column in values.T])
