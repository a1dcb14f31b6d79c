"""`where` at import: which rows of a table it leaves out, counted by the value responsible.

A row for which the condition is unknown, because a value it uses is empty, is left out and counted
separately. A refusal is not: rows that restrict are never lost because of a missing value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from churn.data.condition_sql import ConditionSQL
from churn.data.conditions import Condition, parse_condition
from churn.data.contracts import TABLES
from churn.data.engines.base import Engine, identifier
from churn.data.settings import TableSource
from churn.errors import DataError

LEFT_OUT = "left out by where"
UNDECIDED = "left out by where, which needs a value that is empty"
SHOWN_VALUES = 6
MUCH = 0.5
PERSONAL = ("email", "phone", "birth_date")


@dataclass(frozen=True)
class Where:
    """The compiled condition of one table; without a condition it keeps every row."""

    table: str
    compiler: ConditionSQL
    condition: Condition | None

    @property
    def columns(self) -> list[str]:
        """The columns of the source that the condition reads."""
        return [] if self.condition is None else self.compiler.columns(self.condition)

    @property
    def extras(self) -> dict[str, str]:
        """The extra columns selected until rows are counted: our name → SQL."""
        if self.condition is None:
            return {}
        label = self.compiler.label_sql(self.condition)
        return {"chosen": self.compiler.sql(self.condition), "left_out_as": label}

    def rules(self, *, restricts: bool = False) -> list[tuple[str, str]]:
        """Tests for rows that are left out, each with its reason; a row that `restricts`, and an
        event, is kept if the condition is undecided.
        """
        if self.condition is None:
            return []
        decided = [("NOT chosen", LEFT_OUT)]
        if restricts or self.table == "events":
            return decided
        return [*decided, ("chosen IS NULL", UNDECIDED)]

    def count(self, engine: Engine, counts: Mapping[str, int], rows: int) -> dict[str, int]:
        """The counts with the rows left out by their values. DataError if no order is left."""
        left = counts.get(LEFT_OUT, 0) + counts.get(UNDECIDED, 0)
        if not left:
            return dict(counts)
        values = engine.rows(
            f"SELECT left_out_as AS v, count(*) AS n FROM {identifier(self.table)} "
            f"WHERE unusable = '{LEFT_OUT}' GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {SHOWN_VALUES + 1}"
        )
        named = {str(row["v"]): int(str(row["n"])) for row in values if row["v"] is not None}
        shown = dict(list(named.items())[:SHOWN_VALUES])
        if left == rows and self.table == "orders":
            got = ", ".join(f"{n:,} {value}" for value, n in shown.items()) or "none"
            rule = "[data.orders] where must keep at least one row"
            fix = "Check how the values are written: these are left out."
            raise DataError(rule, got=f"{got} of {rows:,}" if shown else got, fix=fix)
        return {**_by_value(shown, counts.get(LEFT_OUT, 0)), **_without(counts, LEFT_OUT)}

    def warnings(self, counts: Mapping[str, int], rows: int) -> tuple[str, ...]:
        """Important warnings about the rows left out; `counts` are those of the reasons."""
        undecided, left = counts.get(UNDECIDED, 0), counts.get(LEFT_OUT, 0)
        found = []
        if undecided:
            found.append(
                f"{undecided:,} rows are left out because where uses a value that is empty in "
                "them; add e.g. `or status is null` to keep them"
            )
        if left > MUCH * rows:
            found.append(f"where leaves out {left:,} of {rows:,} rows")
        return tuple(found)


def where_of(
    table: str,
    types: Mapping[str, str],
    source: TableSource,
    timezone: str,
    *,
    mapped: Mapping[str, str],
) -> Where:
    """The condition of that table, with `mapped` columns as ours → theirs.

    ConfigError if it is not a condition, DataError if the source lacks a column.
    """
    contract = TABLES[table]
    ids = [ours for ours in mapped if contract.column(ours).kind == "id"]
    personal = {mapped[ours] for ours in (*ids, *PERSONAL) if ours in mapped}
    compiler = ConditionSQL(table, types, source, timezone, personal)
    if source.where is None:
        return Where(table, compiler, None)
    return Where(table, compiler, parse_condition(source.where, table=table))


def _by_value(shown: Mapping[str, int], left: int) -> dict[str, int]:
    named = {f"{LEFT_OUT}: {value}": n for value, n in shown.items()}
    others = left - sum(shown.values())
    return {**named, **({LEFT_OUT: others} if others else {})}


def _without(counts: Mapping[str, int], reason: str) -> dict[str, int]:
    return {name: n for name, n in counts.items() if name != reason}
