"""Uplift as the plain difference of arms, for comparison with the doubly robust ranking."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from churn.arrays import Floats
from churn.uplift.ranking import Contrast, Ranking, Steps


@dataclass(frozen=True)
class PlainRanking(Ranking):
    """Uplift as the difference of the arms, each weighted by 1 / propensity."""

    steps: Steps
    columns: Floats  # weight and weighted outcome of the treated, then of the held-out

    @classmethod
    def of(cls, contrast: Contrast, score: ArrayLike) -> Self:
        """The contrast ranked by a score."""
        steps = Steps.of(score)
        treated, weight = contrast.treated[steps.order], contrast.weight[steps.order]
        retained = weight * contrast.retained[steps.order]
        arms = [weight * treated, retained * treated, weight * ~treated, retained * ~treated]
        return cls(steps, np.stack(arms))

    def uplift_at(self, shares: Floats, drawn: Floats | None = None) -> Floats:
        """See `Ranking`."""
        _, *totals = self.steps.totals(self.columns, shares, drawn)
        treated, treated_retained, held_out, held_out_retained = totals
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(treated_retained / treated - held_out_retained / held_out)
