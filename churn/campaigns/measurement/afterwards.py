"""Orders after the window of a campaign, which show whether its gain was only pulled forward."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from churn.campaigns.measurement.analysis import CLEAR, Effect, effects_on
from churn.campaigns.measurement.rows import MONEY, UNITS, with_outcomes
from churn.data.cutoffs import Cutoffs

if TYPE_CHECKING:
    from churn.arrays import Floats
    from churn.campaigns.measurement.analysis import Analysis
    from churn.campaigns.measurement.rows import Measured
    from churn.data.tables import Snapshot

COUNTED = ("orders", "margin")
SPANS = ("within", "afterwards", "both")
"""The window of the campaign, as many days again, and both together."""


@dataclass(frozen=True)
class Afterwards:
    """A second window of `days` days that begins where the window of the campaign ends.

    Its last day is the one before `closes`; with late orders it is complete as of `known_from`.
    `effects`, by outcome (`COUNTED`) and span (`SPANS`), are per customer; empty until then.
    """

    days: int
    closes: date
    known_from: date
    effects: Mapping[str, Mapping[str, Effect]]

    @property
    def was_pulled_forward(self) -> bool:
        """Whether treated customers ordered more within the window and clearly less afterwards."""
        orders = self.effects.get("orders")
        if orders is None:
            return False
        fewer = orders["afterwards"].verdict == CLEAR[1]
        return fewer and orders["within"].best.estimate > 0

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "days": self.days,
            "closes": str(self.closes),
            "known_from": str(self.known_from),
            "effects": {
                outcome: {span: effect.to_dict() for span, effect in spans.items()}
                for outcome, spans in self.effects.items()
            },
        }


def measure_afterwards(
    measured: Measured, analysis: Analysis, snapshot: Snapshot, *, margin_rate: float
) -> Afterwards:
    """The effects on the same customers in a second window as long as the first.

    There are none before it is over, nor where the groups themselves cannot be compared.
    """
    begin, days = measured.plan_as_of, 2 * measured.horizon_days
    lag = snapshot.tables.arrival_lag_days()
    known_from = begin + timedelta(days + lag)
    later = Afterwards(measured.horizon_days, begin + timedelta(days), known_from, {})
    if not analysis.effects or snapshot.as_of < known_from:
        return later
    rows = measured.frame[measured.frame["compared"]]
    both = with_outcomes(
        rows,
        snapshot,
        Cutoffs((begin,), days, snapshot.as_of, arrival_lag_days=lag),
        margin_rate,
    )
    outcomes: dict[str, Floats] = {}
    for name in COUNTED:
        unit = UNITS if name in MONEY else 1
        within, together = (frame[name].to_numpy(dtype="float64") / unit for frame in (rows, both))
        parts = (within, together - within, together)
        outcomes |= {f"{name} {span}": part for span, part in zip(SPANS, parts, strict=True)}
    found = effects_on(outcomes, rows)
    effects = {name: {span: found[f"{name} {span}"] for span in SPANS} for name in COUNTED}
    return Afterwards(later.days, later.closes, known_from, effects)
