"""A shop's tables behind one engine: checked at import, then seen as of a point in time."""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from churn.data.audit import TableAudit, compare_ids
from churn.data.calendar import OrderDays, noting_the_clock, quiet_warning
from churn.data.contracts import TABLES
from churn.data.databases import FetchedTables, fetch
from churn.data.days import as_date, date_of, day_number, midnight, zone
from churn.data.engines.base import Engine, Frame, Relation, identifier
from churn.data.engines.choice import EngineName, open_engine
from churn.data.erased import ErasedRows
from churn.data.goods_costs import add_costs
from churn.data.ids import Guests
from churn.data.ingest import TableImporter, day_begins_sql
from churn.data.order_numbers import lines_of_one_order
from churn.data.orders import one_row_per_order
from churn.data.readable import Copies, Readable
from churn.data.settings import DataSettings, IdRule, OrdersSource, TableSource
from churn.data.sources import columns_of, files_of, relation_of
from churn.errors import ConfigError, DataError
from churn.storage.erasures import Erased


@dataclass(frozen=True)
class Tables:
    """The connected tables of a shop and the audit of what was dropped at import."""

    engine: Engine
    settings: DataSettings
    audits: Mapping[str, TableAudit]
    fetched: FetchedTables | None = None
    copies: Copies | None = None
    _cached: set[str] = field(default_factory=set, repr=False)
    _numbers: Iterator[int] = field(default_factory=itertools.count, repr=False)
    sorted_rows: dict[frozenset[str], Any] = field(default_factory=dict, repr=False)
    """What `churn.data.history` keeps, by the grains that it holds."""
    objecting: frozenset[str] = frozenset()
    """Customers whose objection to profiling was received elsewhere than in `consents`."""

    @classmethod
    def from_settings(
        cls,
        settings: DataSettings,
        *,
        folder: Path,
        clock: datetime | None = None,
        erased: Erased | None = None,
    ) -> "Tables":
        """The tables named by `settings`: files, relative to `folder`, or in a database.

        `clock` is the present, in any zone; later rows are unusable. The rows of the `erased` are
        left out. Raises DataError if a table breaks its contract and ConfigError if a file is
        missing.
        """
        fetched, copies = fetch(settings.sources(), folder=folder), Copies()
        try:
            return cls._of_files(settings, fetched, copies, folder, clock, erased)
        except BaseException:
            fetched.close()
            copies.close()
            raise

    @classmethod
    def _of_files(
        cls,
        settings: DataSettings,
        fetched: FetchedTables,
        copies: Copies,
        folder: Path,
        clock: datetime | None,
        erased: Erased | None,
    ) -> "Tables":
        sources = settings.sources()
        theirs = fetched.tables
        readable = {
            table: Readable((theirs[table].path,))
            if table in theirs
            else copies.of(files_of(source, table=table, folder=folder), source, table=table)
            for table, source in sources.items()
        }
        listed = [path for found in readable.values() for path in found.paths]
        engine = open_engine(settings.engine, listed, memory_limit=settings.memory_limit)
        relations = {
            table: relation_of(
                engine.reader,
                readable[table].paths,
                source,
                unread=theirs[table].unread if table in theirs else (),
                notes=readable[table].notes,
            )
            for table, source in sources.items()
        }
        return replace(
            cls._open(engine, settings, relations, clock, erased, fetched), copies=copies
        )

    @classmethod
    def from_frames(  # noqa: PLR0913 - the settings of [data], each by its own name
        cls,
        orders: object,
        *,
        columns: Mapping[str, str] | None = None,
        grain: str = "order",
        timezone: str = "UTC",
        day_timezone: str = "UTC",
        currency: str = "USD",
        bad_row_limit: float = 0.01,
        customer_id: IdRule = "exact",
        order_id: Literal["exact", "number"] = "exact",
        guests: tuple[str, ...] | None = None,
        least_match: float = 0.5,
        where: Mapping[str, str] | None = None,
        engine: EngineName = "duckdb",
        clock: datetime | None = None,
        erased: Erased | None = None,
        **others: object,
    ) -> "Tables":
        """The tables of pandas, Polars or Arrow frames; `columns` maps ours → theirs for orders.

        Other tables are passed by name, e.g. `contacts=frame`, in our own column names; `where`
        maps tables to the condition that their rows must meet.
        """
        for name, frame in {"orders": orders, **others}.items():
            _check_frame(name, frame)
        strange = sorted(set(others) - set(TABLES))
        if strange:
            raise ConfigError(f"tables must be among {sorted(TABLES)}", got=strange)
        where = where or {}
        source = OrdersSource(
            source="",
            columns=columns or {},
            grain=grain,  # type: ignore[arg-type]
            where=where.get("orders"),
        )
        settings = DataSettings(
            orders=source,
            engine=engine,
            timezone=timezone,
            day_timezone=day_timezone,
            currency=currency,
            bad_row_limit=bad_row_limit,
            customer_id=customer_id,
            order_id=order_id,
            guests=guests,
            least_match=least_match,
            **{name: TableSource(source="", where=where.get(name)) for name in others},  # type: ignore[arg-type]
        )
        opened = open_engine(engine)
        frames = {"orders": orders, **others}
        relations = {
            name: Relation(identifier(opened.reader.accept(frame)))
            for name, frame in frames.items()
        }
        return cls._open(opened, settings, relations, clock, erased)

    @classmethod
    def _open(
        cls,
        engine: Engine,
        settings: DataSettings,
        relations: Mapping[str, Relation],
        clock: datetime | None,
        erased: Erased | None,
        fetched: FetchedTables | None = None,
    ) -> "Tables":
        zone(settings.timezone)
        zone(settings.day_timezone, key="day_timezone")
        leaving = ErasedRows(engine, erased)
        now = clock or datetime.now(UTC)
        importer = TableImporter(engine, settings, now, leaving, Guests(settings))
        audits: dict[str, TableAudit] = {}
        for table, source in settings.sources().items():
            types = columns_of(engine.reader, relations[table].sql, name=f"table {table!r}")
            audit = noting_the_clock(importer.load(table, relations[table], types, source), now)
            if table == "orders":
                audit = one_row_per_order(engine, audit, settings)
            if table == "order_lines" and audits["orders"].shared_order_ids:
                audit = lines_of_one_order(engine, audit, limit=settings.bad_row_limit)
            audits[table] = audit
        costs = add_costs(engine, audits)
        orders = audits["orders"]
        audits["orders"] = replace(orders, warnings=(*orders.warnings, *costs))
        return cls(engine, settings, compare_ids(engine, settings, audits), fetched)

    def close(self) -> None:
        """Closes the engine and removes its spilled and copied files."""
        self.engine.close()
        for copied in (self.fetched, self.copies):
            if copied is not None:
                copied.close()

    def has(self, table: str) -> bool:
        """Whether that table is connected; a file of lines also provides order_lines."""
        return table in self.audits or (table == "order_lines" and self._has_lines)

    @property
    def _has_lines(self) -> bool:
        return self.settings.orders.grain == "line"

    @cached_property
    def _sources(self) -> frozenset[str]:
        tables = [name for name in TABLES if self.has(name)]
        found = {*tables}
        for table in tables:
            columns = self.columns(table)
            named = {column.name for column in TABLES[table].columns}
            found |= {f"{table}.{name}" for name in named if _as_stored(name) in columns}
        if "events" in tables:
            types = self.engine.rows("SELECT DISTINCT event_type AS t FROM events")
            found |= {f"events.{row['t']}" for row in types}
        return frozenset(found)

    def connected(self) -> frozenset[str]:
        """What features may need: tables, `table.column`, and `events.type` if one occurs."""
        return self._sources

    def frame(self, table: str) -> Frame:
        """That table in our columns, as a lazy frame; DataError if it is not connected."""
        if not self.has(table):
            raise _not_connected(table)
        return self.engine.lazy(table)

    def columns(self, table: str) -> list[str]:
        """The columns of a connected table."""
        if not self.has(table):
            raise _not_connected(table)
        return self.engine.columns(table)

    def count(self, table: str) -> int:
        """The rows of a connected table; for orders of line grain, the orders."""
        return int(str(self.engine.rows(f"SELECT count(*) AS n FROM {identifier(table)}")[0]["n"]))

    def once(self, name: str, frame: Frame) -> Frame:
        """The frame computed once and kept under that name, for as long as the tables live."""
        if name not in self._cached:
            self.engine.store(frame, name)
            self._cached.add(name)
        return self.engine.lazy(name)

    def new_name(self, prefix: str) -> str:
        """A name that no other table of the engine has."""
        return f"{prefix}_{next(self._numbers)}"

    def keeps(self, name: str) -> bool:
        """Whether a frame was computed and kept under that name."""
        return name in self._cached

    def span(self) -> tuple[date, date]:
        """The dates of the first and the last order. Raises DataError if there are none."""
        days = self._order_days.days
        if not days.size:
            rule = "table 'orders' must hold at least one usable order"
            raise DataError(rule, got="0 rows", fix="Check the source and what was dropped.")
        return date_of(int(days[0])), date_of(int(days[-1]))

    @cached_property
    def _order_days(self) -> OrderDays:
        return OrderDays.of(self.engine)

    @property
    def quiet_days(self) -> int:
        """How many days this shop may be without an order before it is remarkable."""
        return self._order_days.quiet_days

    def noting_quiet_days(self, as_of: date) -> "Tables":
        """The same, with a warning if there is a long gap in orders shortly before `as_of`."""
        quiet = quiet_warning(self._order_days, min(as_of, self.limit()))
        if quiet is None:
            return self
        orders = self.audits["orders"]
        noted = replace(orders, warnings=(*orders.warnings, quiet))
        return replace(self, audits={**self.audits, "orders": noted})

    def end(self) -> date:
        """The default as_of, exclusive: after the last date, or the last midnight of timestamps.

        `[data] until` overrides it.
        """
        if self.settings.until is not None:
            return self.settings.until
        _, last = self.span()
        return date_of(day_number(last) + 1) if self._dates_only() else last

    def limit(self) -> date:
        """The latest allowed as_of: the day after the last order, or `until`."""
        if self.settings.until is not None:
            return self.settings.until
        return date_of(day_number(self.span()[1]) + 1)

    def _dates_only(self) -> bool:
        """Whether every order was placed as its day began: the data has dates, not times.

        A day may begin at 01:00 if summer time skips its midnight.
        """
        bounds = "min(day) AS earliest, max(day) AS latest"
        days = self.engine.query(f"SELECT local_day, {bounds} FROM orders GROUP BY local_day")
        reader = self.engine.reader
        begins = day_begins_sql("local_day", self.settings.day_timezone)
        outside = f"earliest <> {begins} OR latest <> {begins}"
        seen = identifier(reader.accept(days))
        return not reader.rows(f"SELECT 1 AS found FROM {seen} WHERE {outside} LIMIT 1")

    def arrival_lag_days(self) -> int:
        """The days within which 99 % of the orders had arrived, by `loaded_at`; 0 without it."""
        return self._lag_days("orders")

    def term_lag_days(self) -> int:
        """The same for the terms of subscriptions, each in its first version: a later version
        records a later change.
        """
        firsts = "SELECT min(loaded_day) AS loaded_day, day FROM subscriptions"
        return self._lag_days("subscriptions", f"({firsts} GROUP BY customer_id, day) AS firsts")

    def _lag_days(self, table: str, rows: str | None = None) -> int:
        if not self.has(table) or "loaded_day" not in self.columns(table):
            return 0
        whole = "CAST(ceil(greatest(loaded_day - day, 0)) AS BIGINT)"
        counted = f"SELECT {whole} AS lag, count(*) AS n FROM {rows or table} GROUP BY 1"
        return _lag_of_99_percent(self.engine.rows(counted))

    def as_of(self, when: date | str) -> "Snapshot":
        """What was known strictly before that date's midnight."""
        return Snapshot(self, as_date(when, name="as_of"))

    def within(self, when: date) -> date:
        """The date itself; ConfigError if it is beyond the data and its orders are unknown."""
        if self.audits["orders"].rows_kept and when > self.limit():
            raise ConfigError(
                f"as_of must be at or before the end of the data, {self.limit()}",
                got=when,
                fix="Pass an earlier date, load newer data, or set [data] until.",
            )
        return when


