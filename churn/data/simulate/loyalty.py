"""The points of members: one for each whole unit of money, spent all at once now and then."""

from __future__ import annotations

import numpy as np

from churn.data.simulate.events import Events
from churn.data.simulate.orders import Orders
from churn.data.simulate.people import People
from churn.data.simulate.settings import Ints, Stretch

__all__ = ["TIERS", "loyalty", "tier"]

SPENDS_POINTS = 0.12
TIERS = ("bronze", "silver", "gold")
TIER_POINTS = (300, 1_200)


def loyalty(rng: np.random.Generator, people: People, orders: Orders) -> Events:
    """points_earned at every purchase of a member; points_spent, at some, the whole balance."""
    bought = orders.purchases
    members = np.flatnonzero(people.is_member[bought.customer])
    customer, day = bought.customer[members], bought.day[members]
    number, earned = orders.number[members], orders.cents[members] // 100
    held = np.cumsum(earned) - earned  # by all members so far, this purchase not counted
    spends = (rng.random(members.size) < SPENDS_POINTS) | (bought.position[members] == 0)
    emptied = np.flatnonzero(spends)  # the first purchase counts as emptying an empty balance
    balance = np.diff(held[emptied], prepend=0)
    spent = (bought.position[members][emptied] > 0) & (balance > 0)
    used = emptied[spent]
    return Events.together(
        [
            Events.of("points_earned", customer, day, value=earned, ref=number),
            Events.of(
                "points_spent", customer[used], day[used], value=balance[spent], ref=number[used]
            ),
        ]
    )


def tier(people: People, orders: Orders, seen: Stretch) -> Ints:
    """The position in TIERS by all points earned in these days; -1 for who is no member."""
    points = orders.purchases.per_customer(orders.cents // 100 * seen.holds(orders.purchases.day))
    return np.where(people.is_member, np.searchsorted(TIER_POINTS, points, side="right"), -1)
