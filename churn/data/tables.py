"""A shop's tables behind one engine: checked at the door, then seen through a point in time."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

from churn.data.audit import TableAudit
from churn.data.contracts import TABLES
from churn.data.days import as_date, date_of, day_number, midnight, zone
from churn.data.doors import Door
from churn.data.engine import DuckDBEngine, Frame, identifier, literal
from churn.data.orders import orders_from_lines, orders_from_orders, single_currency
from churn.data.settings import DataSettings, OrdersSource, TableSource
from churn.data.sources import columns_of, files_of, relation_sql
from churn.errors import ConfigError, DataError

__all__ = ["Snapshot", "Tables"]


@dataclass(frozen=True)
class Tables:
    """The connected tables of a shop and the audit of what was dropped on the way in."""

    engine: DuckDBEngine
    settings: DataSettings
    audits: Mapping[str, TableAudit]
    _cached: set[str] = field(default_factory=set, repr=False)

    @classmethod
    def from_settings(
        cls, settings: DataSettings, *, folder: Path, clock: datetime | None = None
    ) -> "Tables":
        """The tables of the files that `settings` names, relative to `folder`.

        `clock` is the present, in any zone; rows later than it are unusable. Raises DataError
        where a file breaks its contract and ConfigError where one is missing.
        """
        sources = settings.sources()
        files = {
            table: files_of(source, table=table, folder=folder) for table, source in sources.items()
        }
        listed = [path for paths in files.values() for path in paths]
        engine = DuckDBEngine(listed, memory_limit=settings.memory_limit)
        relations = {table: relation_sql(files[table], source) for table, source in sources.items()}
        return cls._open(engine, settings, relations, clock)

    @classmethod
    def from_frames(
        cls,
        orders: object,
        *,
        columns: Mapping[str, str] | None = None,
        grain: str = "order",
        timezone: str = "UTC",
        day_timezone: str = "UTC",
        currency: str = "USD",
        bad_row_limit: float = 0.01,
        clock: datetime | None = None,
        **others: object,
    ) -> "Tables":
        """The tables of pandas, Polars or Arrow frames; `columns` maps ours → theirs for orders.

        Other tables come by name, e.g. `contacts=frame`, in our own column names.
        """
        strange = sorted(set(others) - set(TABLES))
        if strange:
            raise ConfigError(f"tables must be among {sorted(TABLES)}", got=strange)
        source = OrdersSource(source="", columns=columns or {}, grain=grain)  # type: ignore[arg-type]
        settings = DataSettings(
            orders=source,
            timezone=timezone,
            day_timezone=day_timezone,
            currency=currency,
            bad_row_limit=bad_row_limit,
            **{name: TableSource(source="") for name in others},  # type: ignore[arg-type]
        )
        engine = DuckDBEngine()
        frames = {"orders": orders, **others}
        relations = {name: identifier(engine.accept(frame)) for name, frame in frames.items()}
        return cls._open(engine, settings, relations, clock)

    @classmethod
    def _open(
        cls,
        engine: DuckDBEngine,
        settings: DataSettings,
        relations: Mapping[str, str],
        clock: datetime | None,
    ) -> "Tables":
        zone(settings.timezone)
        zone(settings.day_timezone, key="day_timezone")
        door = Door(engine, settings, clock or datetime.now(UTC))
        audits = {}
        for table, source in settings.sources().items():
            types = columns_of(engine, relations[table], name=f"table {table!r}")
            audit = door.open(table, relations[table], types, source)
            if table == "orders":
                single_currency(engine, settings.currency)  # grouping would hide a second one
                lines = settings.orders.grain == "line"
                audit = (orders_from_lines if lines else orders_from_orders)(engine, audit)
            audits[table] = audit
        return cls(engine, settings, audits)

    def has(self, table: str) -> bool:
        """Whether that table is connected."""
        return table in self.audits

    def frame(self, table: str) -> Frame:
        """That table in our columns, as a lazy frame; DataError where it is not connected."""
        if not self.has(table):
            rule = f"table {table!r} is not connected"
            raise DataError(rule, fix=f"Name its source in [data.{table}].")
        return self.engine.lazy(table)

    def columns(self, table: str) -> list[str]:
        """The columns of a connected table."""
        return self.frame(table).collect_schema().names()

    def count(self, table: str) -> int:
        """The rows of a connected table; for orders of line grain, the orders."""
        return int(str(self.engine.rows(f"SELECT count(*) AS n FROM {identifier(table)}")[0]["n"]))

    def once(self, name: str, frame: Frame) -> Frame:
        """The frame computed once and kept under that name, for as long as the tables live."""
        if name not in self._cached:
            self.engine.store(frame, name)
            self._cached.add(name)
        return self.engine.lazy(name)

    def span(self) -> tuple[date, date]:
        """The dates of the first and the last order. Raises DataError where there is none."""
        row = self.engine.rows("SELECT min(local_day) AS a, max(local_day) AS b FROM orders")[0]
        if row["a"] is None:
            rule = "table 'orders' must hold at least one usable order"
            raise DataError(rule, got="0 rows", fix="Check the source and what was dropped.")
        return date_of(int(str(row["a"]))), date_of(int(str(row["b"])))

    def end(self) -> date:
        """The default as_of, exclusive: after the last date, or the last midnight of timestamps.

        `[data] until` overrides it.
        """
        if self.settings.until is not None:
            return self.settings.until
        _, last = self.span()
        return date_of(day_number(last) + 1) if self._dates_only() else last

    def limit(self) -> date:
        """The last as_of that may be asked for: the day after the last order, or `until`."""
        if self.settings.until is not None:
            return self.settings.until
        return date_of(day_number(self.span()[1]) + 1)

    def _dates_only(self) -> bool:
        """Whether every order was placed as its day began: the data has dates, not times.

        A day may begin at 01:00, where summer time skips its midnight.
        """
        date_sql = "CAST(DATE '1970-01-01' + local_day AS TIMESTAMP)"
        begins = f"epoch_us(timezone({literal(self.settings.day_timezone)}, {date_sql})) / 86400e6"
        found = self.engine.rows(f"SELECT bool_and(day = {begins}) AS d FROM orders")
        return bool(found[0]["d"])

    def arrival_lag_days(self) -> int:
        """The 99 % quantile of `loaded_at` - `ordered_at`, in whole days upwards; 0 without it."""
        if "loaded_day" not in self.columns("orders"):
            return 0
        lag = "ceil(quantile_cont(greatest(loaded_day - day, 0), 0.99))"
        found = self.engine.rows(f"SELECT coalesce({lag}, 0) AS lag FROM orders")[0]["lag"]
        return int(float(str(found)))

    def as_of(self, when: date | str) -> "Snapshot":
        """What was known strictly before that date's midnight."""
        return Snapshot(self, as_date(when, name="as_of"))

    def within(self, when: date) -> date:
        """The date itself; ConfigError where it lies beyond the data and its orders are unknown."""
        if self.audits["orders"].rows_kept and when > self.limit():
            raise ConfigError(
                f"as_of must be at or before the end of the data, {self.limit()}",
                got=when,
                fix="Pass an earlier date, bring newer data, or set [data] until.",
            )
        return when


@dataclass(frozen=True)
class Snapshot:
    """The tables as they were known strictly before `as_of` (exclusive, in the day time zone)."""

    tables: Tables
    as_of: date

    @property
    def instant(self) -> float:
        """The moment at which `as_of` begins, in days since 1970-01-01 UTC."""
        return midnight(self.as_of, self.tables.settings.day_timezone)
