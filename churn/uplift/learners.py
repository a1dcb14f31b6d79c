"""Learners of each customer's effect of each offer: the DR-learner and two challengers.

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
    """Tree growth; the defaults are those of effects, shallow and slow since effects are small.

    A leaf holds at least `leaf_share` of the rows, and at least `min_rows_in_leaf`.
    """

    rounds: int = 100
    num_leaves: int = 3
    learning_rate: float = 0.03
    leaf_share: float = 0.01
    min_rows_in_leaf: int = 50


@dataclass(frozen=True, kw_only=True)
class LearnerSettings:
    """Trees of effects and of outcomes, and the folds of customers for cross-fitting.

    `threads` does not change the result; 0 uses all cores.
    """

    effect: GrowthSettings = field(default_factory=GrowthSettings)
    outcome: GrowthSettings = field(
        default_factory=lambda: GrowthSettings(rounds=150, num_leaves=8, learning_rate=0.05)
    )
    inner_folds: int = 3
    seed: int = 0
    threads: int = 0

    def fit_effect(self, matrix: np.ndarray, pseudo: Floats, weight: Floats) -> str:
        """Trees for weighted pseudo-outcomes under squared error, as LightGBM text."""
        return self._fit("regression", self.effect, matrix, pseudo, weight)

    def fit_outcome(self, matrix: np.ndarray, retained: Floats) -> str:
        """Trees for P(retained), as LightGBM text."""
        return self._fit("binary", self.outcome, matrix, retained)

    def fit_margin(self, matrix: np.ndarray, margin: Floats) -> str | None:
        """Trees for the margin, as LightGBM text; None without any."""
        positive = np.maximum(margin, 0.0)
        return self._fit("tweedie", self.outcome, matrix, positive) if positive.any() else None

    def _fit(
        self,
        objective: str,
        growth: GrowthSettings,
        matrix: np.ndarray,
        target: Floats,
        weight: Floats | None = None,
    ) -> str:
        leaf = max(growth.min_rows_in_leaf, int(growth.leaf_share * len(matrix)))
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
        return fit_booster(matrix, target, settings, weight=weight)


@dataclass(frozen=True)
class SLearner:
    """One model of P(retained | features, offer); an effect is a difference of predictions."""

    offers: tuple[str, ...]
    text: str

    @classmethod
    def fit(cls, data: ExperimentData, offers: tuple[str, ...], learning: LearnerSettings) -> Self:
        """Fits on every row of the experiment."""
        treatment = np.column_stack([data.assigned(offer) for offer in offers])
        matrix = np.column_stack([data.matrix, treatment.astype("float32")])
        return cls(offers, learning.fit_outcome(matrix, data.retained))

    def outcomes(self, matrix: np.ndarray) -> Floats:
        """P(retained) under none and under each offer, shape (rows, 1 + offers)."""
        untreated = np.zeros((len(matrix), len(self.offers)), dtype="float32")
        treatments = [untreated]
        for column in range(len(self.offers)):
            treated = untreated.copy()
            treated[:, column] = 1
            treatments.append(treated)
        return np.column_stack(
            [
                predict_booster(self.text, np.column_stack([matrix, treatment]))
                for treatment in treatments
            ]
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
        """Fits each model on the rows that were assigned that offer."""
        texts = {}
        for offer in (NO_OFFER, *offers):
            part = data.only(data.assigned(offer))
            texts[offer] = learning.fit_outcome(part.matrix, part.retained)
        return cls(offers, texts)

    def effects(self, matrix: np.ndarray) -> Floats:
        """P(retained | offer) - P(retained | none), shape (rows, offers)."""
        untreated = predict_booster(self.texts[NO_OFFER], matrix)
        return np.column_stack(
            [predict_booster(self.texts[offer], matrix) - untreated for offer in self.offers]
        )


@dataclass(frozen=True)
class DRLearner:
    """Trees on doubly robust pseudo-outcomes, with the outcome model behind them."""

    offers: tuple[str, ...]
    outcome: SLearner
    texts: Mapping[str, str]

    @classmethod
    def fit(cls, data: ExperimentData, offers: tuple[str, ...], learning: LearnerSettings) -> Self:
        """Fits the outcome by folds of customers, then each effect on pseudo-outcomes from the
        out-of-fold predictions.
        """
        outcomes = _out_of_fold_outcomes(data, offers, learning)
        pseudo = pseudo_outcomes(data, offers, outcomes)
        matrix, texts = data.matrix, {}
        for column, offer in enumerate(offers):
            rows, weight = data.in_choice_set(offer), data.overlap_weights(offer)
            texts[offer] = learning.fit_effect(matrix[rows], pseudo[rows, column], weight[rows])
        return cls(offers, SLearner.fit(data, offers, learning), texts)

    def effects(self, matrix: np.ndarray) -> Floats:
        """The effect of each offer, not yet shrunk, shape (rows, offers)."""
        return np.column_stack(
            [predict_booster(self.texts[offer], matrix) for offer in self.offers]
        )


def _out_of_fold_outcomes(
    data: ExperimentData, offers: tuple[str, ...], learning: LearnerSettings
) -> Floats:
    fold = customer_folds(data.customer, learning.inner_folds, seed=learning.seed)
    outcomes = np.empty((len(data), 1 + len(offers)))
    for number in range(learning.inner_folds):
        learner = SLearner.fit(data.only(fold != number), offers, learning)
        outcomes[fold == number] = learner.outcomes(data.matrix[fold == number])
    return outcomes


def pseudo_outcomes(data: ExperimentData, offers: tuple[str, ...], outcomes: Floats) -> Floats:
    """mu_j - mu_0 + 1[assigned j](y - mu_j) / e_j - 1[held out](y - mu_0) / e_0 of each row.

    Its mean over customers is the effect of offer j if either the outcomes or the propensities
    are right; NaN outside the choice sets of that offer. Shape (rows, offers).
    """
    y, e, untreated = data.retained, data.propensity, outcomes[:, 0]
    held_out = data.assigned(NO_OFFER) * (y - untreated) / e
    pseudo = np.full((len(data), len(offers)), np.nan)
    for column, offer in enumerate(offers):
        treated = outcomes[:, 1 + column]
        correction = data.assigned(offer) * (y - treated) / e - held_out
        pseudo[:, column] = treated - untreated + correction
        pseudo[~data.in_choice_set(offer), column] = np.nan
    return pseudo
