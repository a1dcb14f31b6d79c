"""Copies of rows, distinguished from genuine repeats by one rule per kind of table.

- Order lines that agree in every column recur in overlapping exports. Of such rows, as many are
kept as the file with the most of them contains (with `loaded_at`, the batch): two equal lines in
one file were bought twice. If a column numbers the lines of an order, equal rows with equal
numbers are copies within one file, too.
- Orders without an order_id are treated likewise, if they have a time of day.
- Contacts, redemptions, events, surveys and reviews that agree in every column, to the second, are
one. Those that have only a date are repeats.
- Terms of subscriptions that agree in every column are one.

All columns of the source are compared, mapped or not, except the column of `loaded_at`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from churn.data.audit import TableAudit
from churn.data.engines.base import Engine, identifier, literal

COPIES = "copies of another row"
ONCE = ("contacts", "redemptions", "events", "surveys", "reviews", "subscriptions")
LINE_NUMBER = re.compile(
    r"(order )?(line ?item|line|item|position|pos|zeile|row)( ?(number|num|no|nr|id|index|nummer))?"
)
NUMBERED = 0.99
MANY_REPEATS = 0.01
MICROSECONDS_A_DAY = 86_400_000_000


@dataclass(frozen=True)
class Duplicates:
    """How copies are found in one table: the extra columns selected, and which equal rows are kept.

    `batches` are the columns that distinguish exports; empty if each row counts only once.
    """

    table: str
    extras: Mapping[str, str]
    batches: tuple[str, ...]
    timed: bool

    def leave_out(self, engine: Engine, audit: TableAudit) -> TableAudit:
        """The audit with the copies that were dropped, and the repeats that may be copies."""
        if not self.extras or not engine.may_agree(self.table, ["content"]):
            return audit
        rows = _count(engine, self.table)
        numbered = "line_number" in self.extras and self._numbers_lines(engine)
        batches = () if numbered else self.batches
        dropped = self._drop(engine, batches) if batches or numbered or self._once else 0
        if dropped:
            audit = replace(audit, dropped={**audit.dropped, COPIES: dropped})
        return self._with_repeats(engine, audit, rows) if self.timed else audit

    @property
    def _once(self) -> bool:
        return self.table in ONCE

    def _drop(self, engine: Engine, batches: Sequence[str]) -> int:
        """Drops copies; returns their number."""
        differ = " OR ".join(f"min({name}) <> max({name})" for name in batches) or "true"
        where = "WHERE timed " if self.timed else ""
        engine.create(
            "copied_rows",
            f"SELECT content FROM {identifier(self.table)} {where}"
            f"GROUP BY content HAVING count(*) > 1 AND ({differ})",
        )
        before = _count(engine, self.table)
        if _count(engine, "copied_rows"):
            engine.create(self.table, self._kept_sql(engine.columns(self.table), batches))
        return before - _count(engine, self.table)

    def _kept_sql(self, columns: Sequence[str], batches: Sequence[str]) -> str:
        """All rows without a copy, and of the others those that no earlier batch contains."""
        shown = ", ".join(map(identifier, columns))
        copied = "EXISTS (SELECT 1 FROM copied_rows AS c WHERE c.content = rows.content)"
        source = f"FROM {identifier(self.table)} AS rows WHERE"
        order = [name for name in ("loaded_day", "file") if name in columns] or ["content"]
        turn = "1 AS turn"
        if batches:
            within = ", ".join(["content", *batches])
            turn = f"row_number() OVER (PARTITION BY {within} ORDER BY content) AS turn"
        place = (
            f"row_number() OVER (PARTITION BY content, turn ORDER BY {', '.join(order)}) AS place"
        )
        turns = f"SELECT *, {turn} {source} {copied}"
        return (
            f"SELECT {shown} {source} NOT {copied} UNION ALL SELECT {shown} FROM "
            f"(SELECT *, {place} FROM ({turns}) AS turns) AS places WHERE place = 1"
        )

    def _numbers_lines(self, engine: Engine) -> bool:
        """Whether the column with such a name really numbers the lines of an order."""
        lines = f"SELECT DISTINCT content, order_id, line_number FROM {identifier(self.table)}"
        (row,) = engine.rows(
            f"SELECT count(*) AS n, sum(lines) AS lines FROM (SELECT count(*) AS lines "
            f"FROM ({lines}) AS every WHERE line_number IS NOT NULL "
            "GROUP BY order_id, line_number) AS numbers"
        )
        numbers, lines_seen = int(str(row["n"])), int(str(row["lines"] or 0))
        return lines_seen > 0 and numbers >= NUMBERED * lines_seen

    def _with_repeats(self, engine: Engine, audit: TableAudit, rows: int) -> TableAudit:
        """The audit with a remark on equal rows that have no time of day, each of which counts."""
        groups = (
            f"SELECT count(*) - 1 AS n FROM {identifier(self.table)} WHERE NOT timed "
            "GROUP BY content HAVING count(*) > 1"
        )
        (row,) = engine.rows(f"SELECT sum(n) AS n FROM ({groups}) AS repeats")
        repeats = int(str(row["n"] or 0))
        if not repeats:
            return audit
        said = (
            f"{repeats:,} rows are the same as another and have no time of day: they count, and "
            "may be copies"
        )
        if repeats > MANY_REPEATS * rows:
            return replace(audit, warnings=(*audit.warnings, said))
        return replace(audit, notes=(*audit.notes, said))


def duplicates_of(
    table: str, types: Mapping[str, str], mapped: Mapping[str, str], *, grain: str, file: str | None
) -> Duplicates:
    """How copies are found in that table; `file` is the column that names each row's file."""
    arrival = mapped.get("loaded_at")
    compared = [name for name in types if name not in (arrival, file)]
    batches = (*(("file",) if file else ()), *(("loaded_day",) if arrival else ()))
    is_lines = table == "order_lines" or (table == "orders" and grain == "line")
    timed = (table in ONCE and table != "subscriptions") or (table == "orders" and not is_lines)
    number = _line_number(compared) if is_lines and "order_id" in mapped else None
    alone = table == "orders" and not is_lines and (not file or "order_id" in mapped)
    if not compared or not (table in ONCE or is_lines or table == "orders") or alone:
        return Duplicates(table, {}, (), timed=False)
    if is_lines and not batches and number is None:
        return Duplicates(table, {}, (), timed=False)
    extras = {"content": _content_sql(compared)}
    if file:
        extras["file"] = f"CAST({identifier(file)} AS VARCHAR)"
    if number is not None:
        extras["line_number"] = f"CAST({identifier(number)} AS VARCHAR)"
    return Duplicates(table, extras, () if table in ONCE else batches, timed=timed)


