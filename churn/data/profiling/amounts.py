"""What an amount refers to: the whole order or one line; and the other columns of money."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from churn.data.casts import cast_sql
from churn.data.contracts import Column
from churn.data.notations.look import Notation
from churn.data.profiling.files import OrdersFiles
from churn.data.profiling.grain import RowCounts
from churn.data.profiling.names import names_money
from churn.data.profiling.values import ColumnProfile

AmountOf: TypeAlias = Literal["row", "order_once", "order_repeated"]
AMOUNT = Column("amount", "number")
FEW = 3
OF_A_LINE = ("line", "item", "unit", "product", "position", "row", "artikel", "price", "preis")


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
    varied = counts.is_flat and counts.varied >= FEW
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
