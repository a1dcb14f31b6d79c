"""Gain of a ranking, and expected maximum profit of a retention campaign.

Verbraken, Verbeke, Baesens (2013): a lapsing customer accepts the offer with probability gamma and
then stays, worth `lifetime_value`; every customer contacted costs `contact_cost`, and all who would
have stayed take the offer, which costs `offer_cost`. gamma is unknown and drawn from a beta
distribution. This compares models; offers are decided on the shop's own costs and margins.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from churn.arrays import Floats
from churn.errors import ConfigError
from churn.modeling.metrics import Interval, classes_by_tie, customer_draws, share_caught

SHARES = tuple(step / 50 for step in range(51))


@dataclass(frozen=True)
class Gain:
    """Share of lapsed customers found, by share of customers listed; both from 0 to 1."""

    predictor: str
    listed: tuple[float, ...]
    caught: tuple[float, ...]

    def lift(self, listed: float) -> float:
        """Lapse rate of listed customers divided by the overall rate, at a share above zero."""
        return self.caught[self.listed.index(listed)] / listed


def gain_curve(predictor: str, lapse: ArrayLike, probability: ArrayLike) -> Gain:
    """The curve of one predictor, highest probability first; NaN if nobody or everybody lapsed.

    Customers with equal probabilities count at their mean.

    >>> gain_curve("model", [1, 0, 0, 0], [0.9, 0.2, 0.1, 0.1]).lift(0.5)
    2.0
    """
    caught = share_caught(lapse, probability, SHARES)
    return Gain(predictor, SHARES, tuple(float(one) for one in np.asarray(caught)))


@dataclass(frozen=True, kw_only=True)
class CampaignRules:
    """The campaign of Verbraken et al. (2013), in units of money per customer."""

    lifetime_value: float = 200.0
    offer_cost: float = 10.0
    contact_cost: float = 1.0
    alpha: float = 6.0
    beta: float = 14.0

    def __post_init__(self) -> None:
        if not 0 <= self.offer_cost < self.lifetime_value or self.contact_cost < 0:
            rule = "costs must be >= 0 and offer_cost below lifetime_value"
            got = [self.lifetime_value, self.offer_cost, self.contact_cost]
            raise ConfigError(rule, got=got, fix="Pass e.g. 200, 10 and 1.")
        if min(self.alpha, self.beta) <= 0:
            rule = "alpha and beta must be above 0"
            raise ConfigError(rule, got=[self.alpha, self.beta], fix="Pass e.g. 6 and 14.")

    @property
    def acceptance(self) -> float:
        """The mean of gamma."""
        return self.alpha / (self.alpha + self.beta)

    def gain(self, acceptance: float | Floats) -> float | Floats:
        """Profit from contacting one customer who would lapse."""
        return acceptance * (self.lifetime_value - self.offer_cost) - self.contact_cost

    @property
    def loss(self) -> float:
        """Loss from contacting one customer who would have stayed."""
        return self.offer_cost + self.contact_cost


@dataclass(frozen=True)
class Profit:
    """Profit per customer of the base by share contacted, at the mean acceptance; and `best`, the
    expected maximum profit (EMPC), reached by contacting `best_share` on average.
    """

    predictor: str
    listed: tuple[float, ...]
    profit: tuple[float, ...]
    best: Interval
    best_share: float


def profit_curve(
    predictor: str,
    lapse: ArrayLike,
    probability: ArrayLike,
    customer: ArrayLike,
    *,
    rules: CampaignRules | None = None,
    replicates: int = 200,
    seed: int = 0,
) -> Profit:
    """The profit of one predictor; the interval of `best` resamples customers."""
    rules = rules or CampaignRules()
    rate = float(np.mean(np.asarray(lapse, dtype=np.float64)))
    caught = rate * share_caught(lapse, probability, SHARES)
    money = caught * rules.gain(rules.acceptance) - (np.asarray(SHARES) - caught) * rules.loss
    best, share = expected_maximum_profit(lapse, probability, rules=rules)
    draws = [
        expected_maximum_profit(lapse, probability, rules=rules, weights=weights)[0]
        for weights in customer_draws(customer, lapse, replicates, seed)
    ]
    found = tuple(float(one) for one in money)
    return Profit(predictor, SHARES, found, Interval.of(best, draws), share)


def expected_maximum_profit(
    lapse: ArrayLike,
    probability: ArrayLike,
    *,
    rules: CampaignRules | None = None,
    weights: ArrayLike | None = None,
) -> tuple[float, float]:
    """EMPC, money per customer of the base, and the share of the base contacted on average.

    Each segment of the convex hull of the ROC curve is worth contacting from some gamma on, and
    these thresholds rise along the hull, so EMPC is a sum of tail integrals of the beta
    distribution.
    """
    from scipy.optimize import isotonic_regression
    from scipy.stats import beta

    rules = rules or CampaignRules()
    lapsed, stayed = classes_by_tie(lapse, probability, weights=weights)
    seen = lapsed + stayed > 0
    lapsed, stayed = lapsed[seen], stayed[seen]
    if not lapsed.size:
        return float("nan"), float("nan")
    mass = lapsed + stayed
    starts = isotonic_regression(lapsed / mass, weights=mass, increasing=False).blocks[:-1]
    lapsed = np.add.reduceat(lapsed, starts) / mass.sum()
    stayed = np.add.reduceat(stayed, starts) / mass.sum()
    worth = rules.lifetime_value - rules.offer_cost
    spent = rules.loss * stayed + rules.contact_cost * lapsed
    needed = np.divide(spent, worth * lapsed, out=np.full_like(spent, np.inf), where=lapsed > 0)
    taken = beta.sf(needed, rules.alpha, rules.beta)
    accepted = rules.acceptance * beta.sf(needed, rules.alpha + 1, rules.beta)
    profit = worth * lapsed * accepted - spent * taken
    return float(profit.sum()), float(((lapsed + stayed) * taken).sum())
