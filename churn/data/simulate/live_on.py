"""A simulated shop that lives on: its tables grow by some days, offers having been sent or not.

The rows come first and the date in churn.toml last, and nothing on or after that date is read. So
whoever stops it half-way has the shop as it was, and may begin again.
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

from churn.data.simulate.ahead import WITHOUT, lived_tables
from churn.data.simulate.campaigns import OFFERS
from churn.data.simulate.frames import customer_ids, times
from churn.data.simulate.grown import Grown, end_of, move_end
from churn.data.simulate.recipe import Recipe
from churn.data.simulate.sent import Sent
from churn.data.simulate.settings import ShopSettings, Stretch
from churn.data.simulate.told import told_table
from churn.data.simulate.world import World
from churn.errors import ConfigError, DataError

__all__ = ["CONTACTS", "LivedOn", "live_on"]

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
"""Who was sent an offer, and who was kept without (offer_id null), all as the first day begins."""


@dataclass(frozen=True)
class LivedOn:
    """The days that came, the rows that they added by table, the files, and the truth about who
    was sent an offer.
    """

    since: date
    until: date
    rows: Mapping[str, int]
    files: tuple[Path, ...]
    told: pa.Table


def live_on(
    folder: Path, *, days: int, contacts: pa.Table, progress: Callable[[str], None]
) -> LivedOn:
    """The shop some days later, `contacts` (in CONTACTS) having gone out as they begin.

    ConfigError where the shop has not so many days ahead or does not know an offer, DataError for
    a customer whom it does not have.
    """
    recipe, fingerprints = Recipe.read(folder)
    since = end_of(folder)
    seen = _stretch(recipe.shop, since, days)
    _check_offers(contacts)
    sent = contacts.filter(pc.is_valid(contacts["offer_id"]))
    told: list[pa.Table] = []
    with ExitStack() as stack:
        grown = Grown(folder, since, stack)
        for world in recipe.same_worlds(fingerprints):
            progress(f"customer {world.people.number[0]:,} of {recipe.customers:,}")
            new = _sent(world, sent, seen.since)
            earlier = _earlier(world, folder, since)
            tables = lived_tables(world, [*earlier, new] if sent.num_rows else earlier, seen)
            told.append(told_table(world, new, tables))
            grown.add({name: rows for name, rows in tables.items() if name != WITHOUT})
            del world, tables  # gone before the next is drawn
        _check_known(sent.num_rows - sum(table.num_rows for table in told))
        if contacts.num_rows:
            grown.add({"contacts": _contacts_table(recipe.shop, contacts, seen.since)})
        if sent.num_rows:
            grown.add({f"truth/sent-{since}": pa.concat_tables(told)})
    until = since + timedelta(days=days)
    config = move_end(folder, until, connect=grown.files)
    return LivedOn(
        since, until, grown.rows, (config, *grown.files.values()), pa.concat_tables(told)
    )


def _stretch(shop: ShopSettings, since: date, days: int) -> Stretch:
    begins = (since - shop.start).days
    left = shop.all_days - begins
    if begins < shop.days or not 1 <= days <= left:
        rule = f"a simulated shop lives on for the days that it has ahead, {max(left, 0)} of them"
        fix = "Ask for fewer, or simulate a shop with more of them: --ahead."
        raise ConfigError(rule, got=f"{days} days from {since}", fix=fix)
    return Stretch(float(begins), float(begins + days))


def _check_offers(contacts: pa.Table) -> None:
    others = sorted(set(contacts["offer_id"].drop_null().to_pylist()) - set(OFFERS))
    if others:
        rule = f"a simulated shop knows what {', '.join(OFFERS)} do, and no other offer"
        raise ConfigError(rule, got=others, fix="Name the offers of your catalogue so.")


def _check_known(missing: int) -> None:
    if missing:
        rule = "offers must have gone to customers of this shop"
        raise DataError(rule, got=f"{missing:,} to others", fix="Pass the plan of this shop.")


def _sent(world: World, sent: pa.Table, day: float) -> Sent:
    """Those of the offers that went to customers of this world."""
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
    """What went out in earlier days that the shop lived on: it may still have an effect."""
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
