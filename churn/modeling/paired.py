"""Paired comparison of two predictors on the same rows: log loss difference by slice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from churn.arrays import Floats
from churn.modeling.metrics import Interval, resampled_sums, row_log_losses

LEAST_POSITIVES = 100
FAMILY_ERROR = 0.05


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
    sums = resampled_sums(np.hstack([losses, inside]), customer, replicates, seed)
    loss, rows = np.split(sums, 2, axis=1)
    means = np.divide(loss, rows, out=np.full_like(loss, np.nan), where=rows > 0)
    return np.asarray(np.nanstd(means, axis=0))
