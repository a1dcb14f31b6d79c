"""LightGBM training: a matrix and a target in, LightGBM's model text out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class BoosterSettings:
    """Hyperparameters of the trees.

    Each tree sees `row_share` of the rows and `feature_share` of the features; `l2` shrinks its
    leaves. `threads` does not change the result; 0 uses all cores.
    """

    objective: str
    feature_names: tuple[str, ...]
    rounds: int
    num_leaves: int
    learning_rate: float
    min_rows_in_leaf: int
    feature_share: float
    row_share: float
    l2: float
    seed: int
    threads: int = 0

    def parameters(self) -> dict[str, object]:
        """The same as LightGBM parameters, with those that make a result reproducible."""
        return {
            "objective": self.objective,
            "num_leaves": self.num_leaves,
            "learning_rate": self.learning_rate,
            "min_data_in_leaf": self.min_rows_in_leaf,
            "feature_fraction": self.feature_share,
            "bagging_fraction": self.row_share,
            "bagging_freq": 1,
            "lambda_l2": self.l2,
            "seed": self.seed,
            "deterministic": True,
            "force_row_wise": True,
            "num_threads": self.threads,
            "verbose": -1,
        }


def fit_booster(
    matrix: np.ndarray,
    target: np.ndarray,
    settings: BoosterSettings,
    *,
    weight: np.ndarray | None = None,
) -> str:
    """LightGBM's model text, fitted on a float32 matrix of shape (rows, features).

    `weight` is the sample weight of each row, 1 by default.
    """
    import lightgbm

    names = list(settings.feature_names)
    data = lightgbm.Dataset(matrix, label=target, weight=weight, feature_name=names)
    booster = lightgbm.train(settings.parameters(), data, num_boost_round=settings.rounds)
    # `num_threads` belongs to the machine, not to the model: the text must not depend on it.
    return str(booster.model_to_string().replace(f"[num_threads: {settings.threads}]\n", ""))


def predict_booster(text: str, matrix: np.ndarray) -> np.ndarray:
    """The raw prediction of a model text, shape (rows,)."""
    import lightgbm

    booster = lightgbm.Booster(model_str=text)
    return np.asarray(booster.predict(matrix))
