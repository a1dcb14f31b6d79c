"""Events of simulated customers: visits and e-mails, service contacts, loyalty points."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np

from churn.arrays import Bools, Floats, Ints
from churn.simulator.people import People
from churn.simulator.purchases import Orders
from churn.simulator.seasons import whole_seconds
from churn.simulator.settings import Stretch

CHANNELS = ("email", "web", "store", "service")
CHANNEL_OF = {
    "email_sent": "email",
    "email_open": "email",
    "email_click": "email",
    "unsubscribe": "email",
    "visit": "web",
    "cart": "web",
    "delivery_late": "service",
    "complaint": "service",
    "ticket_opened": "service",
    "ticket_closed": "service",
    "review": "web",
    "nps": "email",
    "points_earned": "store",
    "points_spent": "store",
}
EVENT_TYPES = tuple(CHANNEL_OF)

TICKETS, TICKETS_WHEN_LATE = 0.02, 0.4
COMPLAINTS_WHEN_LATE, COMPLAINTS_WHEN_SLOW = 0.3, 0.5
QUICK_MEAN_DAYS, SLOW_LEAST_DAYS, SLOW_MEAN_DAYS = 1.0, 8.0, 6.0
REVIEWS, SURVEYS = 0.04, 0.03
SPENDS_POINTS = 0.12
TIERS = ("bronze", "silver", "gold")
TIER_POINTS = (300, 1_200)


@dataclass(frozen=True)
class Events:
    """Events of customers (positions in `People`) at calendar days since the start.

    `kind` and `channel` are positions in EVENT_TYPES and CHANNELS. `value` is NaN, `ref` (an
    order's number) and `campaign` are -1 if there is none.
    """

    customer: Ints
    day: Floats
    kind: Ints
    channel: Ints
    value: Floats
    ref: Ints
    campaign: Ints

    @classmethod
    def of(
        cls,
        kind: str,
        customer: Ints,
        day: Floats,
        *,
        value: Floats | Ints | None = None,
        ref: Ints | None = None,
        campaign: Ints | None = None,
    ) -> Self:
        """Events of one kind."""
        none = np.full(customer.size, -1)
        return cls(
            customer=customer,
            day=day,
            kind=np.full(customer.size, EVENT_TYPES.index(kind)),
            channel=np.full(customer.size, CHANNELS.index(CHANNEL_OF[kind])),
            value=np.full(customer.size, np.nan) if value is None else value.astype(np.float64),
            ref=none if ref is None else ref,
            campaign=none if campaign is None else campaign,
        )

    @classmethod
    def together(cls, parts: Iterable[Self]) -> Self:
        """The events of all parts."""
        columns = zip(*(vars(part).values() for part in parts), strict=True)
        return cls(*(np.concatenate(column) for column in columns))

    def only(self, which: Bools | Ints) -> Self:
        """Some of the events, by a mask or in the order of positions."""
        return type(self)(*(column[which] for column in vars(self).values()))

    def of_kind(self, kind: str) -> Self:
        """The events of one kind."""
        return self.only(self.kind == EVENT_TYPES.index(kind))


def service(rng: np.random.Generator, orders: Orders) -> Events:
    """delivery_late, complaint, ticket_opened, ticket_closed, review and nps."""
    bought = orders.purchases
    n = bought.day.size
    due = bought.day + 2 + rng.random(n)
    opened = due + 1 + rng.random(n)
    ticket = bought.is_slow | (rng.random(n) < np.where(bought.is_late, TICKETS_WHEN_LATE, TICKETS))
    slow = SLOW_LEAST_DAYS + rng.exponential(SLOW_MEAN_DAYS, n)
    quick = rng.exponential(QUICK_MEAN_DAYS, n)
    closed = opened + np.where(bought.is_slow, slow, quick)
    angry = np.where(bought.is_slow, COMPLAINTS_WHEN_SLOW, COMPLAINTS_WHEN_LATE * bought.is_late)
    return Events.together(
        [
            _about(orders, "delivery_late", bought.is_late, due),
            _about(orders, "complaint", rng.random(n) < angry, opened + rng.random(n)),
            _about(orders, "ticket_opened", ticket, opened),
            _about(orders, "ticket_closed", ticket, closed),
            _said(rng, orders, "review", REVIEWS, good=(1, 4, 0.8), bad=(1, 4, 0.3)),
            _said(rng, orders, "nps", SURVEYS, good=(5, 5, 0.7), bad=(0, 8, 0.4)),
        ]
    )


def _said(
    rng: np.random.Generator,
    orders: Orders,
    kind: str,
    share: float,
    *,
    good: tuple[int, int, float],
    bad: tuple[int, int, float],
) -> Events:
    """A share of orders is rated, least + Binomial(steps, p): lower after bad service."""
    bought = orders.purchases
    asked = rng.random(bought.day.size) < share
    of_bad = bought.is_bad[asked]
    least, steps, p = (np.where(of_bad, b, g) for g, b in zip(good, bad, strict=True))
    day = bought.day + 5 + rng.exponential(4.0, bought.day.size)
    return _about(orders, kind, asked, day, value=least + rng.binomial(steps.astype(int), p))


def _about(
    orders: Orders, kind: str, which: Bools, day: Floats, *, value: Floats | None = None
) -> Events:
    at = whole_seconds(day[which])
    customer = orders.purchases.customer[which]
    return Events.of(kind, customer, at, value=value, ref=orders.number[which])


def loyalty(rng: np.random.Generator, people: People, orders: Orders) -> Events:
    """points_earned at every purchase of a member; points_spent, at some, the whole balance."""
    bought = orders.purchases
    members = np.flatnonzero(people.is_member[bought.customer])
    customer, day = bought.customer[members], bought.day[members]
    number, earned = orders.number[members], orders.cents[members] // 100
    held = np.cumsum(earned) - earned  # by all members so far, without this purchase
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
    """The position in TIERS by all points earned in these days; -1 for non-members."""
    points = orders.purchases.per_customer(orders.cents // 100 * seen.holds(orders.purchases.day))
    return np.where(people.is_member, np.searchsorted(TIER_POINTS, points, side="right"), -1)
