"""Order numbers used more than once: by two stores with the same numbering, or restarting.

Rows with the same order number are one order (or versions of it) only if they have the same
customer. For one customer, rows of different stores are different orders unless they were placed at
the same moment. If customers of one store share numbers, the numbers restart, each year or each
day: then the day distinguishes orders, too, and for rows with `loaded_at`, which may be versions,
a day more than `VERSION_DAYS` away.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from churn.data.audit import TableAudit, check_share
from churn.data.engines.base import Engine

VERSION_DAYS = 31
RESTART_SHARE = 0.01
SHARED = "shared_order_numbers"
PARTS = "parts_of_order_numbers"
AMBIGUOUS = "of an order_id that several orders share"


def separate_orders(engine: Engine, audit: TableAudit) -> TableAudit:
    """`orders` with an order_id that identifies one order; shared ids are split by customer."""
    columns = engine.columns("orders")
    flags = [_differ("customer_id"), *([_of_stores()] if "store" in columns else [])]
    shared = _numbers(engine, " OR ".join(flags))
    if not shared:
        return audit
    restart = _numbers_restart(engine, columns)
    rule = _of_days(columns) if restart else None
    engine.create(SHARED, _sharing_sql(" OR ".join([*flags, *([rule] if rule else [])])))
    engine.create(PARTS, _parts_sql(columns, rule))
    engine.create("orders", _renamed_sql(columns))
    what = "customer" + (", store" if "store" in columns else "") + (" and day" if restart else "")
    why = "numbers restart" if restart else "the same number is used more than once"
    warning = f"{shared:,} order ids are shared by several orders ({why}): distinguished by {what}"
    return replace(audit, warnings=(*audit.warnings, warning), shared_order_ids=shared)


def lines_of_one_order(engine: Engine, audit: TableAudit, *, limit: float) -> TableAudit:
    """`order_lines` without the lines of shared order ids, whose order is unknown.

    DataError if they exceed the share of unusable rows that is allowed.
    """
    there = f"EXISTS (SELECT 1 FROM {SHARED} AS s WHERE s.order_id = rows.order_id)"
    lost = _count(engine, f"SELECT count(*) AS n FROM order_lines AS rows WHERE {there}")
    if not lost:
        return audit
    check_share(audit, {AMBIGUOUS: lost}, limit=limit)
    engine.create("order_lines", f"SELECT * FROM order_lines AS rows WHERE NOT {there}")
    return replace(audit, dropped={**audit.dropped, AMBIGUOUS: lost})


def _differ(column: str) -> str:
    return f"min({column}) <> max({column})"


def _of_stores() -> str:
    return f"({_differ('store')} AND {_differ('day')})"


def _of_days(columns: Collection[str]) -> str:
    least = VERSION_DAYS if "loaded_day" in columns else 0
    return f"max(local_day) - min(local_day) > {least}"


def _sharing_sql(having: str) -> str:
    return f"SELECT order_id FROM orders GROUP BY order_id HAVING {having}"


def _numbers(engine: Engine, having: str) -> int:
    return _count(engine, f"SELECT count(*) AS n FROM ({_sharing_sql(having)}) AS shared")


def _numbers_restart(engine: Engine, columns: Collection[str]) -> bool:
    """Whether customers of one store share numbers, and not only a few by mistake."""
    within = "order_id, store" if "store" in columns else "order_id"
    groups = f"SELECT {_differ('customer_id')} AS shared FROM orders GROUP BY {within}"
    counted: Mapping[str, object] = engine.rows(
        "SELECT count(*) AS n, sum(CASE WHEN shared THEN 1 ELSE 0 END) AS shared "
        f"FROM ({groups}) AS numbers"
    )[0]
    return int(str(counted["shared"])) > RESTART_SHARE * int(str(counted["n"]))


def _parts_sql(columns: Collection[str], of_days: str | None) -> str:
    """The shared numbers of each customer, and what else distinguishes that customer's orders."""
    stores = _of_stores() if "store" in columns else "false"
    return (
        f"SELECT rows.order_id, customer_id, {stores} AS of_stores, "
        f"{of_days or 'false'} AS of_days FROM orders AS rows JOIN {SHARED} AS shared "
        "ON shared.order_id = rows.order_id GROUP BY rows.order_id, customer_id"
    )


def _renamed_sql(columns: Collection[str]) -> str:
    store = "rows.store" if "store" in columns else "CAST(NULL AS STRING)"
    name = (
        "concat_ws(' / ', rows.order_id, rows.customer_id, "
        f"CASE WHEN parts.of_stores THEN {store} END, "
        "CASE WHEN parts.of_days THEN CAST(rows.local_day AS STRING) END)"
    )
    shown = ", ".join(f"rows.{column}" for column in columns if column != "order_id")
    return (
        f"SELECT {shown}, CASE WHEN parts.order_id IS NULL THEN rows.order_id ELSE {name} END "
        f"AS order_id FROM orders AS rows LEFT JOIN {PARTS} AS parts "
        "ON parts.order_id = rows.order_id AND parts.customer_id = rows.customer_id"
    )


def _count(engine: Engine, sql: str) -> int:
    return int(str(engine.rows(sql)[0]["n"]))
