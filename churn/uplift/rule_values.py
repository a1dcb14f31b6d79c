"""What rules of targeting earn on the randomised contacts.

A rule gives each contact one of the offers of its choice set, or none. What it has to know is
learnt from the other folds of customers. Its value is doubly robust (`churn.uplift.policy_value`):
the margin of the horizon less expected costs, against giving nobody anything, over the contacts of
choice sets with held-out customers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from churn.arrays import Bools, Floats, Ints
from churn.errors import GateError
from churn.uplift.average import Estimate, mean_by_customer
from churn.uplift.experiment import ExperimentData, customer_codes, customer_folds
from churn.uplift.money import surprising
from churn.uplift.policy_value import doubly_robust, policy_value

if TYPE_CHECKING:
    from churn.offers.catalogue import Offer
    from churn.uplift.study import OutOfFold

FOLDS = 5
DEPTHS, BANDS = 10, 4
"""Tenths and quarters of the contacts by risk."""


@dataclass(frozen=True)
class RuleValue:
    """The value of a rule, in money for each contact against no offers, and the share of the
    contacts that it gives an offer; None if too few contacts were treated as the rule would.
    """

    rule: str
    value: Estimate | None
    share: float

    def to_dict(self) -> dict[str, Any]:
        """The same as plain JSON."""
        value = None if self.value is None else self.value.to_dict()
        return {"rule": self.rule, "value": value, "share": self.share}


@dataclass(frozen=True)
class Contacts:
    """What rules see of n contacts and m offers: `could` (n x m) tells which offers they could have
    got, `risk` and `promised` (n x m, effect x margin at stake - cost) are out-of-fold predictions,
    `gained` (n x m) is what each offer earned against none, doubly robust.
    """

    could: Bools
    risk: Floats
    promised: Floats
    gained: Floats
    customer: Ints

    def __len__(self) -> int:
        return len(self.risk)

    def only(self, rows: Bools) -> Contacts:
        """Some of the contacts."""
        return Contacts(*(part[rows] for part in vars(self).values()))


Rule = Callable[[Contacts, Contacts], Ints]
"""From contacts to learn from, and others, to the arm of these: 0 for none, 1 + column."""


def rule_values(
    data: ExperimentData, unseen: OutOfFold, cost: Floats, *, seed: int = 0
) -> list[RuleValue]:
    """The value of each rule; `cost` is the expected cost of each offer of `unseen`, n x m. Offers
    whose cost is unknown, NaN, are given to nobody.
    """
    rows = data.compared
    data, is_known = data.only(rows), np.isfinite(cost[rows])
    cost = np.where(is_known, cost[rows], 0.0)
    risk = np.clip(1 - unseen.outcomes[rows, 0], 1e-3, 1 - 1e-3)
    expected, surprise, _ = surprising(data.margin, unseen.margin[rows])
    predicted = expected[:, None] - np.column_stack([np.zeros(len(data)), cost])
    given = np.zeros(len(data), dtype=np.int64)
    for column, offer in enumerate(unseen.offers):
        given[data.assigned(offer)] = 1 + column
    net = predicted[np.arange(len(data)), given] + surprise
    logged = (given, data.propensity, net)
    none = np.zeros(len(data), dtype=np.int64)
    without = doubly_robust(none, *logged, predicted)
    could = np.column_stack([data.in_choice_set(offer) for offer in unseen.offers]) & is_known
    gained = np.column_stack(
        [doubly_robust(none + 1 + n, *logged, predicted) for n in range(len(unseen.offers))]
    )
    stake = (expected / (1 - risk))[:, None]
    contacts = Contacts(
        could=could,
        risk=risk,
        promised=unseen.effects["dr"][rows] * stake - cost,
        gained=np.where(could, gained - without[:, None], 0.0),
        customer=customer_codes(data.customer),
    )
    values = []
    for name, rule in RULES.items():
        choice = _cross_fitted(rule, contacts, seed)
        try:
            found = policy_value(
                choice, *logged, contacts.customer, predicted=predicted, against=none
            )
        except GateError:
            values.append(RuleValue(name, None, float((choice > 0).mean())))
            continue
        values.append(RuleValue(name, found.gain, float((choice > 0).mean())))
    return values


def expected_costs(data: ExperimentData, offers: Iterable[Offer]) -> dict[str, Floats]:
    """What each offer is expected to cost with each contact: by the redemptions of those sent it,
    or if these are not known, by the rate of the catalogue; a share of the customer's average order
    where the offer costs that.
    """
    order = data.rows.get("average_basket")
    amount = np.zeros(len(data)) if order is None else order.fillna(order.median()).to_numpy()
    costs = {}
    for offer in offers:
        sent, redeemed = data.assigned(offer.offer_id), data.redeemed
        rate = offer.redemption_rate
        if redeemed is not None and sent.any():
            rate = float(redeemed[sent].mean())
        is_priced = order is not None or not offer.margin_share
        cost = rate * offer.redemption_cost(np.maximum(amount, 0.0)) + offer.contact_cost
        costs[offer.offer_id] = cost if is_priced else np.full(len(data), np.nan)
    return costs


def _cross_fitted(rule: Rule, contacts: Contacts, seed: int) -> Ints:
    """The arm of each contact by the rule as learnt from the other folds of customers."""
    fold = customer_folds(contacts.customer, FOLDS, seed=seed)
    choice = np.zeros(len(contacts), dtype=np.int64)
    for number in range(FOLDS):
        inside = fold == number
        choice[inside] = rule(contacts.only(~inside), contacts.only(inside))
    return choice


def one_offer_to_the_riskiest(known: Contacts, others: Contacts) -> Ints:
    """The offer, and the tenths of the riskiest, that earned most among the known contacts."""
    edges = np.quantile(known.risk, np.arange(DEPTHS) / DEPTHS)
    totals = np.array([known.gained[known.risk >= edge].sum(axis=0) for edge in edges])
    depth, offer = np.unravel_index(totals.argmax(), totals.shape)
    served = (others.risk >= edges[depth]) & others.could[:, offer]
    return np.where(served & (totals[depth, offer] > 0), offer + 1, 0)


def best_offer_by_risk(known: Contacts, others: Contacts) -> Ints:
    """In each quarter by risk, the offer that earned most on average among the known contacts."""
    edges = np.quantile(known.risk, np.arange(1, BANDS) / BANDS)
    values = _band_values(known, np.searchsorted(edges, known.risk, side="right"))
    return _best(values[np.searchsorted(edges, others.risk, side="right")], others.could)


def best_offer_for_each_customer(_: Contacts, others: Contacts) -> Ints:
    """The offer that is predicted to earn most."""
    return _best(others.promised, others.could)


RULES: dict[str, Rule] = {
    "one offer, riskiest customers first": one_offer_to_the_riskiest,
    "the best offer for each quarter of risk": best_offer_by_risk,
    "the best offer for each customer": best_offer_for_each_customer,
}


def _best(value: Floats, could: Bools) -> Ints:
    """The arm of the highest positive value."""
    options = np.column_stack([np.zeros(len(value)), np.where(could, value, -np.inf)])
    return np.asarray(options.argmax(axis=1))


def _band_values(known: Contacts, band: Ints) -> Floats:
    """The mean gain of each offer in each band, bands x offers, drawn to its overall mean by the
    part of their differences that chance explains (empirical Bayes; Efron and Morris 1975).
    """
    overall = _means(known, band >= 0)[0]
    found = np.array([_means(known, band == number) for number in range(BANDS)])
    apart, noise = found[:, 0] - overall, (found[:, 1] ** 2).mean(axis=0)
    real = np.maximum((apart**2).mean(axis=0) - noise, 0.0)
    share = np.divide(real, real + noise, out=np.zeros_like(real), where=real + noise > 0)
    return np.asarray(overall + share * apart)


def _means(known: Contacts, rows: Bools) -> Floats:
    """Mean gain of each offer, and its standard error, among the rows that could have got it; shape
    (2, offers). 0 without any.
    """
    found = [
        mean_by_customer(known.gained[some, column], known.customer[some])
        for column, some in enumerate((known.could & rows[:, None]).T)
    ]
    values: Floats = np.nan_to_num(np.array([[one.estimate, one.error] for one in found]).T)
    return values
