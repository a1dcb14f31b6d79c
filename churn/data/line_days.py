"""The lines of orders with the customer and day of their order, and purchases that were returned in
full.
"""

from __future__ import annotations

from collections.abc import Sequence

import narwhals as nw

from churn.data.engines.base import Frame
from churn.data.tables import Tables

OF_THE_ORDER = ("order_id", "customer_id", "local_day", "loaded_day", "superseded_day")
OF_THE_LINE = (
    *("order_id", "product_id", "category", "product_name"),
    *("quantity", "amount", "discount"),
)

RETURNED_KEYS = ("customer_id", "product_id", "local_day")
MOVES = "product_moves"
ARRIVALS = ("day", "loaded_day", "line_loaded_day")
NOTHING_LEFT = 0.005  # half a cent for amounts; less than one unit for units


def lines_of_orders(tables: Tables) -> Frame:
    """The lines bought, in every version, with the customer, day and arrival of their order.

    `line_loaded_day` is the arrival of the line itself.
    """
    return lines_where(tables, nw.col("amount") > 0)


def lines_where(tables: Tables, which: nw.Expr, *, more: Sequence[str] = ()) -> Frame:
    """The same for other lines, with `more` columns of their order."""
    ours = tables.columns("order_lines")
    lines = tables.frame("order_lines").filter(which)
    named = [nw.col(name) for name in OF_THE_LINE if name in ours]
    if "loaded_day" in ours:
        named.append(nw.col("loaded_day").alias("line_loaded_day"))
    theirs = [name for name in OF_THE_ORDER if name in tables.columns("orders")]
    orders = tables.frame("orders").select(*theirs, *more)
    return lines.select(*named).join(orders, on="order_id", how="inner")


def returned_days(tables: Tables) -> Frame | None:
    """`RETURNED_KEYS` of the purchase days that were returned completely, and `returned_day`: the
    instant in days from which that is known. None if lines have no product or none is a return.

    A return (a line with an amount below 0) reverses the customer's latest purchase of the product.
    Units are netted if lines have quantities, else amounts; a return of more than was bought
    reverses everything.
    """
    if "product_id" not in tables.columns("order_lines") or not _any_return(tables):
        return None
    if not tables.keeps(MOVES):
        tables.once(MOVES, _moves(tables))
        tables.engine.create("returned_products", _returned_sql(MOVES))
    return tables.engine.lazy("returned_products")


def _any_return(tables: Tables) -> bool:
    return bool(tables.engine.rows("SELECT 1 AS found FROM order_lines WHERE amount < 0 LIMIT 1"))


def _moves(tables: Tables) -> Frame:
    """Purchases and returns of the products that a customer returned: units (below 0 for returns)
    and the instant at which they were known.
    """
    moves = lines_where(tables, nw.col("amount") != 0, more=["day"])
    moves = moves.filter(~nw.col("product_id").is_null())
    columns = moves.collect_schema().names()
    if "superseded_day" in columns:
        moves = moves.filter(nw.col("superseded_day").is_null())
    pair = list(RETURNED_KEYS[:2])
    back = moves.filter(nw.col("amount") < 0).select(*pair).unique()
    arrivals = [nw.col(name).fill_null(nw.col("day")) for name in ARRIVALS if name in columns]
    return moves.join(back, on=pair, how="semi").select(
        *RETURNED_KEYS, units=_returned_units(columns), known=nw.max_horizontal(*arrivals)
    )


def _returned_units(columns: list[str]) -> nw.Expr:
    amount = nw.col("amount")
    if "quantity" not in columns:
        return amount
    quantity = nw.col("quantity").cast(nw.Float64).fill_null(1.0).abs()
    return nw.when(amount < 0).then(-quantity).otherwise(quantity)


def _returned_sql(moves: str) -> str:
    """Purchase days whose units are gone: the balance falls back to what it was before them."""
    pair = "customer_id, product_id"
    in_order = f"OVER (PARTITION BY {pair} ORDER BY local_day)"
    daily = (
        f"SELECT {pair}, local_day, sum(units) AS units, max(units) AS most, "
        f"max(CASE WHEN units < 0 THEN known END) AS back FROM {moves} GROUP BY {pair}, local_day"
    )
    running = f"SELECT *, sum(units) {in_order} AS total FROM ({daily}) AS daily"
    # Returns of purchases from before the data began would make the balance negative.
    floored = (
        f"SELECT *, total - least(min(total) {in_order}, 0.0) AS held FROM ({running}) AS running"
    )
    steps = (
        f"SELECT *, coalesce(lag(held) {in_order}, 0.0) AS held_before FROM ({floored}) AS floored"
    )
    return (
        f"WITH steps AS ({steps}) SELECT bought.customer_id, bought.product_id, bought.local_day, "
        "min(gone.back) AS returned_day FROM steps AS bought JOIN steps AS gone "
        "ON bought.customer_id = gone.customer_id AND bought.product_id = gone.product_id "
        "AND gone.local_day >= bought.local_day AND gone.back IS NOT NULL "
        f"AND gone.held <= bought.held_before + {NOTHING_LEFT} "
        "WHERE bought.most > 0 GROUP BY 1, 2, 3"
    )
