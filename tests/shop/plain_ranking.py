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
    """Uplift as the difference of both arms, each weighed by 1 / propensity."""

    steps: Steps
    columns: Floats  # weight of sent, retained of them, weight of kept, retained of them

    @classmethod
    def of(cls, contrast: Contrast, score: ArrayLike) -> Self:
        """The contrast ranked by a score."""
        steps = Steps.of(score)
        sent, weight = contrast.sent[steps.order], contrast.weight[steps.order]
        retained = weight * contrast.retained[steps.order]
        columns = np.stack([weight * sent, retained * sent, weight * ~sent, retained * ~sent])
        return cls(steps, columns)

    def uplift_at(self, shares: Floats, drawn: Floats | None = None) -> Floats:
        """See `Ranking`."""
        _, sent, sent_retained, kept, kept_retained = self.steps.totals(self.columns, shares, drawn)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(sent_retained / sent - kept_retained / kept)
