"""The cost of goods of each order, from the `unit_cost` of its lines.

`orders` gets two columns: `cost`, the cost of the lines whose unit cost is known, and `uncosted`,
the amount of the others, for which a margin rate has to do. A line with a negative amount is a
return: its cost comes back.
"""

from __future__ import annotations

from collections.abc import Collection

from churn.data.engines.base import Engine

UNCOSTED = "CASE WHEN unit_cost IS NULL THEN amount ELSE 0 END"


def cost_sql(columns: Collection[str]) -> str:
    """The SQL of the cost of a line, null if its unit cost is; one unit without a quantity."""
    quantity = "abs(coalesce(quantity, 1))" if "quantity" in columns else "1"
    return f"CASE WHEN amount < 0 THEN -1 ELSE 1 END * {quantity} * unit_cost"


def add_costs(engine: Engine, loaded: Collection[str]) -> tuple[str, ...]:
    """Adds the columns to `orders` of one row per order, from a unit cost of their own or of
    `order_lines`; returns warnings.

    Lines with an arrival time are not used: their orders may be known before them.
    """
    columns = engine.columns("orders")
    if "cost" in columns:  # summed from the lines of the same file
        return ()
    if "unit_cost" in columns:
        cost = f"coalesce({cost_sql(columns)}, 0)"
        engine.create("orders", f"SELECT *, {cost} AS cost, {UNCOSTED} AS uncosted FROM orders")
        return ()
    lines = engine.columns("order_lines") if "order_lines" in loaded else []
    if "unit_cost" not in lines:
        return ()
    if "loaded_day" in lines:
        return ("unit_cost is not used for margins, because the lines have a loaded_at",)
    sums = f"sum({cost_sql(lines)}) AS cost, sum({UNCOSTED}) AS uncosted"
    by_order = f"SELECT order_id, {sums} FROM order_lines GROUP BY order_id"
    found = "coalesce(lines.cost, 0) AS cost, coalesce(lines.uncosted, orders.amount) AS uncosted"
    join = f"FROM orders LEFT JOIN ({by_order}) AS lines ON orders.order_id = lines.order_id"
    engine.create("orders", f"SELECT orders.*, {found} {join}")
    return ()
