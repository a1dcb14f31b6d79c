"""Offers sent after the end, and what they change, customer by customer.

The response to an offer is drawn for every customer, whoever is sent one. No customer's events
therefore depend on other customers' offers, and the outcome without the offer is known.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from churn.arrays import Bools, Floats, Ints
from churn.simulator.campaigns import (
    EFFECT_DAYS,
    LEAST_WAIT_DAYS,
    NOTHING,
    OFFERS,
    REDEEMED,
    buys,
    chances,
)
from churn.simulator.engagement import (
    CLICKS,
    LEAVES,
    LEAVES_WHEN_GONE,
    MINUTE,
    OPENS_WHEN_GONE,
    visits_before,
)
from churn.simulator.events import Events, loyalty, service
from churn.simulator.purchases import (
    FIRST_RETURN,
    MOST_PURCHASES,
    Purchases,
    draw_lines,
    draw_orders,
    draw_returns,
)
from churn.simulator.seasons import whole_seconds
from churn.simulator.world import World


@dataclass(frozen=True)
class Sent:
    """The offers of one campaign, sent as a day begins.

    Per customer (a position in `People`) the offer (a position in OFFERS), and whether by e-mail.
    """

    campaign_id: str
    day: float
    customer: Ints
    offer: Ints
    by_email: Bools


@dataclass(frozen=True)
class Change:
    """The changes caused by the offers of one campaign, one value per customer unless noted.

    `brought` is a world with one more purchase per customer, which the `won` made; `gone_orders`
    are the numbers of orders and returns that did not happen. `mails` are the events of the
    e-mails, `left` when a customer unsubscribed (else infinite), `redeemed` when the offer was
    redeemed (else NaN).
    """

    sent: Sent
    won: Bools
    brought: World
    gone_orders: Ints
    mails: Events
    left: Floats
    redeemed: Floats


def change(world: World, sent: Sent, *, number: int) -> Change:
    """What the offers change; `number` is the campaign's number among the events' campaigns."""
    rng = _luck(world, sent.day)
    customers = len(world.people)
    offer = np.full(customers, NOTHING)
    offer[sent.customer] = sent.offer
    to_win, to_annoy = chances(world.people, np.arange(customers), offer)
    would = buys(world.purchases, customers, sent.day)
    won = ~would & (rng.random(customers) < to_win)
    away = would & (rng.random(customers) < to_annoy)
    likes = rng.random(customers)
    brought = _brought(rng, world, sent.day)
    first = _first_day(world, brought, sent.day, won=won, away=away)
    mails = _mails(rng, world, sent, number)
    left = np.full(customers, np.inf)
    gone = mails.of_kind("unsubscribe")
    left[gone.customer] = gone.day
    return Change(
        sent=sent,
        won=won,
        brought=brought,
        gone_orders=_gone_orders(world, sent.day, away),
        mails=mails,
        left=left,
        redeemed=_redeemed(offer, likes, first),
    )


def _luck(world: World, day: float) -> np.random.Generator:
    """Random numbers for what is sent on that day, independent of what was sent before."""
    seed = world.ahead
    key = (*seed.spawn_key, int(day))
    return np.random.default_rng(np.random.SeedSequence(seed.entropy, spawn_key=key))


def _brought(rng: np.random.Generator, world: World, day: float) -> World:
    """One web purchase of every customer within the 28 days, and what belongs to it."""
    people, customers = world.people, len(world.people)
    wait = LEAST_WAIT_DAYS + (EFFECT_DAYS - 2 * LEAST_WAIT_DAYS) * rng.random(customers)
    no = np.zeros(customers, dtype=np.bool_)
    bought = Purchases(
        customer=np.arange(customers),
        position=np.full(customers, MOST_PURCHASES - (int(day) - world.shop.days)),  # never taken
        day=whole_seconds(day + wait),
        is_web=~no,
        is_late=no,
        is_slow=no,
        dropped_out=world.purchases.dropped_out,
    )
    orders = draw_orders(rng, people, bought)
    returns = draw_returns(rng, world.shop, world.seasons, people, orders)
    points = loyalty(rng, people, orders).of_kind("points_earned")
    return replace(
        world,
        orders=orders,
        returns=returns,
        lines=None if world.lines is None else draw_lines(rng, people, orders, returns),
        events=Events.together([visits_before(rng, people, bought), service(rng, orders), points]),
    )


def _mails(rng: np.random.Generator, world: World, sent: Sent, number: int) -> Events:
    """email_sent, email_open, email_click and unsubscribe, as for newsletters."""
    people, customers = world.people, len(world.people)
    gone = sent.day > world.purchases.dropped_out  # never true of NaN
    left = rng.random(customers) < np.where(gone, LEAVES_WHEN_GONE, LEAVES)
    interest = np.where(gone, OPENS_WHEN_GONE, 1.0) * people.open_rate
    opened = left | (rng.random(customers) < interest)
    clicked = opened & ~left & (rng.random(customers) < CLICKS)
    read = whole_seconds(sent.day + np.minimum(rng.exponential(0.5, customers), 20.0))
    acted = whole_seconds(read + MINUTE * (1 + rng.random(customers)))
    reached = np.zeros(customers, dtype=np.bool_)
    reached[sent.customer[sent.by_email]] = True
    kinds = (
        ("email_sent", reached, np.full(customers, sent.day)),
        ("email_open", reached & opened, read),
        ("email_click", reached & clicked, acted),
        ("unsubscribe", reached & left, acted),
    )
    return Events.together(
        Events.of(kind, who, at[who], campaign=np.full(who.size, number))
        for kind, which, at in kinds
        for who in (np.flatnonzero(which),)
    )


def _within(world: World, day: float) -> Bools:
    bought = world.purchases.day
    return np.asarray((bought >= day) & (bought < day + EFFECT_DAYS))


def _gone_orders(world: World, day: float, away: Bools) -> Ints:
    gone = world.orders.number[_within(world, day) & away[world.purchases.customer]]
    return np.concatenate([gone, gone + FIRST_RETURN])


def _redeemed(offer: Ints, likes: Floats, first: Floats) -> Floats:
    """At the first purchase within the 28 days, with the offer's probability."""
    chance = np.array([*(REDEEMED[name] for name in OFFERS), 0.0])[offer]  # the last: no offer
    return np.where((likes < chance) & np.isfinite(first), first, np.nan)


def _first_day(world: World, brought: World, day: float, *, won: Bools, away: Bools) -> Floats:
    """When each customer first buys within the 28 days; infinite if they do not."""
    first = np.full(won.size, np.inf)
    within = _within(world, day)
    np.minimum.at(first, world.purchases.customer[within], world.purchases.day[within])
    return np.where(won, brought.purchases.day, np.where(away, np.inf, first))
