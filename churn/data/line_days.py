"""The lines of orders at a row per customer, day and category, with steps that only look backward.

Lines with an amount above zero count as bought. Lines of returns, and free ones, count for nothing.
"""

from collections.abc import Sequence

import narwhals as nw

from churn.data.engines.base import Frame
from churn.data.tables import Tables

__all__ = ["line_days", "lines_of_orders", "lines_where"]

OF_THE_ORDER = ("order_id", "customer_id", "local_day", "loaded_day", "superseded_day")
LEAST_MEASURE = 1_000.0
OF_THE_LINE = (
    *("order_id", "product_id", "category", "product_name"),
    *("quantity", "amount", "discount"),
)


def lines_of_orders(tables: Tables) -> Frame:
    """The lines bought, with customer, day and arrival of their order; of every version of it.

    `line_loaded_day` is the arrival of the line itself.
    """
    return lines_where(tables, nw.col("amount") > 0)


def lines_where(tables: Tables, which: nw.Expr, *, more: Sequence[str] = ()) -> Frame:
    """The same of other lines, with `more` columns of their order."""
    ours = tables.columns("order_lines")
    lines = tables.frame("order_lines").filter(which)
    named = [nw.col(name) for name in OF_THE_LINE if name in ours]
    if "loaded_day" in ours:
        named.append(nw.col("loaded_day").alias("line_loaded_day"))
    theirs = [name for name in OF_THE_ORDER if name in tables.columns("orders")]
    orders = tables.frame("orders").select(*theirs, *more)
    return lines.select(*named).join(orders, on="order_id", how="inner")


def line_days(lines: Frame, keys: Sequence[str]) -> Frame:
    """`keys`, local_day, lines and spend, a row per category; a missing category is one, too.

    Where lines have them: product_lines (with a product) and new_products (products bought for the
    first time); units (one for a line of `LEAST_MEASURE` or more), counted_lines and price_log_sum
    (of the logarithms of amount per unit), all of lines with a quantity above zero; discount and
    discounted_lines. With categories: category_total (spend up to this day), category_gap_days (to
    the day before of the category, null for its first) and entropy_change (of x ln x, with x the
    category_total).
    """
    columns = lines.collect_schema().names()
    if "product_id" in columns:
        lines = lines.with_columns(is_new_product=_is_new_product(keys))
    by = [*keys, "local_day", *(["category"] if "category" in columns else [])]
    daily = lines.group_by(*by).agg(**_sums(columns))
    return _with_categories(daily, keys) if "category" in columns else daily


def _is_new_product(keys: Sequence[str]) -> nw.Expr:
    """True on one line of the first day of each product."""
    before = nw.col("local_day").shift(1).over(*keys, "product_id", order_by="local_day")
    return before.is_null() & ~nw.col("product_id").is_null()


def _sums(columns: Sequence[str]) -> dict[str, nw.Expr]:
    amount = nw.col("amount")
    sums = {"lines": nw.len(), "spend": amount.sum()}
    if "product_id" in columns:
        sums["product_lines"] = nw.col("product_id").count()
        sums["new_products"] = nw.when(nw.col("is_new_product")).then(1).otherwise(0).sum()
    if "quantity" in columns:
        counted = nw.when(nw.col("quantity") > 0)
        units = counted.then(_units(nw.col("quantity").cast(nw.Float64)))
        log_price = amount.log() - units.otherwise(1.0).log()
        sums["units"] = units.otherwise(0.0).sum()
        sums["counted_lines"] = counted.then(1).otherwise(0).sum()
        sums["price_log_sum"] = counted.then(log_price).otherwise(0.0).sum()
    if "discount" in columns:
        given = nw.when(nw.col("discount") > 0)
        sums["discount"] = given.then(nw.col("discount")).otherwise(0.0).sum()
        sums["discounted_lines"] = given.then(1).otherwise(0).sum()
    return sums


def _units(quantity: nw.Expr) -> nw.Expr:
    """A quantity, or one where it measures (grams, thousandths of a gallon) and does not count."""
    return nw.when(quantity < LEAST_MEASURE).then(quantity).otherwise(nw.lit(1.0))


def _with_categories(daily: Frame, keys: Sequence[str]) -> Frame:
    within = (*keys, "category")
    running = daily.with_columns(
        category_total=nw.col("spend").cum_sum().over(*within, order_by="local_day"),
        day_before=nw.col("local_day").shift(1).over(*within, order_by="local_day"),
    )
    total = nw.col("category_total")
    return running.with_columns(
        category_gap_days=nw.col("local_day") - nw.col("day_before"),
        entropy_change=_x_ln_x(total) - _x_ln_x(total - nw.col("spend")),
    ).drop("category", "day_before")


def _x_ln_x(x: nw.Expr) -> nw.Expr:
    positive = nw.when(x > 0).then(x).otherwise(nw.lit(1.0))
    return positive * positive.log()
