"""Orders with one row each, whatever their grain in the source, with the versions that arrived.

`loaded_day` is when a version arrived, `superseded_day` when the next version of the same order did
(null for the last): a cutoff c sees the version with loaded_day < c <= superseded_day.
"""

from collections.abc import Sequence
from dataclasses import replace

from churn.data.audit import TableAudit
from churn.data.calendar import without_strays
from churn.data.engines.base import Engine
from churn.data.fences import far_orders_warning
from churn.data.goods_costs import UNCOSTED, cost_sql
from churn.data.order_numbers import separate_orders
from churn.data.refunds import without_cancelled
from churn.data.settings import DataSettings
from churn.errors import ConfigError, DataError

LINE = ("order_id", "product_id", "category", "product_name", "quantity", "amount", "discount")
DETAILS = ("currency", "channel", "store")
CHECKED = ("currency", "store")


def one_row_per_order(engine: Engine, audit: TableAudit, settings: DataSettings) -> TableAudit:
    """Makes the imported `orders` one row per order (or version), in one currency, without
    implausible dates, cancelled invoices and copies; returns the audit with counts and warnings.
    """
    lines = settings.orders.grain == "line"
    _check_line_table(engine.columns("orders"), settings)
    _single_currency(engine, settings.currency)  # grouping would hide a second one
    audit = _without_strays(engine, audit, settings)
    audit = (_orders_from_lines if lines else _orders_from_orders)(engine, audit)
    audit = without_cancelled(engine, audit, lines=lines)
    _drop_checked(engine)
    return replace(audit, warnings=(*audit.warnings, *far_orders_warning(engine)))


def _check_line_table(columns: list[str], settings: DataSettings) -> None:
    """Raises the error for a line table without matching orders, or given twice."""
    if settings.order_lines is None:
        return
    if "order_id" not in columns:
        rule = "order_lines require orders with an order_id"
        raise DataError(rule, fix="Map it in [data.orders.columns], or remove [data.order_lines].")
    if settings.orders.grain == "line":
        rule = 'orders of grain = "line" already contain order_lines'
        raise ConfigError(rule, fix="Remove [data.order_lines].")


def _without_strays(engine: Engine, audit: TableAudit, settings: DataSettings) -> TableAudit:
    """The orders without those on days far from all others, unless the settings keep them."""
    if settings.keep_outlying_dates:
        return audit
    lines = settings.orders.grain == "line" and "order_id" in engine.columns("orders")
    ends = settings.until is None
    limit = settings.bad_row_limit
    return without_strays(engine, audit, lines=lines, ends=ends, limit=limit)


def _orders_from_lines(engine: Engine, audit: TableAudit) -> TableAudit:
    """`orders` grouped by order: earliest time, summed amount; `order_lines` keeps the lines.

    A line that arrives later makes a new version of its order.
    """
    columns = _columns(engine)
    if "order_id" not in columns:
        rule = 'grain = "line" needs an order_id'
        raise DataError(rule, fix='Map it in [data.orders.columns], or set grain = "order".')
    audit = separate_orders(engine, audit)
    lines = [name for name in (*LINE, "loaded_day") if name in columns]
    engine.create("order_lines", f"SELECT {', '.join(lines)} FROM orders")
    engine.create("orders", _orders_sql(columns))
    _supersede(engine)
    return audit


def _orders_sql(columns: set[str]) -> str:
    """One row per order, or per order and batch, with what had arrived of it by then."""
    batched = "loaded_day" in columns
    keys = "customer_id, order_id" + (", loaded_day" if batched else "")
    amounts: dict[str, str] = {name: name for name in ("amount", "discount") if name in columns}
    if "unit_cost" in columns:
        amounts |= {"cost": f"coalesce({cost_sql(columns)}, 0)", "uncosted": UNCOSTED}
    sums = [f"sum({_millionths(sql)}) AS {name}" for name, sql in amounts.items()]
    firsts = [f"min({name}) AS {name}" for name in ("day", "local_day")]
    details = [name for name in DETAILS if name in columns]
    shown = ", ".join([keys, *firsts, *sums, *(f"min({name}) AS {name}" for name in details)])
    grouped = f"SELECT {shown} FROM orders GROUP BY {keys}"
    over = " OVER (PARTITION BY order_id ORDER BY loaded_day)" if batched else None
    first = [f"min({name}){over} AS {name}" if over else name for name in ("day", "local_day")]
    total = [_units(f"sum({name}){over}" if over else name, name) for name in amounts]
    return f"SELECT {', '.join([keys, *first, *total, *details])} FROM ({grouped})"


