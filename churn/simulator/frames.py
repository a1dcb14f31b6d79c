"""The simulated arrays as Arrow tables in the columns of the contracts, rows shuffled."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, time

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from churn.arrays import Bools, Floats, Ints
from churn.data.days import day_number
from churn.simulator.engagement import Consents
from churn.simulator.events import CHANNELS, EVENT_TYPES, TIERS, Events, tier
from churn.simulator.people import CATEGORIES, REGIONS, SOURCES, People
from churn.simulator.purchases import PRODUCTS, Lines, Orders, Purchases, Returns
from churn.simulator.seasons import whole_seconds
from churn.simulator.settings import ShopSettings, Stretch

CURRENCY = "EUR"
STORES_A_REGION = 5
MINUTES_TO_ARRIVE = 10
MEAN_DAYS_LATE = 3.0
SECONDS_A_DAY = 86_400


def orders_table(
    rng: np.random.Generator,
    shop: ShopSettings,
    people: People,
    orders: Orders,
    returns: Returns,
    *,
    seen: Stretch,
) -> pa.Table:
    """Purchases and, as separate orders with a negative amount, returns, of some days."""
    bought = orders.purchases
    days = np.concatenate([bought.day, returns.day])
    rows = np.flatnonzero(seen.holds(days))
    source = np.concatenate([np.arange(orders.cents.size), returns.order])[rows]
    customer, day = bought.customer[source], days[rows]
    cents = np.concatenate([orders.cents, -returns.cents])[rows]
    reduced = np.concatenate([orders.discount_cents, np.zeros_like(returns.order)])[rows]
    columns = {
        "customer_id": customer_ids(people).take(pa.array(customer)),
        "order_id": as_text(np.concatenate([orders.number, returns.number])[rows]),
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
    """A few minutes after the order, or days after it for late arrivals."""
    late = rng.exponential(MEAN_DAYS_LATE, day.size) * (rng.random(day.size) < shop.late_share)
    minutes = rng.integers(1, MINUTES_TO_ARRIVE + 1, day.size)
    return whole_seconds(day + late) + minutes / 1_440


def _stores(people: People, customer: Ints, *, at_store: Bools) -> pa.Array:
    """The store nearest to the customer; null for web orders."""
    number = people.region * STORES_A_REGION + people.number % STORES_A_REGION
    names = [f"s{place:02d}" for place in range(len(REGIONS) * STORES_A_REGION)]
    return named(names, np.where(at_store, number[customer], -1))


def lines_table(
    rng: np.random.Generator, lines: Lines, orders: Orders, returns: Returns, *, seen: Stretch
) -> pa.Table:
    """Lines of the orders of some days."""
    days = np.concatenate([orders.purchases.day, returns.day])
    numbers = np.concatenate([orders.number, returns.number])[seen.holds(days)]
    rows = np.flatnonzero(np.isin(lines.order_number, numbers))
    columns = {
        "order_id": as_text(lines.order_number[rows]),
        "product_id": named([f"p{number:04d}" for number in range(PRODUCTS)], lines.product[rows]),
        "category": named(CATEGORIES, lines.category[rows]),
        "quantity": pa.array(lines.quantity[rows]),
        "amount": pa.array(lines.cents[rows] / 100),
    }
    return shuffled(rng, columns)


def customers_table(
    rng: np.random.Generator, shop: ShopSettings, people: People, orders: Orders, *, seen: Stretch
) -> pa.Table:
    """What the shop knows of each customer by then; e-mail addresses use a domain reserved for
    examples.
    """
    ids = customer_ids(people)
    born = (day_number(shop.start) - people.birth_age_days).astype("datetime64[D]")
    columns = {
        "customer_id": ids,
        "signed_up_at": times(shop, people.signed_up),
        "birth_date": pa.array(born, pa.date32()),
        "region": named(REGIONS, people.region),
        "acquisition_source": named(SOURCES, people.source),
        "loyalty_tier": named(TIERS, tier(people, orders, seen)),
        "email": pc.binary_join_element_wise(ids, "example.com", "@"),
    }
    there = pa.array(seen.holds(people.signed_up))
    return shuffled(rng, {name: pc.filter(column, there) for name, column in columns.items()})


def events_table(
    rng: np.random.Generator,
    shop: ShopSettings,
    people: People,
    events: Events,
    *,
    campaigns: Sequence[str],
    seen: Stretch,
) -> pa.Table:
    """The events of some days."""
    some = events.only(seen.holds(events.day))
    columns = {
        "customer_id": customer_ids(people).take(pa.array(some.customer)),
        "occurred_at": times(shop, some.day),
        "event_type": named(EVENT_TYPES, some.kind),
        "value": pa.array(some.value, from_pandas=True),
        "ref": as_text(some.ref, missing=some.ref < 0),
        "channel": named(CHANNELS, some.channel),
        "campaign_id": named(campaigns, some.campaign),
    }
    return shuffled(rng, columns)


def consents_table(
    rng: np.random.Generator, shop: ShopSettings, people: People, words: Consents, *, seen: Stretch
) -> pa.Table:
    """The consent statements of some days."""
    some = np.flatnonzero(seen.holds(words.day))
    columns = {
        "customer_id": customer_ids(people).take(pa.array(words.customer[some])),
        "channel": named(("email",), np.zeros_like(some)),
        "purpose": named(("profiling", "marketing"), words.is_marketing[some].astype(np.int64)),
        "granted": pa.array(words.granted[some]),
        "changed_at": times(shop, words.day[some]),
    }
    return shuffled(rng, columns)


def truth_table(
    shop: ShopSettings, people: People, purchases: Purchases, *, seen: Stretch
) -> pa.Table:
    """Hidden traits and outcomes by then: one row per customer, in order."""
    names = [segment.name for segment in shop.segments]
    gone = purchases.dropped_out
    alive = ~seen.holds(gone)  # NaN means alive
    by_now = seen.holds(purchases.day)
    table = pa.table(
        {
            "customer_id": customer_ids(people),
            "segment": named(names, people.segment),
            "purchase_rate_per_day": pa.array(people.rate),
            "dropout_probability": pa.array(people.dropout),
            "mean_order": pa.array(people.mean_order),
            "bargain_share": pa.array(people.bargain_share),
            "open_rate": pa.array(people.open_rate),
            "favourite_category": named(CATEGORIES, people.taste.argmax(axis=1)),
            "dropped_out_at": times(shop, np.nan_to_num(gone), missing=alive),
            "purchases": pa.array(purchases.per_customer(by_now)),
            "badly_served": pa.array(purchases.per_customer(purchases.is_bad & by_now)),
        }
    )
    return table.filter(pa.array(seen.holds(people.signed_up)))


def customer_ids(people: People) -> pa.Array:
    """`c` and the customer's number, from 1, with at least seven digits."""
    digits = pc.utf8_lpad(as_text(people.number), 7, "0")
    return pc.binary_join_element_wise("c", digits, "")


def as_text(numbers: Ints, *, missing: Bools | None = None) -> pa.Array:
    """Whole numbers as text; null where missing."""
    return pc.cast(pa.array(numbers, mask=missing), pa.string())


def named(names: Sequence[str], position: Ints) -> pa.Array:
    """The names at those positions; null at -1."""
    where = pa.array(position, mask=position < 0)
    return pa.array(list(names), pa.string()).take(where)


def times(shop: ShopSettings, day: Floats, *, missing: Bools | None = None) -> pa.Array:
    """Calendar days since the start as timestamps, in whole seconds; null if missing."""
    start = int(datetime.combine(shop.start, time(), UTC).timestamp())
    seconds = start + np.rint(day * SECONDS_A_DAY).astype(np.int64)
    return pa.array(seconds * 1_000_000, mask=missing).cast(pa.timestamp("us", "UTC"))


def shuffled(rng: np.random.Generator, columns: dict[str, pa.Array]) -> pa.Table:
    """The columns as a table, with its rows in random order."""
    table = pa.table(columns)
    return table.take(pa.array(rng.permutation(table.num_rows)))
