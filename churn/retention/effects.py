"""What an offer is expected to change, as a chance of being retained and as money."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from churn.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from churn.retention.offers import Offer

__all__ = [
    "Effects",
    "Worth",
    "assumed_effects",
    "log_odds_shift",
    "margin_at_stake",
    "offer_worth",
]

Floats = NDArray[np.float64]

# A stated bound may lie beyond certainty at a low base rate; there it is cut to almost certain.
ALMOST_CERTAIN = 1 - 1e-6


@dataclass(frozen=True)
class Effects:
    """P(retained | offer) - P(retained | nothing), n customers x m offers, with its interval.

    `source` is "assumed" (from the catalogue) or "measured" (from an experiment).
    """

    mean: Floats
    low: Floats
    high: Floats
    source: str


@dataclass(frozen=True)
class Worth:
    """What every offer would do for every customer, n x m: effects, then gain and cost in money.

    NaN where a customer has no probability or no value at risk.
    """

    effects: Effects
    gain: Floats
    cost: Floats

    @property
    def value(self) -> Floats:
        """Gain minus cost."""
        return self.gain - self.cost


def offer_worth(
    churn_probability: Floats, value_at_risk: Floats, offers: Sequence[Offer], *, base_rate: float
) -> Worth:
    """The assumed effects of the offers times the margin at stake, beside their expected costs."""
    effects = assumed_effects(churn_probability, offers, base_rate=base_rate)
    gain = effects.mean * margin_at_stake(churn_probability, value_at_risk)[:, None]
    cost = np.array([offer.expected_cost for offer in offers])
    return Worth(effects=effects, gain=gain, cost=np.broadcast_to(cost, gain.shape))


def margin_at_stake(churn_probability: Floats, value_at_risk: Floats) -> Floats:
    """Margin when retained minus margin when lapsed, at least 0; 0 where a lapse is impossible.

    NaN where it is unknown or not finite.

    >>> margin_at_stake(np.array([0.5, 0.0]), np.array([10.0, 0.0])).tolist()
    [20.0, 0.0]
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        margin = np.where(churn_probability == 0, 0.0, value_at_risk / churn_probability)
    return np.where(np.isfinite(margin), np.maximum(margin, 0.0), np.nan)


def assumed_effects(
    churn_probability: Floats, offers: Sequence[Offer], *, base_rate: float
) -> Effects:
    """The stated effects as one log-odds shift per offer, so that sure cases move least.

    The shift gives exactly the stated effect at `base_rate`, the mean churn probability. A
    fraction of the risk instead would favour customers who are lost whatever is sent.
    """
    retained = logit(1 - np.asarray(churn_probability, dtype=float))[:, None]
    shifts = np.array([_shifts(offer, base_rate=base_rate) for offer in offers]).reshape(-1, 3)
    low, mean, high = (expit(retained + shift) - expit(retained) for shift in shifts.T)
    return Effects(mean=mean, low=low, high=high, source="assumed")


def log_odds_shift(effect: float, *, base_rate: float) -> float:
    """The shift of the retention log-odds that adds `effect` where P(lapse) is `base_rate`.

    An effect beyond what the base rate leaves is cut to almost certain.

    >>> round(log_odds_shift(0.03, base_rate=0.2), 4)
    0.1993
    """
    before = np.clip(1 - base_rate, 1 - ALMOST_CERTAIN, ALMOST_CERTAIN)
    after = np.clip(1 - base_rate + effect, 1 - ALMOST_CERTAIN, ALMOST_CERTAIN)
    return float(logit(after) - logit(before))


def _shifts(offer: Offer, *, base_rate: float) -> tuple[float, float, float]:
    """Log-odds shifts of the low, stated and high effect."""
    if not np.isnan(base_rate) and not 0 <= 1 - base_rate + offer.effect <= 1:
        raise ConfigError(
            f"offer '{offer.offer_id}': effect must leave a retention rate between 0 and 1 "
            f"at the mean churn probability {base_rate:.4f}",
            got=offer.effect,
            fix=f"State an effect between {base_rate - 1:.4f} and {base_rate:.4f}.",
        )
    low, mean, high = (
        log_odds_shift(effect, base_rate=base_rate)
        for effect in (offer.effect_low, offer.effect, offer.effect_high)
    )
    return low, mean, high
