"""Limits of a plan: its budget, capacities of offers, and caps and floors of customer groups.

A group never affects the value of an offer. It only limits how many of its members are served.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from churn.arrays import Bools, Floats, Ints
from churn.data.settings import STRICT
from churn.errors import ConfigError
from churn.offers.allocation.knapsack import NOTHING, picked
from churn.offers.allocation.problem import Limits

ROUNDING = 1e-12  # relative to the remaining budget: a remainder of summation
UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class GroupRules:
    """`[offers.groups]`: `by` names the column; `caps` and `floors` are shares of a group, by name.

    A cap refers to all members, a floor to those for whom a permitted offer is profitable.
    """

    __pydantic_config__ = STRICT
    by: str
    caps: Mapping[str, Annotated[float, Field(ge=0, le=1)]] = field(default_factory=dict)
    floors: Mapping[str, Annotated[float, Field(ge=0, le=1)]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for kind, shares in (("cap", self.caps), ("floor", self.floors)):
            for name, share in shares.items():
                if not 0 <= share <= 1:
                    rule = f"the {kind} of group {name!r} must be a share between 0 and 1"
                    raise ConfigError(rule, got=share, fix="Write 20 % as 0.2.")
        for name, floor in self.floors.items():
            if floor > self.caps.get(name, 1.0):
                rule = f"the floor of group {name!r} must not exceed its cap"
                raise ConfigError(rule, got=floor, fix="Lower the floor or raise the cap.")


@dataclass(frozen=True)
class Groups:
    """The group of each customer as an index of `names`."""

    rules: GroupRules
    names: tuple[str, ...]
    code: Ints

    @classmethod
    def of(cls, words: pa.ChunkedArray, rules: GroupRules) -> Groups:
        """From a text column; empty values are "unknown".

        Raises ConfigError if a rule names a group without members.
        """
        filled = pc.fill_null(words.cast(pa.string()), UNKNOWN)
        names = tuple(sorted(pc.unique(filled).to_pylist()))
        strange = sorted({*rules.caps, *rules.floors} - set(names))
        if strange and names:
            rule = f"[offers.groups] must name groups of {rules.by!r}: {list(names)[:20]}"
            raise ConfigError(rule, got=strange, fix="Fix the name.")
        code = pc.index_in(filled, value_set=pa.array(names, pa.string())).to_numpy()
        return cls(rules, names, code.astype(np.int64))

    def most(self, served_already: Ints) -> Floats:
        """Members who may still be served, inf without a cap, shape (groups,)."""
        members = np.bincount(self.code, minlength=len(self.names))
        caps = np.array([self.rules.caps.get(name, np.inf) for name in self.names], dtype=float)
        limits = np.full(len(members), np.inf)
        capped = np.isfinite(caps)
        limits[capped] = np.floor(caps[capped] * members[capped] + 1e-9)
        return np.maximum(limits - served_already, 0.0)

    @property
    def open(self) -> Bools:
        """Whether each customer's group may be served at all, shape (customers,)."""
        nobody = np.zeros(len(self.code), dtype=bool)
        return np.asarray(self.most(self.counts(nobody))[self.code] >= 1)

    def least(self, payable: Bools) -> Floats:
        """The minimum number of members to serve, shape (groups,)."""
        count = np.bincount(self.code[payable], minlength=len(self.names))
        floors = np.array([self.rules.floors.get(name, 0.0) for name in self.names])
        return np.asarray(np.floor(floors * count + 1e-9))

    def counts(self, chosen: Bools) -> Ints:
        """The number of chosen customers per group."""
        return np.bincount(self.code[chosen], minlength=len(self.names)).astype(np.int64)

    def table(self, permitted: Bools, offered: Bools, cost: Floats) -> list[dict[str, Any]]:
        """Per group: customers, with a permitted offer, with an offer, its share, expected cost."""
        everyone = self.counts(np.ones(len(self.code), dtype=bool))
        spent = np.bincount(self.code, weights=cost, minlength=len(self.names))
        columns = (everyone, self.counts(permitted), self.counts(offered))
        return [
            {
                "group": name,
                "customers": int(columns[0][i]),
                "permitted": int(columns[1][i]),
                "offered": int(columns[2][i]),
                "offer_rate": float(columns[2][i] / max(columns[0][i], 1)),
                "expected_cost": float(spent[i]),
            }
            for i, name in enumerate(self.names)
        ]


@dataclass(frozen=True)
class PlanLimits:
    """The limits of a whole plan: money of expected cost, customers per offer (inf without a
    capacity), and groups if it has any.
    """

    budget: float
    capacity: Floats
    groups: Groups | None = None

    def explorable(self, permitted: Bools) -> Bools:
        """The permitted offers of customers whose group may be served at all."""
        return permitted if self.groups is None else permitted & self.groups.open[:, None]

    def part(self, rows: Ints, *, share: float) -> PlanLimits:
        """For some of the customers, with that share of the budget and of the capacities."""
        groups = self.groups
        if groups is not None:
            groups = Groups(groups.rules, groups.names, groups.code[rows])
        return PlanLimits(self.budget * share, self.capacity * share, groups)

    def after(self, explored: Ints, cost: Floats, payable: Bools) -> Limits:
        """What remains after the offers `explored` (-1 for none); floors count `payable` customers.

        `cost` is that of each offer for each customer.
        """
        served = explored != NOTHING
        spent = float(picked(cost, explored).sum())
        given = np.bincount(explored[served], minlength=len(self.capacity))
        budget = max((self.budget - spent) * (1 - ROUNDING), 0.0) if spent else self.budget
        capacity = np.maximum(self.capacity - given, 0.0)
        if self.groups is None:
            return Limits(budget=budget, capacity=capacity)
        already = self.groups.counts(served)
        most = self.groups.most(already)
        least = np.minimum(np.maximum(self.groups.least(payable) - already, 0.0), most)
        return Limits(
            budget=budget, capacity=capacity, group=self.groups.code, most=most, least=least
        )
