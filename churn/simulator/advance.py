"""Advances a simulated shop by some days, with or without the offers of a plan.

Rows are written first and the date in churn.toml last, and nothing on or after that date is read. A
run that is interrupted therefore leaves the shop unchanged, and can be repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from churn.data.history.rows import NO_OFFER
from churn.errors import ConfigError, DataError
from churn.simulator.ahead import WITHOUT, tables_ahead
from churn.simulator.campaigns import OFFERS
from churn.simulator.files import Grown, end_of, move_end
from churn.simulator.frames import customer_ids, named, times
from churn.simulator.recipe import Recipe
from churn.simulator.sent import Sent
from churn.simulator.settings import ShopSettings, Stretch
from churn.simulator.world import World

CONTACTS = pa.schema(
    [
        ("customer_id", pa.string()),
        ("campaign_id", pa.string()),
        ("offer_id", pa.string()),
        ("arm", pa.string()),
        ("propensity", pa.float64()),
        ("lot", pa.string()),
        ("channel", pa.string()),
    ]
)
"""Who was sent an offer, and who drew none (offer_id "none"), all as the first day begins."""


def effects_table(world: World, sent: Sent, tables: Mapping[str, pa.Table]) -> pa.Table:
    """One row per customer who was sent an offer: purchases and net spend in these days as
    observed, and as they would have been without any offer (`…_without`). `tables` are those of the
    days.
    """
    ids = customer_ids(world.people).take(pa.array(sent.customer))
    orders, spend = _counted(tables["orders"], ids)
    orders_without, spend_without = _counted(tables[WITHOUT], ids)
    zeros = np.zeros_like(sent.customer)
    return pa.table(
        {
            "customer_id": ids,
            "campaign_id": named((sent.campaign_id,), zeros),
            "offer_id": named(OFFERS, sent.offer),
            "channel": named(("email", "other"), (~sent.by_email).astype(np.int64)),
            "sent_at": times(world.shop, np.full(zeros.size, sent.day)),
            "bought_without": pc.greater(orders_without, 0),
            "bought": pc.greater(orders, 0),
            "orders_without": orders_without,
            "orders": orders,
            "net_spend_without": spend_without,
            "net_spend": spend,
        }
    )


def _counted(orders: pa.Table, customers: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Purchases and net spend of each customer."""
    cents = pc.cast(pc.round(pc.multiply(orders["amount"], 100)), pa.int64())
    bought = pc.cast(pc.greater(cents, 0), pa.int64())
    rows = pa.table({"customer_id": orders["customer_id"], "cents": cents, "bought": bought})
    sums = rows.group_by("customer_id").aggregate([("bought", "sum"), ("cents", "sum")])
    place = pc.index_in(customers, sums["customer_id"].combine_chunks())
    count, total = (
        pc.fill_null(sums[name].combine_chunks().take(place), 0)
        for name in ("bought_sum", "cents_sum")
    )
    return count, pc.divide(pc.cast(total, pa.float64()), 100.0)


@dataclass(frozen=True)
class AdvancedShop:
    """The days advanced, the rows added by table, the files, and the truth about the customers who
    were sent an offer.
    """

    since: date
    until: date
    rows: Mapping[str, int]
    files: tuple[Path, ...]
    effects: pa.Table


def advance_shop(
    folder: Path, *, days: int, contacts: pa.Table, progress: Callable[[str], None]
) -> AdvancedShop:
    """The shop some days later, after `contacts` (in CONTACTS) were sent as the days begin.

    ConfigError if the shop has too few days ahead or does not know an offer, DataError for a
    customer that it does not have.
    """
    recipe, fingerprints = Recipe.read(folder)
    since = end_of(folder)
    seen = _stretch(recipe.shop, since, days)
    _check_offers(contacts)
    sent = contacts.filter(pc.not_equal(contacts["offer_id"], NO_OFFER))
    effects: list[pa.Table] = []
    with ExitStack() as stack:
        grown = Grown(folder, since, stack)
        for world in recipe.same_worlds(fingerprints):
            progress(f"customer {world.people.number[0]:,} of {recipe.customers:,}")
            new = _sent(world, sent, seen.since)
            earlier = _earlier(world, folder, since)
            tables = tables_ahead(world, [*earlier, new] if sent.num_rows else earlier, seen)
            effects.append(effects_table(world, new, tables))
            grown.add({name: rows for name, rows in tables.items() if name != WITHOUT})
            del world, tables  # released before the next is drawn
        _check_known(sent.num_rows - sum(table.num_rows for table in effects))
        if contacts.num_rows:
            grown.add({"contacts": _contacts_table(recipe.shop, contacts, seen.since)})
        if sent.num_rows:
            grown.add({f"truth/sent-{since}": pa.concat_tables(effects)})
    until = since + timedelta(days=days)
    config = move_end(folder, until, connect=grown.files)
    return AdvancedShop(
        since, until, grown.rows, (config, *grown.files.values()), pa.concat_tables(effects)
    )


def _stretch(shop: ShopSettings, since: date, days: int) -> Stretch:
    begins = (since - shop.start).days
    left = shop.all_days - begins
    if begins < shop.days or not 1 <= days <= left:
        rule = f"days must be between 1 and the {max(left, 0)} that the shop has ahead"
        fix = "Pass fewer, or simulate a shop with more days: --ahead."
        raise ConfigError(rule, got=f"{days} days from {since}", fix=fix)
    return Stretch(float(begins), float(begins + days))


def _check_offers(contacts: pa.Table) -> None:
    others = sorted(set(contacts["offer_id"].drop_null().to_pylist()) - {*OFFERS, NO_OFFER})
    if others:
        rule = f"a simulated shop knows only the effects of {', '.join(OFFERS)}"
        raise ConfigError(rule, got=others, fix="Use these names for the offers of your catalogue.")


def _check_known(missing: int) -> None:
    if missing:
        rule = "offers must have gone to customers of this shop"
        raise DataError(rule, got=f"{missing:,} to others", fix="Pass the plan of this shop.")


def _sent(world: World, sent: pa.Table, day: float) -> Sent:
    """The offers that went to customers of this world."""
    place = pc.index_in(sent["customer_id"], customer_ids(world.people))
    ours = pc.is_valid(place)
    rows = sent.filter(ours)
    campaigns = rows["campaign_id"].unique().to_pylist()
    return Sent(
        campaign_id=campaigns[0] if campaigns else "",
        day=day,
        customer=place.filter(ours).to_numpy().astype(np.int64),
        offer=pc.index_in(rows["offer_id"], pa.array(OFFERS)).to_numpy().astype(np.int64),
        by_email=pc.equal(rows["channel"], "email").to_numpy(),
    )


def _earlier(world: World, folder: Path, since: date) -> list[Sent]:
    """Offers sent in days advanced earlier, which may still have an effect."""
    days = {
        date.fromisoformat(path.stem.removeprefix("sent-")): path
        for path in sorted(folder.glob("truth/sent-*.parquet"))
    }
    return [
        _sent(world, pq.read_table(path), float((day - world.shop.start).days))
        for day, path in days.items()
        if day < since
    ]


def _contacts_table(shop: ShopSettings, contacts: pa.Table, day: float) -> pa.Table:
    at = times(shop, np.full(contacts.num_rows, day))
    return contacts.drop_columns(["channel"]).add_column(1, "contacted_at", at)
