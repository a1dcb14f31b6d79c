"""Totals of the orders, by month and overall, and the largest customer's share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from churn.data.days import date_of, day_number
from churn.data.tables import Tables

MONTHS = 24
EARLIER = "earlier"
FACTS = (
    "count(CASE WHEN amount > 0 THEN 1 END) AS orders, "
    "count(DISTINCT CASE WHEN amount > 0 THEN customer_id END) AS customers, "
    "sum(amount) AS revenue, sum(CASE WHEN amount > 0 THEN amount END) AS bought, "
    "count(CASE WHEN amount < 0 THEN 1 END) AS returns, "
    "sum(CASE WHEN amount < 0 THEN amount END) AS returned"
)


@dataclass(frozen=True)
class Period:
    """A month or a longer period: orders above 0, the customers who placed them, the money net of
    returns, and the returns, which are orders below 0.
    """

    month: str
    orders: int
    customers: int
    revenue: float
    mean_order: float | None
    returns: int
    returned: float


@dataclass(frozen=True)
class Overview:
    """The last months with orders, the time before them, and the total."""

    currency: str
    first: date
    last: date
    months: tuple[Period, ...]
    total: Period
    largest_share_of_orders: float
    largest_share_of_revenue: float
    after_as_of: int

    def to_dict(self) -> dict[str, Any]:
        """The same figures for machines."""
        return {
            "currency": self.currency,
            "first_order": str(self.first),
            "last_order": str(self.last),
            "months": [asdict(month) for month in self.months],
            "total": {key: value for key, value in asdict(self.total).items() if key != "month"},
            "largest_customer": {
                "share_of_orders": self.largest_share_of_orders,
                "share_of_revenue": self.largest_share_of_revenue,
            },
            "orders_at_or_after_as_of": self.after_as_of,
        }


def overview(tables: Tables, *, as_of: date | None = None) -> Overview | None:
    """The totals of the orders in their latest version; None if there are no orders.

    `as_of` counts the orders that are too late to be used.
    """
    if not tables.audits["orders"].rows_kept:
        return None
    first, last = tables.span()
    known = "WHERE superseded_day IS NULL" if "superseded_day" in tables.columns("orders") else ""
    case = _month_sql(list(_month_starts(first, last)))
    rows = tables.engine.rows(f"SELECT {case} AS month, {FACTS} FROM orders {known} GROUP BY 1")
    months = sorted((_period(row) for row in rows), key=_by_time)
    total = _total(tables, known)
    by_orders, by_money = _largest(tables, known, total)
    late = 0 if as_of is None else _orders_from(tables, known, day_number(as_of))
    currency = tables.settings.currency
    return Overview(currency, first, last, tuple(months), total, by_orders, by_money, late)


def _by_time(period: Period) -> tuple[bool, str]:
    return period.month != EARLIER, period.month


def _month_starts(first: date, last: date) -> Iterator[date]:
    """The first days of the last months, newest first."""
    month = last.replace(day=1)
    for _ in range(MONTHS):
        yield month
        if month <= first:
            return
        month = date_of(day_number(month) - 1).replace(day=1)


def _month_sql(starts: Sequence[date]) -> str:
    """The SQL of an order's month, from the newest; date arithmetic differs between engines."""
    cases = " ".join(
        f"WHEN local_day >= {day_number(start)} THEN '{start:%Y-%m}'" for start in starts
    )
    return f"CASE {cases} ELSE '{EARLIER}' END"


def _period(row: dict[str, Any]) -> Period:
    orders = int(row["orders"])
    return Period(
        month=str(row["month"]),
        orders=orders,
        customers=int(row["customers"]),
        revenue=_cents(row["revenue"]),
        mean_order=_cents(row["bought"] / orders) if orders else None,
        returns=int(row["returns"]),
        returned=_cents(row["returned"]),
    )


def _cents(value: Any) -> float:
    return round(float(value or 0), 2) + 0.0


def _total(tables: Tables, known: str) -> Period:
    (row,) = tables.engine.rows(f"SELECT 'all' AS month, {FACTS} FROM orders {known}")
    return _period(row)


def _largest(tables: Tables, known: str, total: Period) -> tuple[float, float]:
    """The largest customer's share of the orders and of the revenue."""
    where = f"{known} AND amount > 0" if known else "WHERE amount > 0"
    (row,) = tables.engine.rows(
        "SELECT max(n) AS n, max(s) AS s, sum(s) AS all_s FROM (SELECT count(*) AS n, "
        f"sum(amount) AS s FROM orders {where} GROUP BY customer_id) AS customers"
    )
    found: dict[str, Any] = row
    if not total.orders:
        return 0.0, 0.0
    return round(found["n"] / total.orders, 4), round(found["s"] / found["all_s"], 4)


def _orders_from(tables: Tables, known: str, day: int) -> int:
    where = f"{known} AND local_day >= {day}" if known else f"WHERE local_day >= {day}"
    (row,) = tables.engine.rows(f"SELECT count(*) AS n FROM orders {where}")
    return int(str(row["n"]))
