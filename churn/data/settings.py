"""What a user says about the data: where each table is, how its columns are called, which clocks.

The classes are the `[data]` part of `churn.toml`, value for value.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from churn.data.engines.choice import EngineName

__all__ = ["DataSettings", "OrdersSource", "TableSource"]

# Read by whoever validates a file: unknown keys and implicit conversions are errors.
STRICT = {"extra": "forbid", "strict": True}


@dataclass(frozen=True, kw_only=True)
class TableSource:
    """One table: a file, a glob, several files or `postgresql://…#table`, which may hold a
    password and is not shown; and `columns` as ours → theirs.

    `delimiter` and `encoding` speak of text files only. `decimal` and `date_format` say how text
    is to be read: without them by what each column speaks for. `date_format` is a strptime pattern,
    "iso", "excel", "unix seconds" and so on, or a list of them that is tried in its order.
    """

    __pydantic_config__ = STRICT
    source: str | list[str] = field(repr=False)
    columns: Mapping[str, str] = field(default_factory=dict)
    delimiter: str | None = None
    decimal: Literal[".", ","] | None = None
    encoding: Literal["utf-8", "utf-16", "latin-1", "cp1252"] = "utf-8"
    date_format: str | list[str] | None = None


@dataclass(frozen=True, kw_only=True)
class OrdersSource(TableSource):
    """The orders: `grain` tells whether a row is a whole order or one line of it."""

    __pydantic_config__ = STRICT
    grain: Literal["order", "line"] = "order"


@dataclass(frozen=True, kw_only=True)
class DataSettings:
    """The `[data]` section: engine, clocks, currency, and one source for each table.

    `timezone` reads times without a zone, `day_timezone` sets midnights and purchase days.
    `bad_row_limit` is the share of unusable rows above which loading stops.
    """

    __pydantic_config__ = STRICT
    orders: OrdersSource
    engine: EngineName = "duckdb"
    timezone: str = "UTC"
    day_timezone: str = "UTC"
    currency: str = "USD"
    bad_row_limit: float = 0.01
    memory_limit: str | None = None
    until: date | None = None
    order_lines: TableSource | None = None
    customers: TableSource | None = None
    events: TableSource | None = None
    contacts: TableSource | None = None
    redemptions: TableSource | None = None
    consents: TableSource | None = None
    preferences: TableSource | None = None
    costs: TableSource | None = None
    subscriptions: TableSource | None = None

    def sources(self) -> dict[str, TableSource]:
        """The connected tables, orders first."""
        found = {"orders": self.orders}
        for name in ("order_lines", "customers", "events", "contacts", "redemptions"):
            found[name] = getattr(self, name)
        for name in ("consents", "preferences", "costs", "subscriptions"):
            found[name] = getattr(self, name)
        return {name: source for name, source in found.items() if source is not None}
