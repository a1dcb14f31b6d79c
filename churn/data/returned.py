"""Which purchases were sent back in full, and when: lines netted per customer and product."""

from __future__ import annotations

import narwhals as nw

from churn.data.engines.base import Frame
from churn.data.line_days import lines_where
from churn.data.tables import Tables

__all__ = ["RETURNED_KEYS", "returned_days"]

RETURNED_KEYS = ("customer_id", "product_id", "local_day")
MOVES = "product_moves"
ARRIVALS = ("day", "loaded_day", "line_loaded_day")
NOTHING_LEFT = 0.005  # a cent's half where amounts are netted; no unit where units are


def returned_days(tables: Tables) -> Frame | None:
    """`RETURNED_KEYS` of the purchase days of which nothing is left, and `returned_day`: the
    instant in days from which that is known. None where lines name no product or none is a return.

    A return (a line with an amount below 0) takes back what its customer bought of the product
    last. Units are netted where lines have quantities, else amounts; a return of more than was
    bought takes back all there is.
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
    """What customers with a return of a product bought of it and sent back: units (below 0 for what
    was sent back) and the instant at which that was known.
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
        *RETURNED_KEYS, units=_units(columns), known=nw.max_horizontal(*arrivals)
    )


def _units(columns: list[str]) -> nw.Expr:
    amount = nw.col("amount")
    if "quantity" not in columns:
        return amount
    quantity = nw.col("quantity").cast(nw.Float64).fill_null(1.0).abs()
    return nw.when(amount < 0).then(-quantity).otherwise(quantity)


def _returned_sql(moves: str) -> str:
    """Purchase days whose units are gone: what is held falls back to what it was before them."""
    pair = "customer_id, product_id"
    in_order = f"OVER (PARTITION BY {pair} ORDER BY local_day)"
    daily = (
        f"SELECT {pair}, local_day, sum(units) AS units, max(units) AS most, "
        f"max(CASE WHEN units < 0 THEN known END) AS back FROM {moves} GROUP BY {pair}, local_day"
    )
    running = f"SELECT *, sum(units) {in_order} AS total FROM ({daily}) AS daily"
    # Returns of what was bought before the data began would leave less than nothing.
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
