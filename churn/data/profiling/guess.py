"""Profile of a shop's orders: how they are written, what the columns mean, what looks odd."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Literal

from churn.data.casts import source_columns
from churn.data.contracts import TABLES
from churn.data.engines.base import identifier
from churn.data.notations.look import shape_sql
from churn.data.profiling.columns import REQUIRED, Mapped, map_columns, price_times_quantity, term
from churn.data.profiling.counted_rows import CountedRows, guess_counted_rows
from churn.data.profiling.files import Encoding, OrdersFiles, opened
from churn.data.profiling.grain import AmountOf, Grain, Money, amount_of, count_rows, money_in
from churn.data.profiling.names import name_score
from churn.data.profiling.values import profile
from churn.data.profiling.words import Look, seen, warnings
from churn.errors import ConfigError, DataError

ROWS = "orders_as_text"
WRITTEN = {
    "customer_id": "one whole number or name per customer",
    "ordered_at": "2024-01-31 or 2024-01-31 18:30",
    "amount": "1234.56",
}
LINE_ONLY = ("product_id", "category", "product_name", "quantity")
LINES = ("order_id", "product_id", "category", "product_name", "quantity")


@dataclass(frozen=True, kw_only=True)
class OrdersGuess:
    """How the orders in `source` can be read, and the evidence.

    `columns` is ours → theirs; the amount may be arithmetic such as `Quantity * UnitPrice`.
    `delimiter` is None for Parquet, `date_format` if dates need none, `currency` unless all rows
    have the same one. `seen` is the evidence for each proposed setting, by its key. `system` names
    the shop system that the header identifies, `where` the rows that count, `lines` the columns of
    [data.order_lines] if the same rows are lines of orders with a total, and `money` every column
    of money, the amount first. `address` is the table of a database of which `source` was a copy.
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
    sheet: str | None = None
    system: str | None = None
    where: str | None = None
    lines: Mapping[str, str] = field(default_factory=dict)
    money: tuple[Money, ...] = ()
    notes: tuple[str, ...] = ()
    address: str | None = None


def profile_orders(
    *paths: Path, given: Mapping[str, str] | None = None, name: str | None = None
) -> OrdersGuess:
    """How to read the orders in one file or several files alike, text or Parquet.

    Columns `given`, ours → theirs, take precedence. Messages call the orders `name`, by default as
    their file is called. DataError if a file is not a table, has no
    rows, or if the customer, the time or the amount cannot be identified; ConfigError if a file is
    missing.
    """
    with opened(paths) as opened_files:
        table = _at_hand(replace(opened_files, name=name or opened_files.name))
        look = _look(table, given or {})
        kind = _amount_of(look)
        grain = look.counts.grain if kind == "row" else "order"
        counted = guess_counted_rows(table, look.mapped.columns, grain=grain)
        refund = {"refund": counted.refund} if counted.refund else {}
        return OrdersGuess(
            source=paths,
            delimiter=table.source.delimiter,
            decimal=look.decimal,
            encoding=table.source.encoding,
            date_format=look.reading.date_format,
            grain=grain,
            columns={**_columns(look, kind), **refund},
            currency=counted.currency or _currency(look),
            rows_seen=look.counts.rows,
            customers_seen=look.counts.customers,
            first_date=look.reading.first,
            last_date=look.reading.last,
            counted=counted,
            warnings=(*warnings(look, kind), *counted.warnings),
            seen=_seen(look, kind, counted),
            sheet=table.source.sheet,
            system=look.mapped.system.name if look.mapped.system else None,
            where=_where(look, kind, counted),
            lines=_lines(look) if kind != "row" else {},
            money=_money(look),
            notes=table.notes,
        )


def _at_hand(table: OrdersFiles) -> OrdersFiles:
    """The same with its rows in the engine: text is queried many times, and parsed once."""
    if not table.is_text:
        return table
    with table.engine.reading(table.name):
        table.engine.create(ROWS, f"SELECT * FROM {table.relation}")
    return replace(table, relation=ROWS)


def _look(table: OrdersFiles, given: Mapping[str, str]) -> Look:
    profiles = profile(table)
    if not any(column.filled for column in profiles.values()):
        rule = f"{table.name} must hold at least one order"
        raise DataError(rule, got="a header without rows", fix="Export it with its rows.")
    _check_given(table, given)
    mapped = map_columns(profiles, given)
    amount = _amount_columns(mapped, table.types)
    if not amount or not {"customer_id", "ordered_at"} <= mapped.columns.keys():
        raise _lacking(table, mapped)
    reading = profiles[mapped.columns["ordered_at"]].reading
    if reading is None:  # a column that was given
        raise _lacking(table, Mapped({**mapped.columns, "ordered_at": ""}, (), mapped.unfit))
    counts = count_rows(table, mapped.columns, amount)
    return Look(table, profiles, mapped, reading, counts)


