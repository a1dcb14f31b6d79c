"""Consent, newsletters and visits: engagement that fades after a customer has dropped out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from churn.arrays import Bools, Floats, Ints
from churn.simulator.events import Events
from churn.simulator.people import People
from churn.simulator.purchases import Purchases
from churn.simulator.seasons import Seasons, whole_seconds

GRANTS_MARKETING, REFUSES_MARKETING = 0.65, 0.2  # the others were never asked
REFUSES_PROFILING = 0.03

FIRST_NEWSLETTER_DAY, NEWSLETTER_EVERY_DAYS = 7.375, 28
OPENS_WHEN_GONE = 0.35
CLICKS = 0.2
LEAVES, LEAVES_WHEN_GONE = 0.004, 0.015

TRACKED_SHARE = 0.5
BROWSING, BROWSING_WHEN_GONE = 0.5, 0.05
ABANDONED_CARTS = 0.15
MINUTE = 1 / 1_440


@dataclass(frozen=True)
class Consents:
    """Statements of customers (positions in `People`): `is_marketing` by e-mail, else profiling."""

    customer: Ints
    day: Floats
    is_marketing: Bools
    granted: Bools

    def refused_later(self, customer: Ints, day: Floats) -> Consents:
        """The same with refusals of marketing by e-mail added."""
        return Consents(
            np.concatenate([self.customer, customer]),
            np.concatenate([self.day, day]),
            np.concatenate([self.is_marketing, np.ones(customer.size, np.bool_)]),
            np.concatenate([self.granted, np.zeros(customer.size, np.bool_)]),
        )


def consents(rng: np.random.Generator, seasons: Seasons, people: People) -> Consents:
    """Marketing by e-mail is granted, refused or unanswered at sign-up; profiling may be refused at
    any time later.
    """
    answer = rng.random(len(people))
    answered = np.flatnonzero(answer < GRANTS_MARKETING + REFUSES_MARKETING)
    objectors = np.flatnonzero(rng.random(len(people)) < REFUSES_PROFILING)
    left = seasons.days - people.signed_up[objectors]
    objected = whole_seconds(people.signed_up[objectors] + rng.random(objectors.size) * left)
    is_marketing = np.repeat([True, False], [answered.size, objectors.size])
    return Consents(
        customer=np.concatenate([answered, objectors]),
        day=np.concatenate([people.signed_up[answered], objected]),
        is_marketing=is_marketing,
        granted=is_marketing & np.concatenate([answer[answered] < GRANTS_MARKETING, objectors < 0]),
    )


def newsletter_days(seasons: Seasons) -> Floats:
    """When the newsletters are sent."""
    return np.arange(FIRST_NEWSLETTER_DAY, seasons.days, NEWSLETTER_EVERY_DAYS)


def newsletters(
    rng: np.random.Generator,
    seasons: Seasons,
    people: People,
    purchases: Purchases,
    words: Consents,
) -> Events:
    """email_sent, email_open, email_click and unsubscribe, after which nothing more is sent."""
    begins = np.full(len(people), np.inf)
    granted = words.is_marketing & words.granted
    begins[words.customer[granted]] = words.day[granted]
    sent_at = newsletter_days(seasons)
    sent = sent_at > begins[:, None]
    gone = sent_at > purchases.dropped_out[:, None]  # never true of NaN
    leaves = sent & (rng.random(sent.shape) < np.where(gone, LEAVES_WHEN_GONE, LEAVES))
    sent &= np.cumsum(leaves, axis=1) - leaves == 0
    customer, issue = np.nonzero(sent)
    interest = np.where(gone, OPENS_WHEN_GONE, 1.0)[sent] * people.open_rate[customer]
    left = leaves[sent]
    opened = left | (rng.random(customer.size) < interest)
    clicked = opened & ~left & (rng.random(customer.size) < CLICKS)
    day = sent_at[issue]
    read = whole_seconds(day + np.minimum(rng.exponential(0.5, customer.size), 20.0))
    acted = whole_seconds(read + MINUTE * (1 + rng.random(customer.size)))
    kinds = (
        ("email_sent", np.ones_like(opened), day),
        ("email_open", opened, read),
        ("email_click", clicked, acted),
        ("unsubscribe", left, acted),
    )
    return Events.together(
        Events.of(kind, customer[which], at[which], campaign=issue[which])
        for kind, which, at in kinds
    )


def visits(
    rng: np.random.Generator, seasons: Seasons, people: People, purchases: Purchases
) -> Events:
    """Visits and carts: before half of the web orders, and from browsing without buying."""
    before = visits_before(rng, people, purchases)
    idler, idled = _browsing(rng, seasons, people, purchases)
    unsure = rng.random(idler.size) < ABANDONED_CARTS
    left_at = idled[unsure] + MINUTE * rng.integers(1, 20, int(unsure.sum()))
    return Events.together(
        [
            before,
            Events.of("visit", idler, idled),
            Events.of("cart", idler[unsure], whole_seconds(left_at)),
        ]
    )


def visits_before(rng: np.random.Generator, people: People, purchases: Purchases) -> Events:
    """The visit and the cart before half of the web orders."""
    seen = purchases.is_web & (rng.random(purchases.day.size) < TRACKED_SHARE)
    buyer, bought = purchases.customer[seen], purchases.day[seen]
    earliest = people.signed_up[buyer]
    came = np.maximum(bought - MINUTE * rng.integers(6, 40, buyer.size), earliest)
    filled = np.maximum(bought - MINUTE * rng.integers(1, 6, buyer.size), earliest)
    return Events.together(
        [
            Events.of("visit", buyer, whole_seconds(came)),
            Events.of("cart", buyer, whole_seconds(filled)),
        ]
    )


def _browsing(
    rng: np.random.Generator, seasons: Seasons, people: People, purchases: Purchases
) -> tuple[Ints, Floats]:
    """Customer and calendar day of visits, at a share of the purchase rate, fewer after dropout."""
    end = np.full(len(people), seasons.span)
    came = seasons.shop_time(people.signed_up)
    gone = np.fmin(seasons.shop_time(purchases.dropped_out), end)  # NaN: at the end
    stretches = ((came, gone, BROWSING), (gone, end, BROWSING_WHEN_GONE))
    who, when = [], []
    for begin, stop, share in stretches:
        long = np.maximum(stop - begin, 0.0)
        customer = np.repeat(np.arange(len(people)), rng.poisson(share * people.rate * long))
        who.append(customer)
        when.append(begin[customer] + rng.random(customer.size) * long[customer])
    return np.concatenate(who), seasons.calendar(np.concatenate(when))
