"""The days after the end as tables: the drawn events, changed by the offers that were sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from churn.simulator import frames
from churn.simulator.campaigns import NOTHING, OFFERS
from churn.simulator.engagement import Consents, newsletter_days
from churn.simulator.sent import Change, Sent, change
from churn.simulator.settings import Stretch
from churn.simulator.world import Generators, World, newsletter_names, tables_of

WITHOUT = "without"
"""The orders without any offer: not one of the shop's tables."""

Tables = dict[str, pa.Table]


def tables_ahead(world: World, campaigns: Sequence[Sent], seen: Stretch) -> Tables:
    """The tables of some days, by file name, and the orders `WITHOUT` the offers.

    Customers and the truth about them are as of the end of these days; that truth ignores offers.
    """
    rng = _mix(world, seen)
    names = newsletter_names(world.shop, world.seasons)
    names += [sent.campaign_id for sent in campaigns]
    first = len(names) - len(campaigns)
    changes = [change(world, sent, number=first + k) for k, sent in enumerate(campaigns)]
    tables = tables_of(_unless_left(world, changes), seen, rng)
    tables[WITHOUT] = tables["orders"]
    for one in changes:
        tables |= _without_gone(tables, one)
        tables = _joined(tables, _brought(one, seen, rng))
        tables = _joined(tables, _answers(world, one, seen, rng, names=names))
    return tables


def _mix(world: World, seen: Stretch) -> Generators:
    """Random numbers for the order of rows, separate for every period."""
    key = (*world.ahead.spawn_key, int(seen.since), int(seen.before))
    seeds = np.random.SeedSequence(world.ahead.entropy, spawn_key=key).spawn(2)
    return dict(zip(("shuffles", "lines"), map(np.random.default_rng, seeds), strict=True))


def _unless_left(world: World, changes: Sequence[Change]) -> World:
    """The world without newsletters to customers who had unsubscribed via an offer's e-mail."""
    left = np.full(len(world.people), np.inf)
    for one in changes:
        left = np.minimum(left, one.left)
    events = world.events
    issued = np.append(newsletter_days(world.seasons), -np.inf)[events.campaign]  # -1: no mail
    return replace(world, events=events.only(issued <= left[events.customer]))


def _without_gone(tables: Tables, one: Change) -> Tables:
    """The tables without the orders that did not happen, and everything that belongs to them."""
    gone = frames.as_text(one.gone_orders)
    of_order = {"orders": "order_id", "order_lines": "order_id", "events": "ref"}
    return {
        name: tables[name].filter(pc.invert(pc.is_in(tables[name][column], gone)))
        for name, column in of_order.items()
        if name in tables
    }


def _brought(one: Change, seen: Stretch, rng: Generators) -> Tables:
    """The orders of customers who were won, and everything that belongs to them."""
    found = tables_of(one.brought, seen, rng)
    won = frames.customer_ids(one.brought.people).filter(pa.array(one.won))
    more = {
        name: found[name].filter(pc.is_in(found[name]["customer_id"], won))
        for name in ("orders", "events")
    }
    if "order_lines" in found:
        theirs = pc.is_in(found["order_lines"]["order_id"], more["orders"]["order_id"])
        more["order_lines"] = found["order_lines"].filter(theirs)
    return more


def _answers(
    world: World, one: Change, seen: Stretch, rng: Generators, *, names: Sequence[str]
) -> Tables:
    """The customers' responses to the e-mails and the offers."""
    shop, people, mix = world.shop, world.people, rng["shuffles"]
    gone = np.flatnonzero(np.isfinite(one.left))
    yes = np.ones(gone.size, dtype=np.bool_)
    words = Consents(gone, one.left[gone], is_marketing=yes, granted=~yes)
    return {
        "events": frames.events_table(mix, shop, people, one.mails, campaigns=names, seen=seen),
        "consents": frames.consents_table(mix, shop, people, words, seen=seen),
        "redemptions": _redemptions(world, one, seen, mix),
    }


def _redemptions(world: World, one: Change, seen: Stretch, mix: np.random.Generator) -> pa.Table:
    offer = np.full(len(world.people), NOTHING)
    offer[one.sent.customer] = one.sent.offer
    who = np.flatnonzero(seen.holds(one.redeemed))  # never true of NaN
    columns = {
        "customer_id": frames.customer_ids(world.people).take(pa.array(who)),
        "redeemed_at": frames.times(world.shop, one.redeemed[who]),
        "campaign_id": frames.named((one.sent.campaign_id,), np.zeros_like(who)),
        "offer_id": frames.named(OFFERS, offer[who]),
    }
    return frames.shuffled(mix, columns)


def _joined(tables: Tables, more: Tables) -> Tables:
    return tables | {
        name: pa.concat_tables([tables[name], rows]) if name in tables else rows
        for name, rows in more.items()
    }
