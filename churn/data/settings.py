"""Settings of the data: where each table is, what its columns are called, which clocks apply.

The classes are the `[data]` part of `churn.toml`, value for value.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Annotated, Literal

from pydantic import Field

from churn.data.engines.choice import EngineName

IdRule = Literal["exact", "number", "email"]
Auto = Literal["auto"]
WholeDays = Annotated[int, Field(ge=0)]

# For validation of the file: unknown keys and implicit conversions are errors.
STRICT = {"extra": "forbid", "strict": True}


@dataclass(frozen=True, kw_only=True)
class TableSource:
    """One table: a file, a folder, a glob, several of these, or the address of a database's table,
    which may contain a password and is not shown; and `columns` as ours → theirs.

    `delimiter` and `encoding` apply to text files only, `sheet` to Excel workbooks. `decimal` and
    `date_format` define how text is read; by default this is detected per column. `date_format` is
    a strptime pattern, "iso", "excel", "unix seconds" and so on, or a list of them that is tried in
    order. `skip` is the number of lines above the header, detected by default. `where` is a
    condition over the source's own columns: rows that do not meet it are left out. `words` gives,
    per column, the meaning of the shop's own words.
    """

    __pydantic_config__ = STRICT
    source: str | list[str] = field(repr=False)
    columns: Mapping[str, str] = field(default_factory=dict)
    delimiter: str | None = None
    decimal: Literal[".", ","] | None = None
    encoding: Literal["utf-8", "utf-16", "latin-1", "cp1252"] = "utf-8"
    date_format: str | list[str] | None = None
    sheet: str | None = None
    skip: int | None = None
    where: str | None = None
    words: Mapping[str, Mapping[str, str | bool]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class OrdersSource(TableSource):
    """The orders: `grain` is whether a row is a whole order or one line of it."""

    __pydantic_config__ = STRICT
    grain: Literal["order", "line"] = "order"


@dataclass(frozen=True, kw_only=True)
class DataSettings:
    """The `[data]` section: engine, clocks, currency, and one source per table.

    `timezone` applies to times without a zone, `day_timezone` defines midnights and purchase days.
    `bad_row_limit` is the share of unusable rows above which loading stops. Orders dated far from
    all others are treated as mistyped, unless `keep_outlying_dates` is set. `churn run` warns after
    `warn_after_days` without an order, and stops after `error_after_days`. `customer_id` and
    `order_id` define when two ids are the same; `guests` are customer ids that stand for guests, in
    addition to words such as "guest"; an empty list means that no id does. `least_match` is the
    share of a table's ids that must occur in the orders, or the other way round.
    """

    __pydantic_config__ = STRICT
    orders: OrdersSource
    engine: EngineName = "duckdb"
    timezone: str = "UTC"
    day_timezone: str = "UTC"
    currency: str = "USD"
    customer_id: IdRule = "exact"
    order_id: Literal["exact", "number"] = "exact"
    guests: tuple[str, ...] | None = None
    least_match: float = 0.5
    bad_row_limit: float = 0.01
    memory_limit: str | None = None
    until: date | None = None
    keep_outlying_dates: bool = False
    warn_after_days: WholeDays | Auto = "auto"
    error_after_days: WholeDays | Auto = "auto"
    order_lines: TableSource | None = None
    customers: TableSource | None = None
    events: TableSource | None = None
    contacts: TableSource | None = None
    redemptions: TableSource | None = None
    consents: TableSource | None = None
    preferences: TableSource | None = None
    costs: TableSource | None = None
    subscriptions: TableSource | None = None
    surveys: TableSource | None = None
    reviews: TableSource | None = None

    def sources(self) -> dict[str, TableSource]:
        """The connected tables, orders first."""
        found = {"orders": self.orders}
        for name in ("order_lines", "customers", "events", "contacts", "redemptions"):
            found[name] = getattr(self, name)
        for name in ("consents", "preferences", "costs", "subscriptions"):
            found[name] = getattr(self, name)
        for name in ("surveys", "reviews"):
            found[name] = getattr(self, name)
        return {name: source for name, source in found.items() if source is not None}
