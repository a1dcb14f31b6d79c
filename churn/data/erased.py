"""The erased at the door: their rows are left out before anything else looks at a table."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from churn.data.engines.base import Engine, identifier
from churn.files.erasures import Erased

__all__ = ["ERASED", "ErasedRows", "without_erased"]

ERASED = "erased"
"""The reason in an audit for rows of customers who were erased."""

ORDERS = "erased_orders"


class ErasedRows:
    """Takes the erased out of an engine's tables; of order lines, those of their orders.

    Distinct ids are hashed in batches; where nobody was erased no table is looked at.
    """

    def __init__(self, engine: Engine, erased: Erased | None) -> None:
        self._engine = engine
        self._erased = erased
        self._marked: dict[str, str] = {}  # the column that is looked at → a table of its values

    def leave_out(self, table: str) -> int:
        """How many rows of the table of that name were left out."""
        if not self._erased:
            return 0
        columns = self._engine.columns(table)
        if "customer_id" in columns:
            found = erased_in(self._engine, table, self._erased)
            return self._leave(table, found, orders=table == "orders" and "order_id" in columns)
        if "order_id" in self._marked and "order_id" in columns:
            return self._drop(table, "order_id", self._marked["order_id"])
        return 0

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


def erased_in(engine: Engine, table: str, erased: Erased) -> list[str]:
    """The erased among the customers of a table."""
    return erased.among(itertools.chain.from_iterable(_distinct(engine, table)))


def _distinct(engine: Engine, table: str) -> Iterator[list[str]]:
    ids = engine.lazy(table).select("customer_id").unique().drop_nulls()
    for batch in engine.batches(ids):
        yield batch.column(0).to_pylist()


def without_erased(table: pa.Table, erased: Erased | None) -> pa.Table:
    """A table with a customer_id, such as earlier scores, without the rows of the erased."""
    if not erased:
        return table
    found = erased.among(pc.unique(table["customer_id"]).drop_null().to_pylist())
    if not found:
        return table
    theirs = pc.is_in(table["customer_id"], value_set=pa.array(found, table["customer_id"].type))
    return table.filter(pc.invert(theirs))
