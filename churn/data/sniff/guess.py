"""A first look at a shop's orders: how they are written, what the columns mean, what is odd."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Literal

from churn.data.engines.base import identifier
from churn.data.sniff.columns import REQUIRED, Mapped, map_columns, price_times_quantity
from churn.data.sniff.counted_rows import CountedRows, guess_counted_rows
from churn.data.sniff.files import Encoding, OrdersFiles, opened
from churn.data.sniff.grain import Grain, count_rows
from churn.data.sniff.values import profile
from churn.data.sniff.words import Look, seen, warnings
from churn.errors import DataError

__all__ = ["OrdersGuess", "sniff_orders"]

ROWS = "orders_as_text"
LINE_ONLY = ("product_id", "category", "product_name", "quantity")


@dataclass(frozen=True, kw_only=True)
class OrdersGuess:
    """How the orders in `source` can be read, and what was seen in them.

    `columns` is ours → theirs; the amount may be arithmetic such as `Quantity * UnitPrice`.
    `delimiter` is None for Parquet, `date_format` where dates need none, `currency` unless all
    rows have the same. `seen` says in words what each guess rests on, by the key of the setting.
    """

    source: tuple[Path, ...]
    delimiter: str | None
    decimal: Literal[".", ","]
    encoding: Encoding
    date_format: str | list[str] | None
    grain: Grain
    columns: Mapping[str, str]
    currency: str | None
    rows_seen: int
    customers_seen: int
    first_date: date
    last_date: date
    counted: CountedRows = field(default_factory=CountedRows)
    warnings: tuple[str, ...] = ()
    seen: Mapping[str, str] = field(default_factory=dict)


def sniff_orders(*paths: Path) -> OrdersGuess:
    """How to read the orders in one file or several files alike, text or Parquet.

    DataError where a file is no table, has no rows, or where the customer, the time or the amount
    cannot be told; ConfigError where a file is missing.
    """
    with opened(paths) as opened_files:
        table = _at_hand(opened_files)
        look = _look(table)
        counted = guess_counted_rows(table, look.mapped.columns, grain=look.counts.grain)
        refund = {"refund": counted.refund} if counted.refund else {}
        return OrdersGuess(
            source=paths,
            delimiter=table.source.delimiter,
            decimal=look.decimal,
            encoding=table.source.encoding,
            date_format=look.reading.date_format,
            grain=look.counts.grain,
            columns={**_columns(look), **refund},
            currency=counted.currency or _currency(look),
            rows_seen=look.counts.rows,
            customers_seen=look.counts.customers,
            first_date=look.reading.first,
            last_date=look.reading.last,
            counted=counted,
            warnings=(*warnings(look), *counted.warnings),
            seen={**seen(look), **counted.seen},
        )


def _at_hand(table: OrdersFiles) -> OrdersFiles:
    """The same with its rows in the engine: text is looked at many times, and parsed once."""
    if not table.is_text:
        return table
    with table.engine.reading(table.name):
        table.engine.create(ROWS, f"SELECT * FROM {table.relation}")
    return replace(table, relation=ROWS)


def _look(table: OrdersFiles) -> Look:
    profiles = profile(table)
    if not any(column.filled for column in profiles.values()):
        rule = f"{table.name} must hold at least one order"
        raise DataError(rule, got="a header without rows", fix="Export it with its rows.")
    mapped = map_columns(profiles)
    amount = _amount_columns(mapped)
    if not amount or not {"customer_id", "ordered_at"} <= mapped.columns.keys():
        raise _lacking(table, mapped)
    reading = profiles[mapped.columns["ordered_at"]].reading
    assert reading is not None  # else the column would not be fit to be a time
    counts = count_rows(table, mapped.columns, amount)
    return Look(table, profiles, mapped, reading, counts)


def _amount_columns(mapped: Mapped) -> list[str]:
    """The columns that make the amount; none where it cannot be told."""
    if "amount" in mapped.columns:
        return [mapped.columns["amount"]]
    if price_times_quantity(mapped.columns):
        return [mapped.columns["quantity"], mapped.columns["unit_price"]]
    return []


def _columns(look: Look) -> dict[str, str]:
    """Ours → theirs, the required first; what only lines have is left out of whole orders."""
    found = dict(look.mapped.columns)
    found.setdefault("amount", price_times_quantity(found) or "")
    left_out = {"unit_price"}
    if not look.counts.order_id_holds:
        left_out.add("order_id")
    if look.counts.grain == "order":
        left_out.update(LINE_ONLY)
    if "product_id" not in found:
        left_out.add("product_name")
    order = ("customer_id", "order_id", "ordered_at", "amount")
    ordered = [*order, *(name for name in found if name not in order)]
    return {name: found[name] for name in ordered if name in found and name not in left_out}


def _currency(look: Look) -> str | None:
    """The code in the currency column, where all rows have the same, or else beside the amounts."""
    name = look.mapped.columns.get("currency")
    if name is None:
        signs = look.numbers[0].numbers.known_currencies if look.numbers[0].numbers else ()
        return signs[0] if len(signs) == 1 and len(signs[0]) == 3 else None
    codes = look.table.engine.rows(
        f"SELECT DISTINCT {identifier(name)} AS code FROM {look.table.relation} "
        f"WHERE {identifier(name)} IS NOT NULL LIMIT 2"
    )
    code = str(codes[0]["code"]) if len(codes) == 1 else ""
    return code if code.isascii() and code.isalpha() and len(code) == 3 else None


def _lacking(table: OrdersFiles, mapped: Mapped) -> DataError:
    have = {**mapped.columns, **({"amount": ""} if price_times_quantity(mapped.columns) else {})}
    lacking = [name for name in REQUIRED if name not in have]
    unfit = {role: mapped.unfit[role] for role in lacking if mapped.unfit[role]}
    but = "".join(
        f"; {names} would be {role} by name but not by values" for role, names in unfit.items()
    )
    return DataError(
        f"{table.name} must have columns that tell {lacking}; it has {list(table.types)}{but}",
        fix=f'Map it in [data.orders.columns], e.g. {lacking[0]} = "their name".',
    )