def _millionths(name: str) -> str:
    """A value in whole millionths: their sum does not depend on the order of the rows."""
    return f"CAST(round(({name}) * 1e6) AS DECIMAL(38, 0))"


def _units(millionths: str, name: str) -> str:
    return f"CAST({millionths} AS DOUBLE) / 1e6 AS {name}"


def _orders_from_orders(engine: Engine, audit: TableAudit) -> TableAudit:
    """`orders` without exact copies; versions of an order are distinguished by `loaded_at`.

    Raises DataError if two different rows claim to be the same version of an order.
    """
    columns = _columns(engine)
    if "order_id" not in columns:
        engine.create(
            "orders", f"SELECT *, CAST({engine.row_id} AS STRING) AS order_id FROM orders"
        )
        return audit
    copies = 0
    if not engine.all_differ("orders", ["order_id"]):
        audit = separate_orders(engine, audit)
        version = [name for name in ("order_id", "loaded_day") if name in columns]
        copies = 0 if engine.all_differ("orders", version) else _without_copies(engine, version)
    _supersede(engine)
    dropped = {**audit.dropped, "exact copies of an order": copies} if copies else audit.dropped
    return replace(audit, dropped=dropped)


def _without_copies(engine: Engine, version: Sequence[str]) -> int:
    """Drops exact copies of an order; returns their number."""
    before = _count(engine, "SELECT count(*) AS n FROM orders")
    engine.create("orders", "SELECT DISTINCT * FROM orders")
    _no_conflicts(engine, ", ".join(version))
    return before - _count(engine, "SELECT count(*) AS n FROM orders")


def _single_currency(engine: Engine, currency: str) -> None:
    """Raises DataError if orders are in a currency other than `currency`, or in several."""
    if "currency" not in _columns(engine):
        return
    found = engine.rows("SELECT DISTINCT currency AS c FROM orders WHERE currency IS NOT NULL")
    names = sorted(str(row["c"]) for row in found)
    if names and names != [currency]:
        raise DataError(
            f"orders must be in the one currency of [data] currency = {currency!r}",
            got=sorted({name if len(name) == 3 else "not a currency code" for name in names})[:10],
            fix="Convert the amounts in the export, name the currency that they are in, or keep "
            "one with [data.orders] where = \"currency = 'EUR'\".",
        )


def _drop_checked(engine: Engine) -> None:
    """Drops columns that only distinguish orders: nothing reads them later, 16 bytes an order."""
    for name in CHECKED:
        if name in _columns(engine):
            engine.drop_column("orders", name)


def _supersede(engine: Engine) -> None:
    if "loaded_day" in _columns(engine):
        newer = "lead(loaded_day) OVER (PARTITION BY order_id ORDER BY loaded_day)"
        engine.create("orders", f"SELECT *, {newer} AS superseded_day FROM orders")


def _no_conflicts(engine: Engine, version: str) -> None:
    groups = f"SELECT {version} FROM orders GROUP BY {version} HAVING count(*) > 1"
    conflicts = _count(engine, f"SELECT count(*) AS n FROM ({groups})")
    if conflicts:
        raise DataError(
            "an order_id must identify one order",
            got=f"{conflicts:,} order ids with conflicting rows",
            fix='Map loaded_at to identify the newer row, or set grain = "line" for order lines.',
        )


def _columns(engine: Engine) -> set[str]:
    return set(engine.columns("orders"))


def _count(engine: Engine, sql: str) -> int:
    return int(str(engine.rows(sql)[0]["n"]))