def timed_sql(instant: str, timezones: Sequence[str]) -> str:
    """The SQL for whether an instant has a time of day: a date alone is a midnight."""
    midnights = [_is_midnight_sql(instant, zone) for zone in dict.fromkeys(timezones)]
    return f"NOT ({' OR '.join(midnights)})"


def _is_midnight_sql(instant: str, zone: str) -> str:
    if zone == "UTC":  # without the calendar of zones, which takes ten times as long
        return f"epoch_us({instant}) % {MICROSECONDS_A_DAY} = 0"
    time = f"CAST(timezone({literal(zone)}, {instant}) AS TIME) = TIME '00:00:00'"
    return f"CASE WHEN isfinite({instant}) THEN {time} END"  # an infinite one has no time


def _content_sql(columns: Sequence[str]) -> str:
    """A hash that is equal for rows equal in those columns; signed, for Spark."""
    return f"CAST(hash({', '.join(map(identifier, columns))}) >> 1 AS BIGINT)"


def _line_number(names: Sequence[str]) -> str | None:
    """The column that numbers the lines of an order, judging by its name."""
    for name in names:
        spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
        plain = re.sub(r"[\s_\-.]+", " ", spaced).strip().lower()
        if LINE_NUMBER.fullmatch(plain):
            return name
    return None


def _count(engine: Engine, table: str) -> int:
    return int(str(engine.rows(f"SELECT count(*) AS n FROM {identifier(table)}")[0]["n"]))
