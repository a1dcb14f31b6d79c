"""Who bought which product, or category, on which day, and when that was known."""

from __future__ import annotations

from typing import Literal

import narwhals as nw

from churn.data.days import day_number
from churn.data.engines.base import Frame
from churn.data.line_days import RETURNED_KEYS, lines_of_orders, returned_days
from churn.data.tables import Snapshot, Tables
from churn.errors import DataError

Level = Literal["product", "category"]

COLUMN_OF = {"product": "product_id", "category": "category"}
KEYS = ("customer_id", "product", "local_day")
KNOWN = ("known_from", "known_until")
ALWAYS, FOR_EVER = -1e9, 1e9  # days before and after all dates of a shop


def product_days(snapshot: Snapshot, *, level: Level = "product") -> Frame:
    """customer_id, product, local_day: a row for each day on which a customer bought a product
    (by `level`: anything of a category), as far as it had happened and arrived by the snapshot.

    If rows arrive late, or some were returned, also known_from and known_until, instants in days:
    the row is known at a moment c if known_from < c <= known_until, because then that version of
    its order was current, and not everything bought that day had been returned.
    Raises DataError if the shop has no order lines with products, or categories.
    """
    _check(snapshot.tables, level)
    lines = _kept(snapshot.tables, _lines(snapshot.tables, level))
    known = [name for name in KNOWN if name in lines.collect_schema().names()]
    once = snapshot.tables.once(f"{level}_days", lines.select(*KEYS, *known).unique())
    return _before(once, snapshot)


def product_facts(snapshot: Snapshot, *, level: Level = "product") -> Frame:
    """product, its last_day before the snapshot, and category and name if lines have them; the
    first by name if there are several.
    """
    _check(snapshot.tables, level)
    lines = _before(_lines(snapshot.tables, level), snapshot)
    facts = {"last_day": nw.col("local_day").max()}
    if level == "product":
        columns = lines.collect_schema().names()
        attributes = {"category": "category", "name": "product_name"}
        facts |= {ours: nw.col(name).min() for ours, name in attributes.items() if name in columns}
    return lines.group_by("product").agg(**facts)


def _check(tables: Tables, level: Level) -> None:
    column = COLUMN_OF[level]
    if not tables.has("order_lines") or column not in tables.columns("order_lines"):
        raise DataError(
            f"recommendations by {level} need lines of orders that have a {column}",
            got="none",
            fix=f"Connect [data.order_lines], or map {column} where a row of orders is a line.",
        )


def _lines(tables: Tables, level: Level) -> Frame:
    """The lines bought, each with its `product`; if rows arrive late, when it was known."""
    lines = lines_of_orders(tables).with_columns(product=nw.col(COLUMN_OF[level]))
    return _dated(lines.filter(~nw.col("product").is_null()))


def _kept(tables: Tables, lines: Frame) -> Frame:
    """The lines, each known until everything bought of its product that day had been returned."""
    returned = returned_days(tables)
    if returned is None:
        return lines
    if "known_until" not in lines.collect_schema().names():
        lines = lines.with_columns(known_from=nw.lit(ALWAYS), known_until=nw.lit(FOR_EVER))
    joined = lines.join(returned, on=[*RETURNED_KEYS], how="left")
    until, back = nw.col("known_until"), nw.col("returned_day").fill_null(FOR_EVER)
    return joined.with_columns(known_until=nw.when(back < until).then(back).otherwise(until))


def _dated(lines: Frame) -> Frame:
    columns = lines.collect_schema().names()
    arrivals = [name for name in ("loaded_day", "line_loaded_day") if name in columns]
    if not arrivals:
        return lines
    came = [nw.col(name).fill_null(ALWAYS) for name in arrivals]
    last = (
        came[0] if len(came) == 1 else nw.when(came[0] > came[1]).then(came[0]).otherwise(came[1])
    )
    until = nw.lit(FOR_EVER)
    if "superseded_day" in columns:
        until = nw.col("superseded_day").fill_null(FOR_EVER)
    return lines.with_columns(known_from=last, known_until=until)


def _before(rows: Frame, snapshot: Snapshot) -> Frame:
    """The rows that had happened by the snapshot, and of which some version had arrived."""
    seen = nw.col("local_day") < day_number(snapshot.as_of)
    if "known_from" in rows.collect_schema().names():
        seen = seen & (nw.col("known_from") < snapshot.instant)
    return rows.filter(seen)