def _check_given(table: OrdersFiles, given: Mapping[str, str]) -> None:
    strange = sorted(set(given) - {column.name for column in TABLES["orders"].columns})
    if strange:
        known = sorted(column.name for column in TABLES["orders"].columns)
        raise ConfigError("--map must name known columns", got=strange, fix=f"Known: {known}.")
    for ours, theirs in given.items():
        missing = [name for name in source_columns(theirs, table.types) if name not in table.types]
        if missing:
            rule = f"--map {ours} must name columns of {table.name}"
            raise ConfigError(rule, got=missing, fix=f"It has {list(table.types)}.")


def _amount_columns(mapped: Mapped, types: dict[str, str]) -> list[str]:
    """The columns that make the amount; none if it cannot be identified."""
    if "amount" in mapped.columns:
        return source_columns(mapped.columns["amount"], types)
    if price_times_quantity(mapped.columns):
        return [mapped.columns["quantity"], mapped.columns["unit_price"]]
    return []


def _amount_of(look: Look) -> AmountOf:
    amount, system = look.mapped.columns.get("amount"), look.mapped.system
    if amount not in look.table.types or not look.counts.order_id_holds:
        return "row"
    whole = system is not None and system.gives_totals
    return amount_of(look.counts, amount, whole=whole)


def _columns(look: Look, kind: AmountOf) -> dict[str, str]:
    """Ours → theirs, the required first; line columns are dropped for whole orders."""
    found = dict(look.mapped.columns)
    found.setdefault("amount", price_times_quantity(found) or "")
    left_out = {"unit_price"}
    if not look.counts.order_id_holds:
        left_out.add("order_id")
    if look.counts.grain == "order" or kind != "row":
        left_out.update(LINE_ONLY)
    if kind == "order_repeated":
        left_out.add("discount")  # of a line, if there are lines
    if "product_id" not in found:
        left_out.add("product_name")
    order = ("customer_id", "order_id", "ordered_at", "amount")
    ordered = [*order, *(column.name for column in TABLES["orders"].columns)]
    shown = (name for name in dict.fromkeys(ordered) if name not in left_out)
    return {name: found[name] for name in shown if name in found}


def _where(look: Look, kind: AmountOf, counted: CountedRows) -> str | None:
    """The rows that have an order's total, and that are purchases."""
    total = [f"{term(look.mapped.columns['amount'])} is not null"] if kind == "order_once" else []
    return " and ".join([*total, *([counted.where] if counted.where else [])]) or None


def _seen(look: Look, kind: AmountOf, counted: CountedRows) -> dict[str, str]:
    own = seen(look, kind)
    both = "; ".join(each["where"] for each in (own, counted.seen) if "where" in each)
    return {**own, **counted.seen, **({"where": both} if both else {})}


def _lines(look: Look) -> dict[str, str]:
    """The columns of order_lines; none if the lines have no product, quantity or price."""
    found = look.mapped.columns
    amount = price_times_quantity(found)
    if amount is None or not {"order_id", "product_id"} <= found.keys():
        return {}
    return {**{name: found[name] for name in LINES if name in found}, "amount": amount}


def _money(look: Look) -> tuple[Money, ...]:
    found = money_in(look.table, look.profiles, look.decimal)
    amount = look.mapped.columns.get("amount", "")
    rivals = sorted(found.values(), key=lambda m: (m.name != amount, -name_score("amount", m.name)))
    return tuple(rivals)


def _currency(look: Look) -> str | None:
    """The code in the currency column, if all rows have the same, or else next to the amounts."""
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
    named = {role: name for role, name in mapped.columns.items() if name}
    have = {**named, **({"amount": ""} if price_times_quantity(mapped.columns) else {})}
    lacking = [name for name in REQUIRED if name not in have]
    unfit = [(role, name) for role in lacking for name in mapped.unfit[role]]
    but = "".join(
        f"; {name!r} is named like {role}, but holds values such as {_shape(table, name)}"
        for role, name in unfit
    )
    fix = f'Pass --map {lacking[0]}="their name", or map it in [data.orders.columns].'
    if unfit:
        fix += f" A column with the right name must hold values such as: {WRITTEN[unfit[0][0]]}."
    return DataError(
        f"{table.name} must have columns for {lacking}; it has {list(table.types)}{but}", fix=fix
    )


def _shape(table: OrdersFiles, name: str) -> str:
    """The most frequent shape of a column's values: 9 for a digit, a or A for a letter."""
    text = f"CAST({identifier(name)} AS VARCHAR)"
    found = table.engine.rows(
        f"SELECT {shape_sql(text)} AS shape, count(*) AS n FROM {table.relation} "
        f"WHERE {text} IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 1"
    )
    return repr(found[0]["shape"]) if found else "none"
