"""When customers buy, and after which purchase they never come back.

Gamma-Poisson buying with a drop-out after each purchase, the first one included: the modified
BG/NBD model. Batislam, Denizel and Filiztekin (2007), Empirical validation and comparison of
models for customer base analysis, International Journal of Research in Marketing 24(3), 201-209.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from churn.data.simulate.people import People
from churn.data.simulate.seasons import Seasons
from churn.data.simulate.settings import Bools, Floats, Ints, ShopSettings

__all__ = ["Purchases", "draw_purchases", "dropout_after", "position_in_group"]

LATE_SHARE_OF_WEB = 0.06
SLOW_TICKET_SHARE = 0.015
BAD_SERVICE_LOG_ODDS = 0.8
MOST_PURCHASES = 4_999  # an order's number leaves room for no more
INSIDE = 1 - 2.0**-30  # keeps u below 1 when a customer's position is added to it


@dataclass(frozen=True)
class Purchases:
    """Purchases by customer (a position in `People`) and time: calendar days since the start.

    `position` counts a customer's purchases from 0. `dropped_out` is a value per customer: the
    time of the last purchase, of the sign-up for who never buys, NaN while alive.
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
        """Whether the shop served badly: late goods, or a ticket left lying."""
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
    """Customer and shop time of every purchase that there would be if nobody dropped out."""
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
