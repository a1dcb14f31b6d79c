"""Whether a row is an order or one line of it, what its amount refers to, and columns of money."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from churn.data.casts import cast_sql
from churn.data.contracts import Column
from churn.data.engines.base import identifier
from churn.data.notations.look import Notation
from churn.data.profiling.files import OrdersFiles
from churn.data.profiling.names import names_money
from churn.data.profiling.values import ColumnProfile

Grain: TypeAlias = Literal["order", "line"]

FEW = 0.01
NEARLY_ALL = 0.95
ENOUGH_ORDERS = 20
AmountOf: TypeAlias = Literal["row", "order_once", "order_repeated"]
AMOUNT = Column("amount", "number")
ENOUGH_VARIED = 3
OF_A_LINE = ("line", "item", "unit", "product", "position", "row", "artikel", "price", "preis")


@dataclass(frozen=True)
class RowCounts:
    """How rows, orders and customers combine; all zero except `rows` if there is no order id.

    `nobody`: rows without a customer. `shared`: orders of two or more customers. `split`: orders
    whose rows differ. `copied`: orders whose rows are copies. `flat`: split orders with the same
    amount in each row. `once`: split orders with an amount in only one row. `varied`: flat orders
    whose quantities differ.
    """

    rows: int
    nobody: int
    customers: int
    orders: int
    shared: int
    split: int
    copied: int
    flat: int
    once: int
    varied: int

    @property
    def order_id_holds(self) -> bool:
        """Whether nearly every order id belongs to one customer, as an order does."""
        return self.orders > 0 and self.shared <= FEW * self.orders

    @property
    def grain(self) -> Grain:
        """`line` if order ids repeat in rows that differ."""
        return "line" if self.order_id_holds and self.split > FEW * self.orders else "order"

    @property
    def repeats_total(self) -> bool:
        """Whether the amount looks like the whole order's, written on each of its lines."""
        return self.split >= ENOUGH_ORDERS and self.is_flat

    @property
    def is_flat(self) -> bool:
        """Whether there are orders of several lines, nearly all with the same amount on each."""
        return self.split > 0 and self.flat >= NEARLY_ALL * self.split

    @property
    def gives_total_once(self) -> bool:
        """Whether the amount is the whole order's, written on one of its lines."""
        return self.once > 0 and self.once >= NEARLY_ALL * self.split


def count_rows(table: OrdersFiles, columns: Mapping[str, str], amount: Sequence[str]) -> RowCounts:
    """The counts for a mapping ours → theirs; `amount` lists the columns that make the amount."""
    with table.engine.reading(table.name):
        found = table.engine.rows(_sql(table, columns, amount))[0]
    return RowCounts(**{fact: int(str(count or 0)) for fact, count in found.items()})


def _sql(table: OrdersFiles, columns: Mapping[str, str], amount: Sequence[str]) -> str:
    used = ", ".join(identifier(name) for name in {**dict.fromkeys(columns.values())})
    amounts = ", ".join(identifier(name) for name in amount)
    given = " AND ".join(f"{identifier(name)} IS NOT NULL" for name in amount)
    quantity = identifier(columns["quantity"]) if "quantity" in columns else "1"
    version = ", loaded_at" if "loaded_at" in table.types else ""
    rows = (
        f"SELECT {_id_sql(columns['customer_id'])} AS customer, "
        f"{_id_sql(columns.get('order_id'))} AS sale, hash(row({used})) AS content, "
        f"hash(row({amounts})) AS amount, {given} AS given, {quantity} AS quantity{version} "
        f"FROM {table.relation}"
    )
    orders = (
        "SELECT count(*) AS n, count(DISTINCT customer) AS people, "
        "count(DISTINCT content) AS contents, count(DISTINCT amount) AS amounts, "
        "count(CASE WHEN given THEN 1 END) AS given, count(DISTINCT quantity) AS quantities "
        f"FROM counted WHERE sale IS NOT NULL GROUP BY sale{version}"
    )
    return f"""
        WITH counted AS ({rows}), orders AS ({orders}),
        people AS (
            SELECT count(*) AS rows, count(*) - count(customer) AS nobody,
            count(DISTINCT customer) AS customers FROM counted
        )
        SELECT people.*, count(n) AS orders,
        count(CASE WHEN people > 1 THEN 1 END) AS shared,
        count(CASE WHEN contents > 1 THEN 1 END) AS split,
        count(CASE WHEN contents < n THEN 1 END) AS copied,
        count(CASE WHEN contents > 1 AND amounts = 1 THEN 1 END) AS flat,
        count(CASE WHEN contents > 1 AND n > 1 AND given = 1 THEN 1 END) AS once,
        count(CASE WHEN amounts = 1 AND quantities > 1 THEN 1 END) AS varied
        FROM people LEFT JOIN orders ON true GROUP BY ALL
    """


def _id_sql(name: str | None) -> str:
    return "NULL" if name is None else f"nullif(CAST({identifier(name)} AS VARCHAR), '')"


@dataclass(frozen=True)
class Money:
    """A column of money: the total over all rows, and the number of rows in which it is not 0."""

    name: str
    total: float
    filled: int

    def __str__(self) -> str:
        return f"{self.name!r} {self.total:,.2f}"


def amount_of(counts: RowCounts, name: str, *, whole: bool) -> AmountOf:
    """Whether a row's amount is its own, or its order's: on one of its rows, or on each.

    `whole` means that the shop system is known to write the order's total.
    """
    if counts.gives_total_once:
        return "order_once"
    if whole:
        return "order_repeated" if counts.is_flat else "row"
    of_a_line = any(word in name.casefold() for word in OF_A_LINE)
    varied = counts.is_flat and counts.varied >= ENOUGH_VARIED
    return "order_repeated" if varied or (counts.repeats_total and not of_a_line) else "row"


def money_in(
    table: OrdersFiles, profiles: Mapping[str, ColumnProfile], decimal: str
) -> dict[str, Money]:
    """The columns of money by name, in the files' order."""
    names = [
        name
        for name, column in profiles.items()
        if names_money(name) and column.is_number and not column.is_date
    ]
    if not names:
        return {}
    written = dict.fromkeys(names, Notation(decimal, careful=True))
    casts = [cast_sql(AMOUNT, name, table.types, table.source, "UTC", written) for name in names]
    facts = ", ".join(
        f"sum({cast}) AS total_{i}, count(nullif({cast}, 0)) AS filled_{i}"
        for i, cast in enumerate(casts)
    )
    (row,) = table.engine.rows(f"SELECT {facts} FROM {table.relation}")
    return {
        name: Money(name, float(str(row[f"total_{i}"] or 0)), int(str(row[f"filled_{i}"])))
        for i, name in enumerate(names)
    }
