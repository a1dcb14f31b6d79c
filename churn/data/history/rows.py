"""The rows of all tables that features see, as one frame to be sorted by customer.

Each row is of one grain (`GRAINS`): an order, an order line that was bought, an event, a term of a
subscription, an entry of the customer list, or what that list says of a customer (a profile).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import narwhals as nw

from churn.data.engines.base import Frame
from churn.data.history.events import KINDS, OTHER_TABLES, TICKETS
from churn.data.line_days import lines_of_orders
from churn.data.tables import Tables
from churn.data.words import EVENT_TYPES

GRAINS = ("orders", "lines", "events", "terms", "customers", "profiles")
"""In the order of their codes in the column `grain`."""

TEXTS = (
    *("channel", "product_id", "category", "ref"),
    *("acquisition_source", "region", "loyalty_tier"),
)
WHOLE = ("kind", "expires_local_day")
ARRIVALS = ("loaded_day", "line_loaded_day", "superseded_day")
NUMBERS = (
    *("amount", "discount", "cost", "uncosted", "quantity", "value"),
    *("day", "cancelled_local_day", "signed_up_day"),
)
COLUMNS = (*TEXTS, *WHOLE, *ARRIVALS, *NUMBERS)
SORTED_BY = ("customer_id", "grain", "local_day")

READ = {
    "orders": (
        *("amount", "discount", "channel", "loaded_day", "superseded_day"),
        *("cost", "uncosted"),
    ),
    "lines": ("product_id", "category", "quantity", "amount", "discount", *ARRIVALS),
    "events": ("kind", "value", "ref", "loaded_day"),
    "terms": ("day", "expires_local_day", "cancelled_local_day", "amount", "loaded_day"),
    "customers": ("signed_up_day", "acquisition_source", "loaded_day"),
    "profiles": ("region", "acquisition_source", "loyalty_tier", "loaded_day"),
}
UNDATED = ("customers", "profiles")
NOT_CONTACTED = ("control", "holdout")
NO_OFFER = "none"
KEPT = ("customer_id", "local_day", "loaded_day")


Layout = Mapping[str, tuple[str, ...]]
"""The columns of each grain."""


def history_rows(tables: Tables, grains: Collection[str]) -> tuple[Frame, Layout]:
    """customer_id, grain (a code), local_day and the columns of `READ` that those tables have, and
    which these are.
    """
    parts = {grain: SOURCES[grain](tables) for grain in GRAINS if grain in grains}
    layout = {grain: _columns(grain, rows) for grain, rows in parts.items()}
    every = [name for name in COLUMNS if any(name in names for names in layout.values())]
    typed = [_typed(rows, grain, every, layout[grain]) for grain, rows in parts.items()]
    return typed[0] if len(typed) == 1 else nw.concat(typed, how="vertical"), layout


def _columns(grain: str, rows: Frame) -> tuple[str, ...]:
    there = rows.collect_schema().names()
    return tuple(name for name in READ[grain] if name in there)


def _typed(rows: Frame, grain: str, every: Collection[str], own: Collection[str]) -> Frame:
    """The rows with all columns, null where this grain has none, each of one type."""
    day = nw.lit(0) if grain in UNDATED else nw.col("local_day")
    return rows.select(
        nw.col("customer_id"),
        nw.lit(GRAINS.index(grain)).cast(nw.Int32).alias("grain"),
        day.cast(nw.Int32).alias("local_day"),
        *(
            (nw.col(name) if name in own else nw.lit(None)).cast(_type(name)).alias(name)
            for name in every
        ),
    )


def _type(name: str) -> type[nw.String] | type[nw.Int32] | type[nw.Float64]:
    if name in TEXTS:
        return nw.String
    return nw.Int32 if name in WHOLE else nw.Float64


def _orders(tables: Tables) -> Frame:
    return tables.frame("orders")


def _events(tables: Tables) -> Frame:
    """All events of the known types, contacts and redemptions, from the connected tables."""
    parts = [
        _known_kinds(table, tables.frame(table))
        for table in ("events", *OTHER_TABLES)
        if tables.has(table)
    ]
    late = any("loaded_day" in part.collect_schema().names() for part in parts)
    columns = ("customer_id", "local_day", "kind", "value", "ref", *["loaded_day"] * late)
    return nw.concat([_filled(part).select(*columns) for part in parts], how="vertical")


def _known_kinds(table: str, rows: Frame) -> Frame:
    """The rows that count, with their `kind`; who was held out or drew no offer got no contact."""
    if table == "events":
        known = rows.filter(nw.col("event_type").is_in(EVENT_TYPES))
        return known.with_columns(kind=_code(nw.col("event_type")))
    if "arm" in rows.collect_schema().names():
        rows = rows.filter(~nw.col("arm").fill_null("treatment").is_in(NOT_CONTACTED))
    if table == "contacts" and "offer_id" in rows.collect_schema().names():
        rows = rows.filter(nw.col("offer_id").fill_null("") != NO_OFFER)
    columns = [name for name in rows.collect_schema().names() if name in KEPT]
    return rows.select(*columns, kind=_constant(OTHER_TABLES[table]))


def _code(event_type: nw.Expr) -> nw.Expr:
    code = nw.lit(None, nw.Int32)
    for kind in EVENT_TYPES:
        code = nw.when(event_type == kind).then(_constant(kind)).otherwise(code)
    return code


def _constant(kind: str) -> nw.Expr:
    return nw.lit(KINDS[kind], nw.Int32)


def _filled(rows: Frame) -> Frame:
    """The rows with every column that a table may lack; a `ref` only of tickets."""
    columns = rows.collect_schema().names()
    number, text = nw.lit(None, nw.Float64), nw.lit(None, nw.String)
    is_ticket = nw.col("kind").is_in([KINDS[kind] for kind in TICKETS])
    return rows.with_columns(
        value=nw.col("value") if "value" in columns else number,
        ref=nw.when(is_ticket).then(nw.col("ref")) if "ref" in columns else text,
        loaded_day=nw.col("loaded_day") if "loaded_day" in columns else number,
    )


def _terms(tables: Tables) -> Frame:
    return tables.frame("subscriptions")


def _customers(tables: Tables) -> Frame:
    return tables.frame("customers")


SOURCES: dict[str, Callable[[Tables], Frame]] = {
    "orders": _orders,
    "lines": lines_of_orders,
    "events": _events,
    "terms": _terms,
    "customers": _customers,
    "profiles": _customers,
}
