"""Expected effect of offers, on P(retained) and in money."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit, logit

from churn.arrays import Bools, Floats
from churn.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from churn.offers.catalogue import Offer


# A bound may exceed certainty at a low base rate; it is then cut to almost certain.
ALMOST_CERTAIN = 1 - 1e-6


@dataclass(frozen=True)
class MoneyTerms:
    """How the money of an offer follows from its effect: `slope` x effect x margin at stake +
    `lift` x expected margin, of which `redemption` is P(redeemed | an order).
    """

    slope: float
    lift: float
    redemption: float


@dataclass(frozen=True)
class Effects:
    """P(retained | offer) - P(retained | nothing), n customers x m offers, with its interval.

    `source` states for each offer whether its effect is "assumed" (in the catalogue), "measured"
    (in an experiment), or "combined" (an experiment too small to tell corrected the assumption).
    `money` holds what an experiment says of the money of each offer, None where it says nothing;
    `individual` whether it showed that the effect differs by customer.
    """

    mean: Floats
    low: Floats
    high: Floats
    source: tuple[str, ...]
    money: tuple[MoneyTerms | None, ...] = ()
    individual: tuple[bool, ...] = ()

    def of(self, customers: Bools) -> Effects:
        """Those of some of the customers, a mask of shape (n,)."""
        some = (self.mean[customers], self.low[customers], self.high[customers])
        return Effects(*some, self.source, self.money, self.individual)

    def terms(self, offers: Sequence[Offer], retained: Floats) -> list[MoneyTerms]:
        """The money terms of the offers; `retained` is the mean P(retained) of those that each is
        for, at which the redemption rates of the catalogue hold.
        """
        known = self.money or (None,) * len(offers)
        return [
            terms or MoneyTerms(1.0, 0.0, redemption_of_buyers(offer, mean))
            for offer, terms, mean in zip(offers, known, retained, strict=True)
        ]


@dataclass(frozen=True)
class Worth:
    """Effects, gain and cost in money of every offer for every customer, n x m; and the margin at
    stake of each customer.

    NaN if a customer has no probability or no value at risk.
    """

    effects: Effects
    gain: Floats
    cost: Floats
    at_stake: Floats

    @property
    def value(self) -> Floats:
        """Gain minus cost."""
        return self.gain - self.cost


def offer_worth(
    churn_probability: Floats,
    value_at_risk: Floats,
    offers: Sequence[Offer],
    *,
    base_rate: float,
    order_amount: Floats | None = None,
    measured: Effects | None = None,
    retained: Floats | None = None,
) -> Worth:
    """The effects of the offers times the margin at stake, and their expected costs.

    `order_amount` is each customer's typical order; it may be omitted if no offer costs a share of
    the order. Effects are those assumed in the catalogue, or those of `measured`, n customers x m
    offers in the same order. An offer is redeemed with an order only, so that customers who order
    rarely redeem rarely: rates of the catalogue hold at `retained`, the mean P(retained) of the
    customers that each of the m offers is for; by default, at 1 - `base_rate`.
    """
    effects = assumed_effects(churn_probability, offers, base_rate=base_rate)
    if measured is not None:
        effects = _matching(measured, effects.mean.shape)
    at_stake = margin_at_stake(churn_probability, value_at_risk)
    retained = np.full(len(offers), 1 - base_rate) if retained is None else retained
    terms = effects.terms(offers, retained)
    slope, lift = (np.array([getattr(one, name) for one in terms]) for name in ("slope", "lift"))
    stays = 1 - np.asarray(churn_probability, dtype=float)[:, None]
    gain = (slope * effects.mean + lift * stays) * at_stake[:, None]
    rates = np.array([one.redemption for one in terms])
    redeems = np.clip(rates * np.clip(stays + effects.mean, 0.0, 1.0), 0.0, 1.0)
    return Worth(effects, gain, _expected_costs(offers, order_amount, redeems), at_stake)


def redemption_of_buyers(offer: Offer, retained: float) -> float:
    """P(redeemed | an order), if the rate of the catalogue, which is of everyone with the offer,
    holds where P(retained) without it is `retained`.
    """
    orders = min(retained + offer.effect, 1.0)
    return offer.redemption_rate / orders if orders > 0 else offer.redemption_rate


def _expected_costs(
    offers: Sequence[Offer], order_amount: Floats | None, redeems: Floats
) -> Floats:
    """Costs by P(redeemed), n x m; a customer without a probability counts at the rate stated."""
    if order_amount is None:
        if any(offer.margin_share for offer in offers):
            rule = "an offer that costs a share of the order needs order amounts"
            raise ConfigError(rule, fix="Pass order amounts, or state margin_cost in money.")
        order_amount = np.zeros(len(redeems))
    columns = [
        np.where(np.isnan(rate), offer.redemption_rate, rate) * offer.redemption_cost(order_amount)
        + offer.contact_cost
        for offer, rate in zip(offers, redeems.T, strict=True)
    ]
    return np.column_stack(columns)


def _matching(measured: Effects, shape: tuple[int, ...]) -> Effects:
    if measured.mean.shape != shape:
        rule = "measured effects must match the scored customers and the catalogue's offers"
        got = f"{measured.mean.shape} for {shape}"
        raise ConfigError(rule, got=got, fix="Load them for these scores and offers.")
    return measured


def margin_at_stake(churn_probability: Floats, value_at_risk: Floats) -> Floats:
    """Margin if retained minus margin if lapsed, at least 0; 0 if a lapse is impossible.

    NaN if it is unknown or not finite.

    >>> margin_at_stake(np.array([0.5, 0.0]), np.array([10.0, 0.0])).tolist()
    [20.0, 0.0]
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        margin = np.where(churn_probability == 0, 0.0, value_at_risk / churn_probability)
    return np.where(np.isfinite(margin), np.maximum(margin, 0.0), np.nan)


