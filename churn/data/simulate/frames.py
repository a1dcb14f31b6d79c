"""The simulated arrays as Arrow tables in the columns of the contracts, rows shuffled."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, time

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from churn.data.days import day_number
from churn.data.simulate.engagement import Consents
from churn.data.simulate.events import CHANNELS, EVENT_TYPES, Events
from churn.data.simulate.lines import PRODUCTS, Lines
from churn.data.simulate.loyalty import TIERS, tier
from churn.data.simulate.orders import Orders, Returns
from churn.data.simulate.people import CATEGORIES, REGIONS, SOURCES, People
from churn.data.simulate.purchases import Purchases
from churn.data.simulate.seasons import Seasons, whole_seconds
from churn.data.simulate.settings import Bools, Floats, Ints, ShopSettings

__all__ = [
    "CURRENCY",
    "consents_table",
    "customer_ids",
    "customers_table",
    "events_table",
    "lines_table",
    "named",
    "orders_table",
    "shuffled",
    "times",
    "truth_table",
]

CURRENCY = "EUR"
STORES_A_REGION = 5
MINUTES_TO_ARRIVE = 10
MEAN_DAYS_LATE = 3.0
SECONDS_A_DAY = 86_400


def orders_table(
    rng: np.random.Generator, shop: ShopSettings, people: People, orders: Orders, returns: Returns
) -> pa.Table:
    """Purchases and, as orders of their own with a negative amount, returns."""
    bought = orders.purchases
    source = np.concatenate([np.arange(orders.cents.size), returns.order])
    customer = bought.customer[source]
    day = np.concatenate([bought.day, returns.day])
    cents = np.concatenate([orders.cents, -returns.cents])
    reduced = np.concatenate([orders.discount_cents, np.zeros_like(returns.order)])
    columns = {
        "customer_id": customer_ids(people).take(pa.array(customer)),
        "order_id": as_text(np.concatenate([orders.number, returns.number])),
        "ordered_at": times(shop, day),
        "amount": pa.array(cents / 100),
        "discount": pa.array(reduced / 100),
        "currency": named((CURRENCY,), np.zeros_like(customer)),
        "channel": named(("store", "web"), bought.is_web[source].astype(np.int64)),
        "store": _stores(people, customer, at_store=~bought.is_web[source]),
    }
    if shop.late_share > 0:
        columns["loaded_at"] = times(shop, _arrivals(rng, shop, day))
    return shuffled(rng, columns)


def _arrivals(rng: np.random.Generator, shop: ShopSettings, day: Floats) -> Floats:
    """Some minutes after the order, or days after it for those that are late."""
    late = rng.exponential(MEAN_DAYS_LATE, day.size) * (rng.random(day.size) < shop.late_share)
    minutes = rng.integers(1, MINUTES_TO_ARRIVE + 1, day.size)
    return whole_seconds(day + late) + minutes / 1_440


def _stores(people: People, customer: Ints, *, at_store: Bools) -> pa.Array:
    """The store next to the customer; null for web orders."""
    number = people.region * STORES_A_REGION + people.number % STORES_A_REGION
    names = [f"s{place:02d}" for place in range(len(REGIONS) * STORES_A_REGION)]
    return named(names, np.where(at_store, number[customer], -1))


def lines_table(rng: np.random.Generator, lines: Lines) -> pa.Table:
    """Order lines."""
    columns = {
        "order_id": as_text(lines.order_number),
        "product_id": named([f"p{number:04d}" for number in range(PRODUCTS)], lines.product),
        "category": named(CATEGORIES, lines.category),
        "quantity": pa.array(lines.quantity),
        "amount": pa.array(lines.cents / 100),
    }
    return shuffled(rng, columns)


def customers_table(
    rng: np.random.Generator, shop: ShopSettings, people: People, orders: Orders
) -> pa.Table:
    """What the shop knows of each customer; e-mail addresses end in a domain kept for examples."""
    ids = customer_ids(people)
    born = (day_number(shop.start) - people.birth_age_days).astype("datetime64[D]")
    columns = {
        "customer_id": ids,
        "signed_up_at": times(shop, people.signed_up),
        "birth_date": pa.array(born, pa.date32()),
        "region": named(REGIONS, people.region),
        "acquisition_source": named(SOURCES, people.source),
        "loyalty_tier": named(TIERS, tier(people, orders)),
        "email": pc.binary_join_element_wise(ids, "example.com", "@"),
    }
    return shuffled(rng, columns)


def events_table(
    rng: np.random.Generator,
    shop: ShopSettings,
    seasons: Seasons,
    people: People,
    events: Events,
    *,
    campaigns: Sequence[str],
) -> pa.Table:
    """The events before the end."""
    seen = events.only(events.day < seasons.days)
    columns = {
        "customer_id": customer_ids(people).take(pa.array(seen.customer)),
        "occurred_at": times(shop, seen.day),
        "event_type": named(EVENT_TYPES, seen.kind),
        "value": pa.array(seen.value, from_pandas=True),
        "ref": as_text(seen.ref, missing=seen.ref < 0),
        "channel": named(CHANNELS, seen.channel),
        "campaign_id": named(campaigns, seen.campaign),
    }
    return shuffled(rng, columns)


def consents_table(
    rng: np.random.Generator, shop: ShopSettings, seasons: Seasons, people: People, words: Consents
) -> pa.Table:
    """The words before the end."""
    seen = np.flatnonzero(words.day < seasons.days)
    columns = {
        "customer_id": customer_ids(people).take(pa.array(words.customer[seen])),
        "channel": named(("email",), np.zeros_like(seen)),
        "purpose": named(("profiling", "marketing"), words.is_marketing[seen].astype(np.int64)),
        "granted": pa.array(words.granted[seen]),
        "changed_at": times(shop, words.day[seen]),
    }
    return shuffled(rng, columns)


def truth_table(shop: ShopSettings, people: People, purchases: Purchases) -> pa.Table:
    """What the shop cannot see, and what came of it: a row per customer, in order."""
    names = [segment.name for segment in shop.segments]
    gone = purchases.dropped_out
    return pa.table(
        {
            "customer_id": customer_ids(people),
            "segment": named(names, people.segment),
            "purchase_rate_per_day": pa.array(people.rate),
            "dropout_probability": pa.array(people.dropout),
            "mean_order": pa.array(people.mean_order),
            "bargain_share": pa.array(people.bargain_share),
            "open_rate": pa.array(people.open_rate),
            "favourite_category": named(CATEGORIES, people.taste.argmax(axis=1)),
            "dropped_out_at": times(shop, np.nan_to_num(gone), missing=np.isnan(gone)),
            "purchases": pa.array(purchases.per_customer(np.ones_like(purchases.customer))),
            "badly_served": pa.array(purchases.per_customer(purchases.is_bad)),
        }
    )


def customer_ids(people: People) -> pa.Array:
    """`c` and the customer's number, from 1, in seven digits or more."""
    digits = pc.utf8_lpad(as_text(people.number), 7, "0")
    return pc.binary_join_element_wise("c", digits, "")


def as_text(numbers: Ints, *, missing: Bools | None = None) -> pa.Array:
    return pc.cast(pa.array(numbers, mask=missing), pa.string())


def named(names: Sequence[str], position: Ints) -> pa.Array:
    """The names at those positions; null at -1."""
    where = pa.array(position, mask=position < 0)
    return pa.array(list(names), pa.string()).take(where)


def times(shop: ShopSettings, day: Floats, *, missing: Bools | None = None) -> pa.Array:
    """Calendar days since the start as moments, in whole seconds; null where missing."""
    start = int(datetime.combine(shop.start, time(), UTC).timestamp())
    seconds = start + np.rint(day * SECONDS_A_DAY).astype(np.int64)
    return pa.array(seconds * 1_000_000, mask=missing).cast(pa.timestamp("us", "UTC"))


def shuffled(rng: np.random.Generator, columns: dict[str, pa.Array]) -> pa.Table:
    """The columns as a table, its rows in random order."""
    table = pa.table(columns)
    return table.take(pa.array(rng.permutation(table.num_rows)))
