"""Erased customers: settings of `[privacy]`, and their rows filtered out of every table."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Annotated

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from churn.data.engines.base import Engine, identifier
from churn.data.settings import STRICT
from churn.storage.erasures import Erased

ERASED = "erased"
"""The reason in an audit for rows of erased customers."""

AS_WRITTEN = "customer_id_as_written"
"""The column of ids before normalisation, present until the erased rows are removed."""

ORDERS = "erased_orders"


class ErasedRows:
    """Removes erased customers from an engine's tables, and the lines of their orders.

    Distinct ids are hashed in batches; if nobody was erased, no table is read. If ids are compared
    in a normalised form, both forms are checked: an erasure holds even if the id rule was different
    when it was requested.
    """

    def __init__(self, engine: Engine, erased: Erased | None) -> None:
        self._engine = engine
        self._erased = erased
        self._marked: dict[str, str] = {}  # the column checked → a table of its values
        self._seen: set[str] = set()  # the erased customers of earlier tables

    @property
    def as_written(self) -> bool:
        """Whether tables must also carry the customers' ids as written."""
        return bool(self._erased)

    def leave_out(self, table: str) -> int:
        """Removes the erased customers' rows from the table; returns their number."""
        if not self._erased:
            return 0
        columns = self._engine.columns(table)
        if "customer_id" in columns:
            found = self._among(table, columns)
            return self._leave(table, found, orders=table == "orders" and "order_id" in columns)
        if "order_id" in self._marked and "order_id" in columns:
            return self._drop(table, "order_id", self._marked["order_id"])
        return 0

    def _among(self, table: str, columns: Sequence[str]) -> list[str]:
        """The erased customers of a table, by normalised id."""
        erased = self._erased
        assert erased is not None
        found = erased_in(self._engine, table, erased)
        if AS_WRITTEN not in columns:
            return found
        written = erased_in(self._engine, table, erased, column=AS_WRITTEN)
        if written:
            marked = self._engine.accept(pa.table({AS_WRITTEN: pa.array(written, pa.string())}))
            theirs = _found(table, AS_WRITTEN, marked)
            more = self._engine.rows(f"SELECT DISTINCT customer_id AS c FROM {theirs}")
            self._seen.update(str(row["c"]) for row in more if row["c"] is not None)
        return sorted(self._seen.union(found))

    def _leave(self, table: str, found: list[str], *, orders: bool) -> int:
        if not found:
            return 0
        marked = self._engine.accept(pa.table({"customer_id": pa.array(found, pa.string())}))
        if orders:
            theirs = _found(table, "customer_id", marked)
            self._engine.create(ORDERS, f"SELECT DISTINCT order_id FROM {theirs}")
            self._marked["order_id"] = ORDERS
        return self._drop(table, "customer_id", marked)

    def _drop(self, table: str, column: str, marked: str) -> int:
        before = self._count(table)
        self._engine.create(table, f"SELECT * FROM {_found(table, column, marked, negated='NOT ')}")
        return before - self._count(table)

    def _count(self, table: str) -> int:
        (row,) = self._engine.rows(f"SELECT count(*) AS n FROM {identifier(table)}")
        return int(str(row["n"]))


def _found(table: str, column: str, marked: str, *, negated: str = "") -> str:
    """The SQL for the rows of a table whose value is, or is not, among the marked."""
    same = f"marked.{identifier(column)} = rows.{identifier(column)}"
    marks = f"SELECT 1 FROM {identifier(marked)} AS marked WHERE {same}"
    return f"{identifier(table)} AS rows WHERE {negated}EXISTS ({marks})"


def erased_in(
    engine: Engine, table: str, erased: Erased, *, column: str = "customer_id"
) -> list[str]:
    """The erased customers among those of a table."""
    return erased.among(itertools.chain.from_iterable(_distinct(engine, table, column)))


def _distinct(engine: Engine, table: str, column: str) -> Iterator[list[str]]:
    ids = engine.lazy(table).select(column).unique().drop_nulls()
    for batch in engine.batches(ids):
        yield batch.column(0).to_pylist()


def without_erased(table: pa.Table, erased: Erased | None) -> pa.Table:
    """A table with a customer_id, such as earlier scores, without the rows of erased customers."""
    if not erased:
        return table
    found = erased.among(pc.unique(table["customer_id"]).drop_null().to_pylist())
    if not found:
        return table
    theirs = pc.is_in(table["customer_id"], value_set=pa.array(found, table["customer_id"].type))
    return table.filter(pc.invert(theirs))


@dataclass(frozen=True, kw_only=True)
class PrivacySettings:
    """`[privacy]`: the key that hashes erased customers, generated next to the ledger, and for how
    many days plans, messages, results and models are kept; for ever, if that is not set.
    """

    __pydantic_config__ = STRICT
    key: str | None = field(default=None, repr=False)
    keep_days: Annotated[int, Field(ge=1)] | None = None
