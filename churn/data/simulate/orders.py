"""What each purchase cost, what it was reduced by, and what of it came back; all in cents.

A customer's orders are Gamma around their own mean. Fader, Hardie and Lee (2005), RFM and CLV:
using iso-value curves for customer base analysis, Journal of Marketing Research 42(4), 415-430.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from churn.data.simulate.people import People
from churn.data.simulate.purchases import Purchases
from churn.data.simulate.seasons import Seasons, whole_seconds
from churn.data.simulate.settings import Bools, Floats, Ints, ShopSettings

__all__ = ["Orders", "Returns", "draw_orders", "draw_returns"]

SPEND_SHAPE = 3.0
SMALLEST_CENTS = 50
REDUCTIONS = (0.1, 0.15, 0.2, 0.3)
MEAN_FURTHER_LINES = 2.5
CENTS_A_LINE = 10
PART_SHARE = 0.5
ORDERS_A_CUSTOMER = 10_000
FIRST_RETURN = ORDERS_A_CUSTOMER // 2


@dataclass(frozen=True)
class Orders:
    """The purchases' money: net cents = listed cents - discount cents.

    `lines` says how many lines there are, `first_line_cents` what the first of them makes of the
    net amount; the others share the rest.
    """

    purchases: Purchases
    number: Ints
    cents: Ints
    discount_cents: Ints
    lines: Ints
    first_line_cents: Ints


@dataclass(frozen=True)
class Returns:
    """Orders that came back: `order` is a position in `Orders`, `lines` the first lines of it."""

    order: Ints
    number: Ints
    day: Floats
    cents: Ints
    lines: Ints


def draw_orders(rng: np.random.Generator, people: People, purchases: Purchases) -> Orders:
    """The money of purchases."""
    customer = purchases.customer
    scale = 100 * people.mean_order[customer] / SPEND_SHAPE
    listed = np.maximum(np.rint(rng.gamma(SPEND_SHAPE, scale)), SMALLEST_CENTS).astype(np.int64)
    is_reduced = rng.random(customer.size) < people.bargain_share[customer]
    reduction = rng.choice(REDUCTIONS, size=customer.size) * is_reduced
    discount = np.rint(listed * reduction).astype(np.int64)
    cents = listed - discount
    lines = 1 + np.minimum(
        rng.poisson(MEAN_FURTHER_LINES, customer.size), cents // CENTS_A_LINE - 1
    )
    return Orders(
        purchases=purchases,
        number=people.number[customer] * ORDERS_A_CUSTOMER + purchases.position,
        cents=cents,
        discount_cents=discount,
        lines=lines,
        first_line_cents=_first_line(rng, cents, lines),
    )


def _first_line(rng: np.random.Generator, cents: Ints, lines: Ints) -> Ints:
    """One of `lines` shares that are uniform on the simplex, so Beta(1, lines - 1); >= 1 cent."""
    share = 1 - rng.random(cents.size) ** (1 / np.maximum(lines - 1, 1))
    return np.where(lines > 1, 1 + np.floor(share * (cents - lines)).astype(np.int64), cents)


def draw_returns(
    rng: np.random.Generator, shop: ShopSettings, seasons: Seasons, people: People, orders: Orders
) -> Returns:
    """What comes back before the end: whole orders, or their first line."""
    bought = orders.purchases
    likely = shop.of_segment("return_share")[people.segment][bought.customer]
    order = np.flatnonzero(rng.random(likely.size) < likely)
    day = whole_seconds(bought.day[order] + 3 + rng.gamma(2.0, 5.0, order.size))
    is_part = rng.random(order.size) < PART_SHARE
    kept: Bools = day < seasons.days
    order, day, is_part = order[kept], day[kept], is_part[kept]
    return Returns(
        order=order,
        number=orders.number[order] + FIRST_RETURN,
        day=day,
        cents=np.where(is_part, orders.first_line_cents[order], orders.cents[order]),
        lines=np.where(is_part, 1, orders.lines[order]),
    )
