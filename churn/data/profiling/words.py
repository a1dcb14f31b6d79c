"""Messages of the profile: the evidence for each proposed setting, and oddities."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from churn.data.casts import source_columns
from churn.data.profiling.columns import Mapped
from churn.data.profiling.files import OrdersFiles
from churn.data.profiling.grain import AmountOf, RowCounts
from churn.data.profiling.values import ColumnProfile, DateReading

NUMBERS = ("amount", "quantity", "unit_price", "discount")


@dataclass(frozen=True)
class Look:
    """Everything that the profile is based on."""

    table: OrdersFiles
    profiles: Mapping[str, ColumnProfile]
    mapped: Mapped
    reading: DateReading
    counts: RowCounts

    @property
    def time(self) -> ColumnProfile:
        """The column of the time at which the order was placed."""
        return self.profiles[self.mapped.columns["ordered_at"]]

    @property
    def numbers(self) -> list[ColumnProfile]:
        """The columns in which the number notation matters, the amount first."""
        named = [
            name
            for role in NUMBERS
            if role in self.mapped.columns
            for name in source_columns(self.mapped.columns[role], self.table.types)
        ]
        return [self.profiles[name] for name in dict.fromkeys(named)]

    @property
    def decimal(self) -> Literal[".", ","]:
        """The comma if more numbers can only be read with it than only without it."""
        looks = [column.numbers for column in self.numbers if column.numbers]
        comma, point = sum(look.comma for look in looks), sum(look.point for look in looks)
        return "," if comma > point else "."

    def readable(self, column: ColumnProfile) -> int:
        """The number of the column's values that are numbers in the notation of the files."""
        return column.readable(self.decimal)


def seen(look: Look, kind: AmountOf) -> dict[str, str]:
    """The evidence for each proposed setting, by its key."""
    counts = look.counts
    amount = look.numbers[0]
    found = {
        "customer_id": f"{counts.customers:,} customers in {counts.rows:,} rows",
        "ordered_at": look.reading.evidence(look.time.filled),
        "amount": f"{look.readable(amount):,} of {amount.filled:,} values are numbers",
        "decimal": f"{_with_comma(look):,} numbers are written like 12,50",
        "grain": "there is no order id, so each row is an order",
    }
    if counts.order_id_holds:
        ids = f"{counts.orders:,} order ids"
        found |= {"order_id": ids, "grain": f"{counts.split:,} of {ids} have rows that differ"}
    if kind == "order_once":
        found["where"] = "the total is on one line of each order"
        found["grain"] = f"{counts.once:,} orders have further lines, without a total"
    if kind == "order_repeated":
        found["grain"] = f"{counts.flat:,} orders have the same total on all of their lines"
    return found


def _with_comma(look: Look) -> int:
    return sum(column.numbers.comma for column in look.numbers if column.numbers)


def warnings(look: Look, kind: AmountOf) -> tuple[str, ...]:
    """Remarks to check before trusting the profile, as full sentences."""
    doubts = [*look.mapped.doubts, look.reading.doubtful(look.time.name), _odd_dates(look)]
    doubts += [_odd_numbers(look, column) for column in look.numbers]
    doubts += [_thousandths(column) for column in look.numbers]
    doubts += [*_odd_customers(look.counts), *_odd_orders(look, kind)]
    return tuple(doubt for doubt in doubts if doubt)


def _odd_dates(look: Look) -> str | None:
    odd = look.time.filled - look.reading.hits
    if not odd:
        return None
    return (
        f"{odd:,} of {look.time.filled:,} values in {look.time.name!r} could not be read as dates."
    )


def _odd_numbers(look: Look, column: ColumnProfile) -> str | None:
    odd = column.filled - look.readable(column)
    if not odd:
        return None
    return f"{odd:,} of {column.filled:,} values in {column.name!r} could not be read as numbers."


def _thousandths(column: ColumnProfile) -> str | None:
    numbers = column.numbers
    if numbers is None or not numbers.is_doubtful:
        return None
    if numbers.with_comma:
        return (
            f"{numbers.differs:,} values in {column.name!r} look like 1,234 and are read as "
            'thousands. If they are a little more than one, set decimal = ",".'
        )
    return (
        f"{numbers.differs:,} values in {column.name!r} look like 1.234 and are read as a little "
        'more than one. If they are thousands, set decimal = ",".'
    )


def _odd_customers(counts: RowCounts) -> list[str]:
    doubts = []
    if counts.nobody:
        share = counts.nobody / counts.rows
        doubts.append(f"{counts.nobody:,} rows ({share:.1%}) have no customer and are left out.")
    if counts.customers == counts.rows - counts.nobody:
        doubts.append("No customer appears twice: nothing can be learnt about repeat purchases.")
    return doubts


def _odd_orders(look: Look, kind: AmountOf) -> list[str]:
    counts = look.counts
    name = look.mapped.columns.get("order_id")
    if name is None:
        return []
    if not counts.order_id_holds:
        return [f"{name!r} is left out: {counts.shared:,} of its values belong to two customers."]
    doubts = []
    if counts.shared:
        doubts.append(f"{counts.shared:,} order ids belong to two customers, which is rejected.")
    if kind == "order_repeated":
        doubts.append(
            "The amount is the same on all lines of an order, so it is taken as the order's total "
            'and counted once. If it is the amount of a line, set grain = "line".'
        )
    if kind != "row":
        return doubts
    if counts.grain == "order" and counts.split:
        doubts.append(f"{counts.split:,} order ids occur twice with different rows.")
    if counts.grain == "order" and counts.copied:
        doubts.append(f"{counts.copied:,} orders occur twice; the copies are dropped.")
    if counts.repeats_total:
        doubts.append(
            "The amount is the same on all lines of nearly every order. If it is the order's "
            'total, it is counted once for each line: set grain = "order".'
        )
    return doubts
