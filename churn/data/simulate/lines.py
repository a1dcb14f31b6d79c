"""What was in the baskets: products by the customer's taste, cents that sum to the order's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from churn.data.simulate.orders import Orders, Returns
from churn.data.simulate.people import CATEGORIES, People
from churn.data.simulate.purchases import position_in_group
from churn.data.simulate.settings import Floats, Ints

__all__ = ["PRODUCTS", "Lines", "draw_lines"]

PRODUCTS_A_CATEGORY = 50
PRODUCTS = len(CATEGORIES) * PRODUCTS_A_CATEGORY
FURTHER_PIECE = 0.25


@dataclass(frozen=True)
class Lines:
    """Lines of orders and returns; the product's number also tells its category."""

    order_number: Ints
    product: Ints
    quantity: Ints
    cents: Ints

    @property
    def category(self) -> Ints:
        """The position of the product's category."""
        return self.product // PRODUCTS_A_CATEGORY


def draw_lines(rng: np.random.Generator, people: People, orders: Orders, returns: Returns) -> Lines:
    """The lines of all orders, then those that came back, with their signs turned."""
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
    """Cents of each line: the first as the order says, the rest shared at random, 1 at least.

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
