"""How the shop served: late goods, complaints, tickets, and what customers said of it.

`ref` is the order that it is about; there is at most one ticket an order.
"""

from __future__ import annotations

import numpy as np

from churn.data.simulate.events import Events
from churn.data.simulate.orders import Orders
from churn.data.simulate.seasons import whole_seconds
from churn.data.simulate.settings import Bools, Floats

__all__ = ["service"]

TICKETS, TICKETS_WHEN_LATE = 0.02, 0.4
COMPLAINTS_WHEN_LATE, COMPLAINTS_WHEN_SLOW = 0.3, 0.5
QUICK_MEAN_DAYS, SLOW_LEAST_DAYS, SLOW_MEAN_DAYS = 1.0, 8.0, 6.0
REVIEWS, SURVEYS = 0.04, 0.03


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
    """A share of orders is judged, least + Binomial(steps, p): worse after bad service."""
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
