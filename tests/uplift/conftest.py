"""Simulated experiments with known effects: one offer helps everyone, one helps or harms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from churn.uplift.experiment import ExperimentData
from churn.uplift.learners import GrowthSettings, LearnerSettings
from churn.uplift.study import Study, StudySettings, study


@dataclass(frozen=True)
class Truth:
    """An experiment and the true effects of its rows, of "even" and of "split"."""

    data: ExperimentData
    effects: np.ndarray


def simulated_experiment(
    customers: int, *, seed: int, share_held_out: float = 0.4, size: float = 0.08
) -> Truth:
    """Two rows per customer. `even` adds `size` for everyone; `split` adds or subtracts three
    times as much, depending on the sign of x0, so that its average is about zero.
    """
    rng = np.random.default_rng(seed)
    count = 2 * customers
    x = rng.normal(size=(count, 3))
    p = 1 / (1 + np.exp(-0.3 - 0.8 * x[:, 1]))
    p = np.clip(p, 0.3, 0.7)
    effects = np.column_stack([np.full(count, size), 3 * size * np.sign(x[:, 0])])
    propensities = np.array(
        [share_held_out, 0.6 * (1 - share_held_out), 0.4 * (1 - share_held_out)]
    )
    arm = rng.choice(3, size=count, p=propensities)
    added = np.where(arm == 0, 0.0, effects[np.arange(count), np.maximum(arm - 1, 0)])
    rows = pd.DataFrame(
        {
            "customer_id": [f"c{number // 2}" for number in range(count)],
            "lot": "spring",
            "offer_id": np.array(["none", "even", "split"], dtype=object)[arm],
            "propensity": propensities[arm],
            "retained": (rng.random(count) < p + added).astype(float),
            "margin": 0.0,
            **{f"x{column}": x[:, column] for column in range(3)},
        }
    )
    return Truth(ExperimentData(rows, ("x0", "x1", "x2"), 28), effects)


@pytest.fixture(scope="session")
def draw_experiment() -> Callable[..., Truth]:
    return simulated_experiment


@pytest.fixture(scope="session")
def quick() -> StudySettings:
    """Few rounds and replicates."""
    learning = LearnerSettings(
        effect=GrowthSettings(rounds=30, num_leaves=4, learning_rate=0.1),
        outcome=GrowthSettings(rounds=30, num_leaves=4, learning_rate=0.1),
        inner_folds=2,
        seed=5,
        threads=1,
    )
    return StudySettings(folds=2, replicates=200, learning=learning)


@pytest.fixture(scope="session")
def truth() -> Truth:
    """4,000 customers; tests must not modify it."""
    return simulated_experiment(4_000, seed=11)


@pytest.fixture(scope="session")
def studied(truth, quick) -> Study:
    return study(truth.data, quick)
