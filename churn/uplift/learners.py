"""Learners of the effect of each offer on each customer: the DR-learner and two challengers.

Kennedy (2023), Towards optimal doubly robust estimation of heterogeneous causal effects; Kuenzel,
Sekhon, Bickel and Yu (2019), Metalearners for estimating heterogeneous treatment effects.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

import numpy as np

from churn.arrays import Floats
from churn.modeling.boosting import BoosterSettings, fit_booster, predict_booster
from churn.offers.catalogue import NO_OFFER
from churn.uplift.experiment import ExperimentData, customer_folds


@dataclass(frozen=True, kw_only=True)
class GrowthSettings:
    """How trees are grown; by default those of effects: shallow and slow, since effects are small.

    A leaf holds at least `leaf_share` of the rows, and `least_rows_in_leaf`.
    """

    rounds: int = 100
    num_leaves: int = 3
    learning_rate: float = 0.03
    leaf_share: float = 0.01
    least_rows_in_leaf: int = 50


@dataclass(frozen=True, kw_only=True)
class LearnerSettings:
    """Growth of the trees of effects and of outcomes, and the folds of customers between them.

    `threads` does not change the result; 0 uses every core.
    """

    effect: GrowthSettings = field(default_factory=GrowthSettings)
    outcome: GrowthSettings = field(
        default_factory=lambda: GrowthSettings(rounds=150, num_leaves=8, learning_rate=0.05)
    )
    inner_folds: int = 3
    seed: int = 0
    threads: int = 0

    def fit_effect(self, matrix: np.ndarray, pseudo: Floats) -> str:
        """Trees for pseudo-outcomes, by squared error, as LightGBM's text."""
        return self._fit("regression", self.effect, matrix, pseudo)

    def fit_outcome(self, matrix: np.ndarray, retained: Floats) -> str:
        """Trees for P(retained), as LightGBM's text."""
        return self._fit("binary", self.outcome, matrix, retained)

    def _fit(
        self, objective: str, growth: GrowthSettings, matrix: np.ndarray, target: Floats
    ) -> str:
        leaf = max(growth.least_rows_in_leaf, int(growth.leaf_share * len(matrix)))
        settings = BoosterSettings(
            objective=objective,
            feature_names=tuple(f"x{column}" for column in range(matrix.shape[1])),
            rounds=growth.rounds,
            num_leaves=growth.num_leaves,
            learning_rate=growth.learning_rate,
            min_rows_in_leaf=leaf,
            feature_share=0.8,
            row_share=0.8,
            l2=1.0,
            seed=self.seed,
            threads=self.threads,
        )
        return fit_booster(matrix, target, settings)


@dataclass(frozen=True)
class SLearner:
    """One model of P(retained | features, offer); an effect is a difference between offers."""

    offers: tuple[str, ...]
    text: str

    @classmethod
    def fit(cls, data: ExperimentData, offers: tuple[str, ...], learning: LearnerSettings) -> Self:
        """The learner fitted on every row of the experiment."""
        given = np.column_stack([data.was_given(offer) for offer in offers])
        matrix = np.column_stack([data.matrix, given.astype("float32")])
        return cls(offers, learning.fit_outcome(matrix, data.retained))

    def outcomes(self, matrix: np.ndarray) -> Floats:
        """P(retained) under none and under each offer, shape (rows, 1 + offers)."""
        nothing = np.zeros((len(matrix), len(self.offers)), dtype="float32")
        worlds = [nothing]
        for column in range(len(self.offers)):
            given = nothing.copy()
            given[:, column] = 1
            worlds.append(given)
        return np.column_stack(
            [predict_booster(self.text, np.column_stack([matrix, world])) for world in worlds]
        )

    def effects(self, matrix: np.ndarray) -> Floats:
        """P(retained | offer) - P(retained | none), shape (rows, offers)."""
        outcomes = self.outcomes(matrix)
        return np.asarray(outcomes[:, 1:] - outcomes[:, :1])


@dataclass(frozen=True)
class TLearner:
    """A model of P(retained) for each offer and one for none; an effect is their difference."""

    offers: tuple[str, ...]
    texts: Mapping[str, str]

    @classmethod
    def fit(cls, data: ExperimentData, offers: tuple[str, ...], learning: LearnerSettings) -> Self:
        """The learner with each model fitted on the rows that were assigned its offer."""
        texts = {}
        for offer in (NO_OFFER, *offers):
            part = data.only(data.was_given(offer))
            texts[offer] = learning.fit_outcome(part.matrix, part.retained)
        return cls(offers, texts)

    def effects(self, matrix: np.ndarray) -> Floats:
        """P(retained | offer) - P(retained | none), shape (rows, offers)."""
        nothing = predict_booster(self.texts[NO_OFFER], matrix)
        return np.column_stack(
            [predict_booster(self.texts[offer], matrix) - nothing for offer in self.offers]
        )


@dataclass(frozen=True)
class DRLearner:
    """Trees on doubly robust pseudo-outcomes, and the outcome model that these are based on."""

    offers: tuple[str, ...]
    outcome: SLearner
    texts: Mapping[str, str]

    @classmethod
    def fit(cls, data: ExperimentData, offers: tuple[str, ...], learning: LearnerSettings) -> Self:
        """The learner fitted by folds of customers: each effect is learnt from the outcomes that
        models predict for customers they had not seen.
        """
        outcomes = _unseen_outcomes(data, offers, learning)
        pseudo = pseudo_outcomes(data, offers, outcomes)
        matrix, texts = data.matrix, {}
        for column, offer in enumerate(offers):
            could = data.could_get(offer)
            texts[offer] = learning.fit_effect(matrix[could], pseudo[could, column])
        return cls(offers, SLearner.fit(data, offers, learning), texts)

    def effects(self, matrix: np.ndarray) -> Floats:
        """The effect of each offer, not yet shrunk, shape (rows, offers)."""
        return np.column_stack(
            [predict_booster(self.texts[offer], matrix) for offer in self.offers]
        )


def _unseen_outcomes(
    data: ExperimentData, offers: tuple[str, ...], learning: LearnerSettings
) -> Floats:
    fold = customer_folds(data.customer, learning.inner_folds, seed=learning.seed)
    outcomes = np.empty((len(data), 1 + len(offers)))
    for number in range(learning.inner_folds):
        learner = SLearner.fit(data.only(fold != number), offers, learning)
        outcomes[fold == number] = learner.outcomes(data.matrix[fold == number])
    return outcomes


def pseudo_outcomes(data: ExperimentData, offers: tuple[str, ...], outcomes: Floats) -> Floats:
    """mu_j - mu_0 + 1[given j](y - mu_j) / e_j - 1[given none](y - mu_0) / e_0 of each row.

    Its mean over customers is the effect of offer j if either the outcomes or the propensities are
    right; NaN in choice sets without that offer. Shape (rows, offers).
    """
    y, e, nothing = data.retained, data.propensity, outcomes[:, 0]
    kept = data.was_given(NO_OFFER) * (y - nothing) / e
    pseudo = np.full((len(data), len(offers)), np.nan)
    for column, offer in enumerate(offers):
        predicted = outcomes[:, 1 + column]
        sent = data.was_given(offer) * (y - predicted) / e
        pseudo[:, column] = predicted - nothing + sent - kept
        pseudo[~data.could_get(offer), column] = np.nan
    return pseudo
