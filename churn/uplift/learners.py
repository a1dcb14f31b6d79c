"""From an experiment to each customer's effect of each offer: the DR-learner and two challengers.

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
    """How trees are grown; by default those of effects: shallow and slow, for effects are faint.

    A leaf holds at least `leaf_share` of the rows, and `least_rows_in_leaf`.
    """

    rounds: int = 100
    num_leaves: int = 3
    learning_rate: float = 0.03
    leaf_share: float = 0.01
    least_rows_in_leaf: int = 50


@dataclass(frozen=True, kw_only=True)
class LearnerSettings:
    """The trees of effects and of outcomes, and the folds of customers between them.

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
        """LightGBM's text of trees for pseudo-outcomes, by squared error."""
        return self._fit("regression", self.effect, matrix, pseudo)

    def fit_outcome(self, matrix: np.ndarray, retained: Floats) -> str:
        """LightGBM's text of trees for P(retained)."""
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
    """One model of P(retained | features, offer); an effect is what changing the offer changes."""

    offers: tuple[str, ...]
    text: str

    @classmethod
    def fit(cls, data: ExperimentData, offers: tuple[str, ...], learning: LearnerSettings) -> Self:
        """Learns from every row of the experiment."""
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
        said = [predict_booster(self.text, np.column_stack([matrix, world])) for world in worlds]
        return np.column_stack(said)

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
        """Learns each model from the rows that were given that offer."""
        texts = {}
        for offer in (NO_OFFER, *offers):
            part = data.only(data.was_given(offer))
            texts[offer] = learning.fit_outcome(part.matrix, part.retained)
        return cls(offers, texts)

    def effects(self, matrix: np.ndarray) -> Floats:
        """P(retained | offer) - P(retained | none), shape (rows, offers)."""
        nothing = predict_booster(self.texts[NO_OFFER], matrix)
        said = [predict_booster(self.texts[offer], matrix) - nothing for offer in self.offers]
        return np.column_stack(said)


@dataclass(frozen=True)
class DRLearner:
    """Trees on doubly robust pseudo-outcomes, beside the outcome model that they stand on."""

    offers: tuple[str, ...]
    outcome: SLearner
    texts: Mapping[str, str]

    @classmethod
    def fit(cls, data: ExperimentData, offers: tuple[str, ...], learning: LearnerSettings) -> Self:
        """Learns the outcome by folds of customers, then each effect from all rows' outcomes of
        models that had not seen the customer.
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
        said = [predict_booster(self.texts[offer], matrix) for offer in self.offers]
        return np.column_stack(said)


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

    Its mean over customers is the effect of offer j where either the outcomes or the propensities
    are right; NaN in the lots that did not give that offer. Shape (rows, offers).
    """
    y, e, nothing = data.retained, data.propensity, outcomes[:, 0]
    kept = data.was_given(NO_OFFER) * (y - nothing) / e
    pseudo = np.full((len(data), len(offers)), np.nan)
    for column, offer in enumerate(offers):
        said = outcomes[:, 1 + column]
        sent = data.was_given(offer) * (y - said) / e
        pseudo[:, column] = said - nothing + sent - kept
        pseudo[~data.could_get(offer), column] = np.nan
    return pseudo
