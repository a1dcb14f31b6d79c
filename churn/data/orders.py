"""Orders at one row each, whatever the grain they came in, with the versions that arrived.

`loaded_day` tells when a version arrived, `superseded_day` when the next version of the same order
did (null for the last): a cutoff c sees the version with loaded_day < c <= superseded_day.
"""

from churn.data.audit import TableAudit
from churn.data.engine import DuckDBEngine
from churn.errors import DataError

__all__ = ["orders_from_lines", "orders_from_orders", "single_currency"]

LINE = ("order_id", "product_id", "category", "quantity", "amount", "discount")
DETAILS = ("currency", "channel", "store")


def orders_from_lines(engine: DuckDBEngine, audit: TableAudit) -> TableAudit:
    """`orders` grouped by order: earliest time, summed amount; `order_lines` keeps the lines.

    A line that arrives later makes a new version of its order.
    """
    columns = _columns(engine)
    if "order_id" not in columns:
        rule = 'grain = "line" needs an order_id'
        raise DataError(rule, fix='Map it in [data.orders.columns], or set grain = "order".')
    _one_customer_per_order(engine)
    lines = [name for name in (*LINE, "loaded_day") if name in columns]
    engine.create("order_lines", f"SELECT {', '.join(lines)} FROM orders")
    batch = ", loaded_day" if "loaded_day" in columns else ""
    sums = [_exact_sum(name) for name in ("amount", "discount") if name in columns]
    details = [f"min({name}) AS {name}" for name in DETAILS if name in columns]
    parts = ", ".join(["min(day) AS day", "min(local_day) AS local_day", *sums, *details])
    orders = f"SELECT customer_id, order_id{batch}, {parts} FROM orders GROUP BY ALL"
    engine.create("orders", _cumulated(orders, columns) if batch else orders)
    _supersede(engine)
    return audit


def _exact_sum(name: str) -> str:
    """A sum in decimals: the same to the last bit whatever the order of the rows."""
    return f"CAST(sum(CAST({name} AS DECIMAL(38, 6))) AS DOUBLE) AS {name}"


def _cumulated(batches: str, columns: set[str]) -> str:
    over = "OVER (PARTITION BY order_id ORDER BY loaded_day)"
    summed = ["amount"] + (["discount"] if "discount" in columns else [])
    replaced = [f"sum({name}) {over} AS {name}" for name in summed]
    replaced += [f"min({name}) {over} AS {name}" for name in ("day", "local_day")]
    return f"SELECT * REPLACE ({', '.join(replaced)}) FROM ({batches})"


def orders_from_orders(engine: DuckDBEngine, audit: TableAudit) -> TableAudit:
    """`orders` without exact copies; versions of an order are told apart by `loaded_at`.

    Raises DataError when two different rows claim to be the same version of an order.
    """
    columns = _columns(engine)
    if "order_id" not in columns:
        engine.create("orders", "SELECT *, CAST(rowid AS VARCHAR) AS order_id FROM orders")
        return audit
    before = _count(engine, "SELECT count(*) AS n FROM orders")
    version = "order_id, loaded_day" if "loaded_day" in columns else "order_id"
    if (
        _count(engine, f"SELECT count(*) AS n FROM (SELECT DISTINCT {version} FROM orders)")
        < before
    ):
        engine.create("orders", "SELECT DISTINCT * FROM orders")
        _no_conflicts(engine, version)
    copies = before - _count(engine, "SELECT count(*) AS n FROM orders")
    _supersede(engine)
    dropped = {**audit.dropped, "exact copies of an order": copies} if copies else audit.dropped
    return TableAudit(audit.table, audit.rows_read, dropped, audit.notes)


def single_currency(engine: DuckDBEngine, currency: str) -> None:
    """Nothing, or DataError when orders are in another currency than `currency`, or in several."""
    if "currency" not in _columns(engine):
        return
    found = engine.rows("SELECT DISTINCT currency AS c FROM orders WHERE currency IS NOT NULL")
    names = sorted(str(row["c"]) for row in found)
    if names and names != [currency]:
        raise DataError(
            f"orders must be in the one currency of [data] currency = {currency!r}",
            got=names[:10],
            fix="Convert the amounts in the export, or name the currency that they are in.",
        )


def _supersede(engine: DuckDBEngine) -> None:
    if "loaded_day" in _columns(engine):
        newer = "lead(loaded_day) OVER (PARTITION BY order_id ORDER BY loaded_day)"
        engine.create("orders", f"SELECT *, {newer} AS superseded_day FROM orders")


def _no_conflicts(engine: DuckDBEngine, version: str) -> None:
    groups = f"SELECT {version} FROM orders GROUP BY ALL HAVING count(*) > 1"
    conflicts = _count(engine, f"SELECT count(*) AS n FROM ({groups})")
    if conflicts:
        raise DataError(
            "an order_id must mean one order",
            got=f"{conflicts:,} order ids with rows that differ",
            fix='Map loaded_at to tell which is newer, or set grain = "line" for a file of lines.',
        )


def _one_customer_per_order(engine: DuckDBEngine) -> None:
    groups = "SELECT order_id FROM orders GROUP BY 1 HAVING min(customer_id) <> max(customer_id)"
    shared = _count(engine, f"SELECT count(*) AS n FROM ({groups})")
    if shared:
        raise DataError(
            "an order must belong to one customer",
            got=f"{shared:,} order ids with lines of two or more",
            fix="Map another order_id, or make it unique in the export.",
        )


def _columns(engine: DuckDBEngine) -> set[str]:
    return {str(row["column_name"]) for row in engine.rows("DESCRIBE orders")}


def _count(engine: DuckDBEngine, sql: str) -> int:
    return int(str(engine.rows(sql)[0]["n"]))
