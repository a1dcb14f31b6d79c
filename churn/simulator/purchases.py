"""Orders of simulated customers, and the lines in their baskets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from churn.arrays import Bools, Floats, Ints
from churn.simulator.people import CATEGORIES, People
from churn.simulator.seasons import Seasons, whole_seconds
from churn.simulator.settings import ShopSettings

LATE_SHARE_OF_WEB = 0.06
SLOW_TICKET_SHARE = 0.015
BAD_SERVICE_LOG_ODDS = 0.8
MOST_PURCHASES = 4_999  # an order's number has no room for more
INSIDE = 1 - 2.0**-30  # keeps u below 1 when a customer's position is added to it

SPEND_SHAPE = 3.0
SMALLEST_CENTS = 50
REDUCTIONS = (0.1, 0.15, 0.2, 0.3)
MEAN_FURTHER_LINES = 2.5
CENTS_A_LINE = 10
PART_SHARE = 0.5
ORDERS_A_CUSTOMER = 10_000
FIRST_RETURN = ORDERS_A_CUSTOMER // 2
PRODUCTS_A_CATEGORY = 50
PRODUCTS = len(CATEGORIES) * PRODUCTS_A_CATEGORY
FURTHER_PIECE = 0.25


@dataclass(frozen=True)
class Purchases:
    """Purchases by customer (a position in `People`) and time: calendar days since the start.

    `position` counts a customer's purchases from 0. `dropped_out` is one value per customer: the
    time of the last purchase, of the sign-up for non-buyers, NaN while alive.
    """

    customer: Ints
    position: Ints
    day: Floats
    is_web: Bools
    is_late: Bools
    is_slow: Bools
    dropped_out: Floats

    @property
    def is_bad(self) -> Bools:
        """Whether the shop served badly: late delivery, or a neglected ticket."""
        return self.is_late | self.is_slow

    def per_customer(self, values: Ints | Bools) -> Ints:
        """The sum of a value of each purchase, by customer."""
        sums = np.bincount(self.customer, values, minlength=self.dropped_out.size)
        return sums.astype(np.int64)


def dropout_after(dropout: Floats, is_bad: Bools) -> Floats:
    """The probability that a purchase is the last: bad service adds to its log-odds."""
    odds = dropout / (1 - dropout) * np.exp(BAD_SERVICE_LOG_ODDS * is_bad)
    return np.asarray(odds / (1 + odds))


def draw_purchases(
    rng: np.random.Generator, shop: ShopSettings, seasons: Seasons, people: People
) -> Purchases:
    """All purchases of some customers, in order of customer and time."""
    customer, when = _candidates(rng, seasons, people)
    is_web = rng.random(customer.size) < shop.of_segment("web_share")[people.segment][customer]
    is_late = is_web & (rng.random(customer.size) < LATE_SHARE_OF_WEB)
    is_slow = rng.random(customer.size) < SLOW_TICKET_SHARE
    chance = dropout_after(people.dropout[customer], is_late | is_slow)
    is_last = rng.random(customer.size) < chance
    position = position_in_group(customer, len(people))
    quitters, ends = np.unique(customer[is_last], return_index=True)
    last = np.full(len(people), MOST_PURCHASES)
    last[quitters] = position[is_last][ends]
    kept = position <= last[customer]
    day = seasons.calendar(when[kept])
    dropped_out = np.where(np.isinf(people.first_purchase), people.signed_up, np.nan)
    dropped_out[customer[kept & is_last]] = day[is_last[kept]]
    return Purchases(
        customer[kept], position[kept], day, is_web[kept], is_late[kept], is_slow[kept], dropped_out
    )


def _candidates(rng: np.random.Generator, seasons: Seasons, people: People) -> tuple[Ints, Floats]:
    """Customer and shop time of every purchase that would happen without dropout."""
    left = np.maximum(seasons.span - people.first_purchase, 0.0)
    repeats = np.minimum(rng.poisson(people.rate * left), MOST_PURCHASES - 1)
    count = np.where(left > 0, 1 + repeats, 0)
    customer = np.repeat(np.arange(len(people)), count)
    share = rng.random(customer.size) * INSIDE
    share[position_in_group(customer, len(people)) == 0] = 0.0
    share = np.sort(customer + share) - customer  # sorts within customers, who stay in order
    return customer, people.first_purchase[customer] + share * left[customer]


def position_in_group(group: Ints, groups: int) -> Ints:
    """0, 1, 2 … within each run of equal values of an ascending array."""
    count = np.bincount(group, minlength=groups)
    return np.arange(group.size) - (np.cumsum(count) - count)[group]


@dataclass(frozen=True)
class Orders:
    """The purchases' money: net cents = listed cents - discount cents.

    `lines` is the number of lines, `first_line_cents` the first one's part of the net amount; the
    others share the rest.
    """

    purchases: Purchases
    number: Ints
    cents: Ints
    discount_cents: Ints
    lines: Ints
    first_line_cents: Ints


@dataclass(frozen=True)
class Returns:
    """Returned orders: `order` is a position in `Orders`, `lines` the number of first lines
    returned.
    """

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
    """What is returned before the end: whole orders, or their first line."""
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


@dataclass(frozen=True)
class Lines:
    """Lines of orders and returns; the product's number also determines its category."""

    order_number: Ints
    product: Ints
    quantity: Ints
    cents: Ints

    @property
    def category(self) -> Ints:
        """The position of the product's category."""
        return self.product // PRODUCTS_A_CATEGORY


