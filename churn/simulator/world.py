"""Everything that happens to some customers of the shop, days ahead included; days as tables."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pyarrow as pa

from churn.arrays import Ints
from churn.simulator import frames
from churn.simulator.campaigns import campaign_tables
from churn.simulator.engagement import (
    Consents,
    consents,
    newsletter_days,
    newsletters,
    visits,
)
from churn.simulator.events import Events, loyalty, service
from churn.simulator.people import People, draw_people
from churn.simulator.purchases import (
    Lines,
    Orders,
    Purchases,
    Returns,
    draw_lines,
    draw_orders,
    draw_purchases,
    draw_returns,
)
from churn.simulator.seasons import Seasons
from churn.simulator.settings import ShopSettings, Stretch

TRUTH = "truth/customers"
STEPS = (
    *("people", "purchases", "orders", "returns", "lines"),
    *("consents", "mails", "visits", "service", "loyalty", "shuffles"),
    "campaigns",
    "ahead",  # the newest last: existing steps keep their random numbers
)

Generators = Mapping[str, np.random.Generator]


@dataclass(frozen=True)
class World:
    """Some customers and everything that happens to them without any offer after the end.

    `past` are the tables of the campaigns before the end. `rng` has random numbers for each step,
    those of "ahead" for the effects of an offer.
    """

    shop: ShopSettings
    seasons: Seasons
    people: People
    orders: Orders
    returns: Returns
    lines: Lines | None
    events: Events
    words: Consents
    past: Mapping[str, pa.Table]
    rng: Generators
    ahead: np.random.SeedSequence

    @property
    def purchases(self) -> Purchases:
        """The purchases of all days."""
        return self.orders.purchases

    @property
    def fingerprint(self) -> str:
        """Twelve characters that distinguish this world from another."""
        drawn = (self.purchases.day, self.orders.cents, self.events.day)
        return hashlib.sha256(b"".join(part.tobytes() for part in drawn)).hexdigest()[:12]


def draw_world(shop: ShopSettings, numbers: Ints, seed: np.random.SeedSequence) -> World:
    """The world of the customers with those numbers.

    Each step has its own random numbers: adding or removing one, such as the lines, changes no
    other.
    """
    children = dict(zip(STEPS, seed.spawn(len(STEPS)), strict=True))
    rng = {step: np.random.default_rng(child) for step, child in children.items()}
    seasons = Seasons(shop)
    people = draw_people(rng["people"], shop, seasons, numbers)
    bought = draw_purchases(rng["purchases"], shop, seasons, people)
    words, mails = _mailed(rng, seasons, people, bought)
    past: dict[str, pa.Table] = {}
    if shop.campaigns:
        bought, past = campaign_tables(rng["campaigns"], shop, seasons, people, bought, words)
    orders = draw_orders(rng["orders"], people, bought)
    returns = draw_returns(rng["returns"], shop, seasons, people, orders)
    return World(
        shop=shop,
        seasons=seasons,
        people=people,
        orders=orders,
        returns=returns,
        lines=draw_lines(rng["lines"], people, orders, returns) if shop.lines else None,
        events=_noted(rng, seasons, people, orders, mails),
        words=words,
        past=past,
        rng=rng,
        ahead=children["ahead"],
    )


def tables_of(world: World, seen: Stretch, rng: Generators) -> dict[str, pa.Table]:
    """The events of some days as tables, by file name; customers and the truth about them are as of
    the end of the days. `rng` shuffles the rows, those of the lines and all others.
    """
    shop, people, orders, mix = world.shop, world.people, world.orders, rng["shuffles"]
    by_then = Stretch(0.0, seen.before)
    names = newsletter_names(shop, world.seasons)
    tables = {
        "orders": frames.orders_table(mix, shop, people, orders, world.returns, seen=seen),
        "customers": frames.customers_table(mix, shop, people, orders, seen=by_then),
        "events": frames.events_table(mix, shop, people, world.events, campaigns=names, seen=seen),
        "consents": frames.consents_table(mix, shop, people, world.words, seen=seen),
        TRUTH: frames.truth_table(shop, people, world.purchases, seen=by_then),
    }
    if world.lines is not None:
        tables["order_lines"] = frames.lines_table(
            rng["lines"], world.lines, orders, world.returns, seen=seen
        )
    return tables


def newsletter_names(shop: ShopSettings, seasons: Seasons) -> list[str]:
    """The names of the newsletters, in order."""
    days = newsletter_days(seasons)
    return [f"newsletter-{shop.start + timedelta(days=int(day))}" for day in days]


def _mailed(
    rng: Generators, seasons: Seasons, people: People, bought: Purchases
) -> tuple[Consents, Events]:
    """The statements and the newsletters; customers who unsubscribe have refused."""
    words = consents(rng["consents"], seasons, people)
    mails = newsletters(rng["mails"], seasons, people, bought, words)
    left = mails.of_kind("unsubscribe")
    return words.refused_later(left.customer, left.day), mails


def _noted(
    rng: Generators, seasons: Seasons, people: People, orders: Orders, mails: Events
) -> Events:
    """The newsletters and all other events."""
    return Events.together(
        [
            mails,
            visits(rng["visits"], seasons, people, orders.purchases),
            service(rng["service"], orders),
            loyalty(rng["loyalty"], people, orders),
        ]
    )