def _lag_of_99_percent(counts: list[dict[str, Any]]) -> int:
    """The smallest number of days in which 99 in 100 orders arrived, from days and their counts."""
    total = sum(row["n"] for row in counts)
    arrived = 0
    for row in sorted(counts, key=lambda row: int(row["lag"])):
        arrived += row["n"]
        if arrived * 100 >= total * 99:
            return int(row["lag"])
    return 0


def _check_frame(name: str, frame: object) -> None:
    """Raises ConfigError unless a frame was passed."""
    if frame is None or isinstance(frame, (str, bytes, Path, list, tuple, int, float)):
        rule = f"{name} must be a pandas, Polars or Arrow frame"
        fix = "Read files with churn.load_tables, or pass e.g. pandas.read_csv(...)."
        raise ConfigError(rule, got=type(frame).__name__, fix=fix)


def _not_connected(table: str) -> DataError:
    rule = f"table {table!r} is not connected"
    return DataError(rule, fix=f"Name its source in [data.{table}].")


def _as_stored(column: str) -> str:
    """A column of a contract as the import stores it: times become days."""
    return column.removesuffix("_at") + "_day" if column.endswith("_at") else column


@dataclass(frozen=True)
class Snapshot:
    """The tables as they were known strictly before `as_of` (exclusive, in the day time zone)."""

    tables: Tables
    as_of: date

    @property
    def instant(self) -> float:
        """The moment at which `as_of` begins, in days since 1970-01-01 UTC."""
        return midnight(self.as_of, self.tables.settings.day_timezone)