def draw_lines(rng: np.random.Generator, people: People, orders: Orders, returns: Returns) -> Lines:
    """The lines of all orders, then the returned ones, with negative signs."""
    order = np.repeat(np.arange(orders.lines.size), orders.lines)
    bought = Lines(
        order_number=orders.number[order],
        product=_products(rng, people.taste, orders.purchases.customer[order]),
        quantity=rng.geometric(1 - FURTHER_PIECE, order.size),
        cents=_split(rng, orders, order),
    )
    back = np.repeat(np.arange(returns.order.size), returns.lines)
    begins = (np.cumsum(orders.lines) - orders.lines)[returns.order]
    line = begins[back] + position_in_group(back, returns.order.size)
    return Lines(
        order_number=np.concatenate([bought.order_number, returns.number[back]]),
        product=np.concatenate([bought.product, bought.product[line]]),
        quantity=np.concatenate([bought.quantity, -bought.quantity[line]]),
        cents=np.concatenate([bought.cents, -bought.cents[line]]),
    )


def _split(rng: np.random.Generator, orders: Orders, order: Ints) -> Ints:
    """Cents of each line: the first as given by the order, the rest shared at random, at least 1.

    Rounded running totals differ by whole cents and end at the total, so nothing is lost.
    """
    position = position_in_group(order, orders.lines.size)
    weight = np.where(position > 0, rng.standard_exponential(order.size), 0.0)
    total = np.bincount(order, weight, minlength=orders.lines.size)[order]
    running = np.cumsum(weight)
    ends = np.cumsum(orders.lines) - 1
    before = np.concatenate([[0.0], running[ends]])[order]
    spare = (orders.cents - orders.first_line_cents - (orders.lines - 1))[order]
    reached = np.rint(spare * np.clip((running - before) / np.maximum(total, 1e-300), 0, 1))
    reached[ends] = spare[ends]
    reached[position == 0] = 0
    steps = np.diff(reached, prepend=0).astype(np.int64)
    return np.where(position > 0, 1 + steps, orders.first_line_cents[order])


def _products(rng: np.random.Generator, taste: Floats, customer: Ints) -> Ints:
    """A category by taste, then one of its products: the k-th is bought in proportion to 1 / k."""
    upper = np.cumsum(taste, axis=1)[:, :-1]
    category: Ints = (upper[customer] < rng.random((customer.size, 1))).sum(axis=1)
    liked = np.cumsum(1 / np.arange(1, PRODUCTS_A_CATEGORY + 1))
    rank = np.searchsorted(liked, rng.random(customer.size) * liked[-1], side="right")
    return np.asarray(category * PRODUCTS_A_CATEGORY + np.minimum(rank, PRODUCTS_A_CATEGORY - 1))
