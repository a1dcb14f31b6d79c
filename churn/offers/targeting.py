"""How finely a plan tells customers apart: nobody, one offer to the riskiest, or each by itself.

Choosing the best of several uncertain offers for every single customer picks out errors, too: such
a plan promises more than it earns. So unless an experiment has shown that most of the offers it
measured work differently on different customers, a plan gives one offer, the best on average, to
the riskiest customers, as many as pay; who may not have it, or comes after its capacity, is given
another in the same way. Those whose own value is negative are left out. Without any experiment the
catalogue's assumptions decide, customer by customer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from churn.arrays import Bools, Floats, Ints

if TYPE_CHECKING:
    from churn.offers.catalogue import Offer
    from churn.offers.effects import Effects, Worth

Rule = Literal["one offer", "per customer"]
LARGEST_SHARE = 0.01
FEWEST = 10
"""One customer counts for at most a hundredth of what all are worth, or ten times the mean."""
PASSES = 3


@dataclass(frozen=True)
class Targeting:
    """The worth of offers as a plan counts it, and where it may give them (n customers x m offers).

    `rule` is the one used; `expected_value` what each would earn without a budget.
    """

    worth: Worth
    allowed: Bools
    rule: Rule
    expected_value: dict[str, float]

    @classmethod
    def of(cls, worth: Worth, permitted: Bools, risk: Floats, offers: Sequence[Offer]) -> Targeting:
        """The targeting that the evidence on the effects supports."""
        value = np.where(permitted, worth.value, -np.inf)
        one = _OneOffer.of(value, risk, offers)
        earned = {
            "nobody": 0.0,
            "one offer": one.earned,
            "per customer": float(np.maximum(value.max(axis=1, initial=0.0), 0.0).sum()),
        }
        if rule_of(worth.effects) == "per customer":
            return cls(worth, permitted, "per customer", earned)
        gain = np.where(one.allowed, one.single + worth.cost, worth.gain)
        return cls(replace(worth, gain=gain), one.allowed, "one offer", earned)

    def counted(self, value: Floats) -> Floats:
        """The values, of which those outside the targeting are at most 0."""
        return np.where(self.allowed, value, np.minimum(value, 0.0))

    def to_dict(self) -> dict[str, Any]:
        """Rule and values, as plain JSON."""
        return {"rule": self.rule, "expected_value": self.expected_value}


def rule_of(effects: Effects) -> Rule:
    """`per customer` if nothing was measured, or if most of what was differs by customer."""
    individual = effects.individual or (False,) * len(effects.source)
    measured = [
        differs
        for differs, source in zip(individual, effects.source, strict=True)
        if source != "assumed"
    ]
    return "per customer" if 2 * sum(measured) >= len(measured) else "one offer"


def without_giants(value: Floats) -> Floats:
    """The values (n customers x m offers, -inf where not permitted), winsorised: none counts for
    more than `LARGEST_SHARE` of what all sizes of its offer add up to, or 1 / n x `FEWEST` if that
    is more. Else a single customer could carry an offer, and everybody riskier with it.
    """
    known = np.isfinite(value)
    share = max(LARGEST_SHARE, FEWEST / max(len(value), 1))
    capped = np.where(known, value, 0.0)
    for _ in range(PASSES if share < 1 else 0):
        most = share * np.abs(capped).sum(axis=0)
        capped = np.clip(capped, -most, most)
    return np.where(known, capped, value)


@dataclass
class _OneOffer:
    """The mean value of the chosen offers, to whom they go (both n x m), and what they earn."""

    single: Floats
    allowed: Bools
    earned: float = 0.0

    @classmethod
    def of(cls, value: Floats, risk: Floats, offers: Sequence[Offer]) -> _OneOffer:
        """For each objective, the offer and the number of its riskiest customers that are worth
        most in total; then, likewise, another one for those who may not have the first, or who come
        after its capacity. Of the riskiest, those are served whose own value is positive, but each
        is promised the mean of all. `value` is -inf where an offer is not permitted.
        """
        value = without_giants(value)
        found = cls(np.zeros(value.shape), np.zeros(value.shape, dtype=bool))
        order = np.argsort(-np.where(np.isnan(risk), -np.inf, risk), kind="stable")
        capacity = np.array([np.inf if one.capacity is None else one.capacity for one in offers])
        aims = [offer.aim for offer in offers]
        for aim in dict.fromkeys(aims) if len(value) else ():
            columns = [column for column, each in enumerate(aims) if each == aim]
            found._choose(value[order], order, columns, capacity)
        return found

    def _choose(self, value: Floats, order: Ints, columns: list[int], capacity: Floats) -> None:
        """The offers of one objective; the rows of `value` are by descending risk."""
        without = np.ones(len(value), dtype=bool)
        while columns:
            open_to = np.isfinite(value[:, columns]) & without[:, None]
            placed = open_to & (np.cumsum(open_to, axis=0) <= capacity[columns])
            worth = np.where(open_to, value[:, columns], 0.0)
            total = np.cumsum(np.where(placed, worth, 0.0), axis=0)
            last, best = np.unravel_index(total.argmax(), total.shape)
            if total[last, best] <= 0:
                return
            column, depth = columns[int(best)], int(np.cumsum(worth[:, best]).argmax()) + 1
            mean = float(worth[:depth, best].sum() / open_to[:depth, best].sum())
            chosen = order[:depth][worth[:depth, best] > 0]
            self.allowed[chosen, column] = True
            self.single[chosen, column] = mean
            self.earned += mean * min(len(chosen), capacity[column])
            without &= ~placed[:, best]
            columns.remove(column)
