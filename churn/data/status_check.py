"""A warning for orders that say of themselves that they are no purchases, and count as such."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from churn.data.casts import NUMERIC, cast_sql
from churn.data.contracts import Column, Kind
from churn.data.engines.base import Engine, identifier, literal
from churn.data.settings import TableSource
from churn.data.statuses import StatusColumn, counts_as_purchase, status_columns

__all__ = ["StatusCheck"]

SHOWN_WORDS = 4
MOST_WORDS = 50


@dataclass(frozen=True)
class StatusCheck:
    """The columns of the orders that say whether a row is a purchase, and that `where` ignores."""

    columns: tuple[StatusColumn, ...]
    types: Mapping[str, str]
    source: TableSource
    timezone: str

    @classmethod
    def of(
        cls,
        table: str,
        types: Mapping[str, str],
        source: TableSource,
        timezone: str,
        *,
        used: Collection[str],
    ) -> StatusCheck:
        """The check of that table; it looks at nothing unless the table is `orders`."""
        found = status_columns(types) if table == "orders" else []
        spare = tuple(column for column in found if column.name not in used)
        return cls(spare, types, source, timezone)

    @property
    def extras(self) -> dict[str, str]:
        """What has to be selected until rows are counted: our name → SQL."""
        return {f"status_{i}": self._sql(column) for i, column in enumerate(self.columns)}

    def _sql(self, column: StatusColumn) -> str:
        """The word, or the name of a column that speaks against the order."""
        text = f"nullif(lower(trim(CAST({identifier(column.name)} AS VARCHAR))), '')"
        if column.kind == "word":
            return text
        said = f"{text} IS NOT NULL"
        if column.kind != "moment" and self._may_be_cast(column):
            kind: Kind = "number" if column.kind == "refund" else "flag"
            ours, types = Column(column.name, kind), dict(self.types)
            said = cast_sql(ours, column.name, types, self.source, self.timezone)
            said = {"flag": said, "refund": f"{said} <> 0"}.get(column.kind, f"NOT ({said})")
        return f"CASE WHEN {said} THEN {literal('')} END"

    def _may_be_cast(self, column: StatusColumn) -> bool:
        kind = self.types[column.name]
        return kind in ("BOOLEAN", "VARCHAR") or NUMERIC.match(kind) is not None

    def warnings(self, engine: Engine) -> tuple[str, ...]:
        """A warning for each column that says of some rows that they are no purchases, or that
        holds a word that is not known.
        """
        checked = zip(self.columns, self.extras, strict=True)
        return tuple(text for column, name in checked if (text := _warning(engine, column, name)))


def _warning(engine: Engine, column: StatusColumn, name: str) -> str | None:
    found = engine.rows(
        f"SELECT {name} AS v, count(*) AS n FROM orders WHERE {name} IS NOT NULL "
        f"GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {MOST_WORDS}"
    )
    counts = {str(row["v"]): int(str(row["n"])) for row in found}
    if column.kind == "word":
        return _of_words(column.name, counts)
    rows = sum(counts.values())
    if not rows:
        return None
    if column.kind == "refund":
        return (
            f"{column.name!r} holds refunds in {rows:,} rows, which count in full all the same; "
            f"take them off with [data.orders.columns] refund = {json.dumps(column.name)}"
        )
    wanted = {"moment": f"{_quoted(column.name)} is null", "counter_flag": _quoted(column.name)}
    where = wanted.get(column.kind, f"not {_quoted(column.name)}")
    return (
        f"{column.name!r} speaks against {rows:,} rows, which count as purchases all the same; "
        f"leave them out with [data.orders] where = '{where}'"
    )


def _of_words(name: str, counts: Mapping[str, int]) -> str | None:
    """What a column of words says, where all of it is a status and not all of it a purchase."""
    if len(counts) == MOST_WORDS:  # names of states, say
        return None
    against = {word: n for word, n in counts.items() if counts_as_purchase(word) is False}
    unknown = {word for word in counts if counts_as_purchase(word) is None}
    if not against:
        return None if len(unknown) == len(counts) or not unknown else _unknown(name, len(unknown))
    shown = ", ".join(f"{n:,} {word}" for word, n in list(against.items())[:SHOWN_WORDS])
    kept = ", ".join(f"'{word}'" for word in counts if counts_as_purchase(word))
    return (
        f"{name!r} says of {sum(against.values()):,} rows that they are no purchases ({shown}), "
        f"and they count as such: leave them out with [data.orders] "
        f'where = "{_quoted(name)} in ({kept or "…"})"'
    )


def _unknown(name: str, words: int) -> str:
    return (
        f"{name!r} holds {words:,} words that may mean no purchase, and all rows count: say which "
        "do with [data.orders] where"
    )


def _quoted(name: str) -> str:
    return name if name.isidentifier() else '"' + name.replace('"', '""') + '"'