def assumed_effects(
    churn_probability: Floats, offers: Sequence[Offer], *, base_rate: float
) -> Effects:
    """The assumed effects as one log-odds shift per offer, so that near-certain cases move least.

    The shift gives exactly the stated effect at `base_rate`, the mean churn probability. A fraction
    of the risk instead would favour customers who lapse regardless of offers.
    """
    risk = np.asarray(churn_probability, dtype=float)[:, None]
    shifts = assumed_shifts(offers, base_rate=base_rate)
    low, mean, high = (effect_of_shift(risk, shift) for shift in shifts.T)
    return Effects(mean=mean, low=low, high=high, source=("assumed",) * len(offers))


def assumed_shifts(offers: Sequence[Offer], *, base_rate: float) -> Floats:
    """Log-odds shifts of the low, mean and high effect of each offer, shape (m offers, 3)."""
    return np.array([_shifts(offer, base_rate=base_rate) for offer in offers]).reshape(-1, 3)


def effect_of_shift(churn_probability: Floats, shift: Floats | float) -> Floats:
    """The increase of P(retained) by a shift of the retention log-odds.

    As a difference of churn probabilities, which stays exact for customers who almost never churn,
    where a difference of retention probabilities is rounded to 0.

    >>> f"{effect_of_shift(np.array(1e-17), np.log(2.0)):.3g}"
    '5e-18'
    """
    lapse = logit(churn_probability)
    return np.asarray(expit(lapse) - expit(lapse - shift))


def log_odds_shift(effect: float, *, base_rate: float) -> float:
    """The shift of the retention log-odds that adds `effect` at P(lapse) = `base_rate`.

    An effect beyond what the base rate allows is cut to almost certain.

    >>> round(log_odds_shift(0.03, base_rate=0.2), 4)
    0.1993
    """
    before = np.clip(1 - base_rate, 1 - ALMOST_CERTAIN, ALMOST_CERTAIN)
    after = np.clip(1 - base_rate + effect, 1 - ALMOST_CERTAIN, ALMOST_CERTAIN)
    return float(logit(after) - logit(before))


def _shifts(offer: Offer, *, base_rate: float) -> tuple[float, float, float]:
    """Log-odds shifts of the low, mean and high effect."""
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
