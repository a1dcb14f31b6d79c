"""The shop on disk: made chunk by chunk, so that memory stays small whatever its size."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from churn.data.simulate import frames
from churn.data.simulate.engagement import (
    Consents,
    consents,
    newsletter_days,
    newsletters,
    visits,
)
from churn.data.simulate.events import Events
from churn.data.simulate.lines import draw_lines
from churn.data.simulate.loyalty import loyalty
from churn.data.simulate.orders import Orders, draw_orders, draw_returns
from churn.data.simulate.past_campaigns import campaign_tables
from churn.data.simulate.people import People, draw_people
from churn.data.simulate.purchases import Purchases, draw_purchases
from churn.data.simulate.seasons import Seasons
from churn.data.simulate.service import service
from churn.data.simulate.settings import Ints, ShopSettings
from churn.errors import ConfigError
from churn.files.publish import publish_directory

__all__ = ["WrittenShop", "simulated_tables", "write_shop"]

CHUNK_CUSTOMERS = 20_000
LEAST_CHUNKS = 4
MOST_CUSTOMERS = 100_000_000
TRUTH = "truth/customers"
STEPS = (
    *("people", "purchases", "orders", "returns", "lines"),
    *("consents", "mails", "visits", "service", "loyalty", "shuffles"),
    "campaigns",  # the newest last: steps that were there keep their random numbers
)


@dataclass(frozen=True)
class WrittenShop:
    """The files of a simulated shop, churn.toml first, and the rows of each table."""

    files: tuple[Path, ...]
    rows: Mapping[str, int]


def write_shop(
    target: Path,
    shop: ShopSettings,
    *,
    customers: int,
    seed: int,
    progress: Callable[[str], None],
) -> WrittenShop:
    """A new directory with the shop's tables, its truth in a folder of its own, and churn.toml.

    The same arguments give the same bytes. ConfigError for impossible numbers, StorageError where
    the directory is there already.
    """
    _check("customers", customers, 1, MOST_CUSTOMERS, like=10_000)
    _check("seed", seed, 0, 2**63 - 1, like=7)
    chunks = _chunks(customers)
    seeds = np.random.SeedSequence(seed).spawn(len(chunks))
    rows: dict[str, int] = {}
    with publish_directory(target) as folder, ExitStack() as open_files:
        writers: dict[str, pq.ParquetWriter] = {}
        for numbers, chunk_seed in zip(chunks, seeds, strict=True):
            progress(f"customer {numbers[0]:,} of {customers:,}")
            for name, table in simulated_tables(shop, numbers, chunk_seed).items():
                if name not in writers:
                    writers[name] = open_files.enter_context(_writer(folder, name, table))
                writers[name].write_table(table)
                rows[name] = rows.get(name, 0) + table.num_rows
        (folder / "churn.toml").write_text(_config(shop, rows), encoding="utf-8")
    names = ["churn.toml", *(f"{name}.parquet" for name in rows)]
    return WrittenShop(tuple(target / name for name in names), rows)


def simulated_tables(
    shop: ShopSettings, numbers: Ints, seed: np.random.SeedSequence
) -> dict[str, pa.Table]:
    """All tables of some customers, by their file's name.

    Each step has random numbers of its own: one more or less, such as the lines, moves no other.
    """
    children = seed.spawn(len(STEPS))
    rng = {step: np.random.default_rng(s) for step, s in zip(STEPS, children, strict=True)}
    seasons = Seasons(shop)
    people = draw_people(rng["people"], shop, seasons, numbers)
    bought = draw_purchases(rng["purchases"], shop, seasons, people)
    words, mails = _mailed(rng, seasons, people, bought)
    past: dict[str, pa.Table] = {}
    if shop.campaigns:
        bought, past = campaign_tables(rng["campaigns"], shop, seasons, people, bought, words)
    orders = draw_orders(rng["orders"], people, bought)
    returns = draw_returns(rng["returns"], shop, seasons, people, orders)
    events = _noted(rng, seasons, people, orders, mails)
    mix = rng["shuffles"]
    tables = {
        "orders": frames.orders_table(mix, shop, people, orders, returns),
        "customers": frames.customers_table(mix, shop, people, orders),
        "events": frames.events_table(
            mix, shop, seasons, people, events, campaigns=_campaigns(shop, seasons)
        ),
        "consents": frames.consents_table(mix, shop, seasons, people, words),
        TRUTH: frames.truth_table(shop, people, bought),
    }
    if shop.lines:
        lines = draw_lines(rng["lines"], people, orders, returns)
        tables["order_lines"] = frames.lines_table(rng["lines"], lines)
    return tables | past


def _mailed(
    rng: dict[str, np.random.Generator], seasons: Seasons, people: People, bought: Purchases
) -> tuple[Consents, Events]:
    """The words and the newsletters; who unsubscribes has refused."""
    words = consents(rng["consents"], seasons, people)
    mails = newsletters(rng["mails"], seasons, people, bought, words)
    left = mails.of_kind("unsubscribe")
    return words.refused_later(left.customer, left.day), mails


def _noted(
    rng: dict[str, np.random.Generator],
    seasons: Seasons,
    people: People,
    orders: Orders,
    mails: Events,
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


def _chunks(customers: int) -> list[Ints]:
    """The customers' numbers in runs: four at least where there are so many, so that every table
    has several row groups.
    """
    count = max(-(-customers // CHUNK_CUSTOMERS), min(LEAST_CHUNKS, customers))
    return np.array_split(np.arange(1, customers + 1), count)


def _campaigns(shop: ShopSettings, seasons: Seasons) -> list[str]:
    days = newsletter_days(seasons)
    return [f"newsletter-{shop.start + timedelta(days=int(day))}" for day in days]


def _writer(folder: Path, name: str, table: pa.Table) -> pq.ParquetWriter:
    path = folder / f"{name}.parquet"
    path.parent.mkdir(exist_ok=True)
    return pq.ParquetWriter(path, table.schema, compression="zstd")


def _config(shop: ShopSettings, rows: Mapping[str, int]) -> str:
    """The settings that read the tables."""
    sources = [
        f'[data.{name}]\nsource = "{name}.parquet"\n'
        for name in rows
        if not name.startswith("truth/")
    ]
    head = f"""\
# A made-up shop, for mechanics and speed; what a model earns here says nothing of real customers.
# The truth about its customers is in {TRUTH}.parquet: not for training.

[data]
currency = "{frames.CURRENCY}"
until = {shop.until}
"""
    return "\n".join([head, *sources])


def _check(name: str, value: int, least: int, most: int, *, like: int) -> None:
    if not least <= value <= most:
        rule = f"{name} must be a whole number between {least:,} and {most:,}"
        raise ConfigError(rule, got=value, fix=f"Pass e.g. {like}.")
