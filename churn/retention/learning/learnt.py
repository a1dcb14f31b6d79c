"""What a study found, ready to answer for any customer: effects for the planner, by offer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit, logit

from churn.errors import ModelError
from churn.modeling.boosting import predict_booster
from churn.retention.effects import Effects, assumed_effects
from churn.retention.learning.average import EffectLine, Estimate
from churn.retention.learning.study import Finding, Study
from churn.retention.learning.trial import feature_matrix
from churn.retention.learning.verdict import Verdict

if TYPE_CHECKING:
    from churn.retention.offers import Offer

__all__ = ["KnownEffect", "LearntEffects"]

Floats = NDArray[np.float64]

TOLD: tuple[Verdict, ...] = ("individual", "average")


@dataclass(frozen=True)
class KnownEffect:
    """One offer's effect: by customer (`text` holds the trees), or the average as a shift of the
    retention log-odds, low, mean and high.
    """

    offer_id: str
    verdict: Verdict
    line: EffectLine
    shift: tuple[float, float, float]
    text: str | None = None

    @classmethod
    def of(cls, finding: Finding, text: str | None) -> Self:
        """The effect that a finding allows to use."""
        return cls(finding.offer_id, finding.verdict, finding.line, finding.shift, text)

    @property
    def is_measured(self) -> bool:
        """Whether this may stand in the place of what was assumed."""
        return self.verdict in TOLD

    def bounds(self, matrix: np.ndarray, churn_probability: Floats) -> tuple[Floats, ...]:
        """Low, mean and high of each row; no customer is saved, or lost, more than once."""
        before = 1 - churn_probability
        if self.text is None:
            odds = logit(before)
            return tuple(expit(odds + shift) - expit(odds) for shift in self.shift)
        said = predict_booster(self.text, matrix)
        mean, half = self.line.mean(said), self.line.half_width(said)
        return tuple(np.clip(e, -before, 1 - before) for e in (mean - half, mean, mean + half))

    def to_dict(self) -> dict[str, Any]:
        """Everything but the trees, as plain JSON."""
        average = self.line.average
        return {
            "verdict": self.verdict,
            "average": {"estimate": average.estimate, "error": average.error},
            "slope": self.line.slope,
            "slope_error": self.line.slope_error,
            "centre": self.line.centre,
            "shift": list(self.shift),
        }

    @classmethod
    def from_dict(cls, offer_id: str, said: Mapping[str, Any], text: str | None) -> Self:
        """The effect of what `to_dict` wrote; KeyError, TypeError or ValueError where it is not."""
        verdict, (low, mean, high) = said["verdict"], said["shift"]
        if verdict == "individual" and text is None:
            raise ValueError("an individual effect needs its trees")
        line = EffectLine(
            average=Estimate(**said["average"]),
            slope=float(said["slope"]),
            slope_error=float(said["slope_error"]),
            centre=float(said["centre"]),
        )
        shown = text if verdict == "individual" else None
        return cls(offer_id, verdict, line, (float(low), float(mean), float(high)), shown)


@dataclass(frozen=True)
class LearntEffects:
    """The known effects by offer, and the features that those by customer look at."""

    known: Mapping[str, KnownEffect]
    feature_names: tuple[str, ...]
    horizon_days: int

    @classmethod
    def of_study(cls, study: Study) -> Self:
        """What a study allows to use."""
        known = {
            name: KnownEffect.of(finding, study.texts.get(name))
            for name, finding in study.findings.items()
        }
        return cls(known, study.feature_names, study.horizon_days)

    def measured(self, offer_id: str) -> KnownEffect | None:
        """The offer's measured effect; None where only the assumed one can be used."""
        found = self.known.get(offer_id)
        return found if found is not None and found.is_measured else None

    def of(
        self,
        rows: pd.DataFrame,
        churn_probability: Floats,
        offers: Sequence[Offer],
        *,
        base_rate: float,
    ) -> Effects:
        """The effects of the offers on the customers of `rows`, a frame of features.

        An offer that was not measured keeps its assumed effect at `base_rate`, the mean churn
        probability; `source` says which, by offer. NaN where the churn probability is unknown.
        Raises ModelError naming the features that are missing.
        """
        risk = np.asarray(churn_probability, dtype=float)
        effects = assumed_effects(risk, offers, base_rate=base_rate)
        low, mean, high = (part.copy() for part in (effects.low, effects.mean, effects.high))
        found = [self.measured(offer.offer_id) for offer in offers]
        matrix = self._matrix(rows) if any(f is not None and f.text for f in found) else None
        for column, one in enumerate(found):
            if one is not None:
                said = one.bounds(np.empty((0, 0)) if matrix is None else matrix, risk)
                low[:, column], mean[:, column], high[:, column] = said
        source = tuple("assumed" if one is None else "measured" for one in found)
        return Effects(mean=mean, low=low, high=high, source=source)

    def _matrix(self, rows: pd.DataFrame) -> np.ndarray:
        missing = [name for name in self.feature_names if name not in rows]
        if missing:
            raise ModelError(
                "measured effects need the features that they were learnt from",
                got=f"none of these: {missing}",
                fix="Build them by that list, or learn the effects again with `churn effects`.",
            )
        return feature_matrix(rows, self.feature_names)
