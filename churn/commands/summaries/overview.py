"""Orders by month, so that a wrong column or date is obvious."""

from __future__ import annotations

from collections.abc import Mapping

from churn.data.audit import TableAudit
from churn.data.overview import Overview, Period
from churn.results.job_result import Line, Table

HEADER = ("month", "orders", "customers", "revenue", "mean order", "returns", "returned")


def overview_tables(orders: Overview | None) -> tuple[Table, ...]:
    """The months and other key figures; nothing without orders."""
    if orders is None:
        return ()
    facts: list[Line] = [
        ("orders", f"from {orders.first} to {orders.last}"),
        (
            "largest customer",
            f"{orders.largest_share_of_orders:.1%} of orders, "
            f"{orders.largest_share_of_revenue:.1%} of revenue",
        ),
    ]
    if orders.after_as_of:
        facts.append(("not used", f"{orders.after_as_of:,} orders on or after the date"))
    months = tuple(_line(period) for period in (*orders.months, orders.total))
    return (
        Table(f"Orders by month, {orders.currency}", HEADER, months),
        Table("Overview", ("", ""), tuple(facts)),
    )


def _line(period: Period) -> Line:
    mean = "" if period.mean_order is None else f"{period.mean_order:,.2f}"
    counts = (f"{period.orders:,}", f"{period.customers:,}", f"{period.revenue:,.2f}", mean)
    if not period.returns:
        return (period.month, *counts, "", "")
    return (period.month, *counts, f"{period.returns:,}", f"{period.returned:,.2f}")


def audit_table(audits: Mapping[str, TableAudit]) -> Table:
    """Rows read, kept and dropped of each table, with reasons."""
    rows: list[Line] = []
    for name, audit in audits.items():
        rows.append((name, f"{audit.rows_read:,}", f"{audit.rows_kept:,}", ""))
        rows.extend(("", "", f"-{n:,}", reason) for reason, n in audit.dropped.items())
    return Table("Tables", ("table", "rows read", "rows kept", "dropped because"), tuple(rows))
