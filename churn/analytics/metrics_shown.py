"""Retention metrics on the terminal: the balance first, never a rate alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from churn.analytics.lifetime_value import LifetimeValue
from churn.results.job_result import Line, Table

SHOWN = 13
"""Periods on the terminal: a year of 28 days each; files and JSON have all."""

NOTHING = "-"


def displays(
    tables: Mapping[str, pa.Table], value: LifetimeValue | None, resolved: Mapping[str, Any]
) -> tuple[Table, ...]:
    """The newest periods of everyone, the newest period by split, and the lifetime value."""
    rows = tables["periods"]
    everyone = [row for row in rows.to_pylist() if row["split"] == "all"][-SHOWN:]
    newest = everyone[-1]["period"] if everyone else ""
    cells = [r for r in rows.to_pylist() if r["split"] != "all" and r["period"] == newest]
    complete = [r for r in everyone if not r["is_partial"]]
    if complete and complete[-1]["period"] != newest:
        newest = complete[-1]["period"]
        cells = [r for r in rows.to_pylist() if r["split"] != "all" and r["period"] == newest]
    currency = resolved["currency"]
    return (
        _balance(everyone, resolved["active_days"], resolved["target_percent"]),
        _purchases(everyone, currency),
        _money(everyone, currency),
        *([_split(cells, newest)] if cells else []),
        *([_subscriptions(tables["subscriptions"], currency)] if "subscriptions" in tables else []),
        *([] if value is None else [_value(value, currency)]),
    )


def _balance(
    rows: Sequence[Mapping[str, Any]], active_days: int, target: tuple[float, float] | None
) -> Table:
    title = f"Balance of customers (active: bought in the last {active_days} days)"
    header = (
        *("period", "active at start", "kept", "lost", "new", "won back", "active at end"),
        *("kept, %", "±", "last year", "period before", ""),
    )
    return Table(title, header, tuple(_balance_line(row, target) for row in rows))


def _balance_line(row: Mapping[str, Any], target: tuple[float, float] | None) -> Line:
    return (
        row["period"],
        *(count(row[name]) for name in ("active_at_start", "kept", "lost", "new", "won_back")),
        count(row["active_at_end"]),
        *_rate(row),
        number(row["retention_rate_last_year_percent"], 1),
        number(row["retention_rate_before_percent"], 1),
        _mark(row, target),
    )


def _rate(row: Mapping[str, Any]) -> tuple[str, str]:
    rate = row["retention_rate_percent"]
    if rate is None:
        return NOTHING, NOTHING
    half = (row["retention_rate_percent_high"] - row["retention_rate_percent_low"]) / 2
    return number(rate, 1), number(half, 1)


def _mark(row: Mapping[str, Any], target: tuple[float, float] | None) -> str:
    marks = []
    if row["is_truncated"]:
        marks.append("start of the data")
    if row["is_partial"]:
        marks.append("partial")
    if row["late_orders"]:
        orders = "late order" if row["late_orders"] == 1 else "late orders"
        marks.append(f"changed: {row['late_orders']:,} {orders}")
    rate = row["retention_rate_percent"]
    if target is not None and rate is not None and not row["is_partial"]:
        low, high = target
        if not low <= rate <= high:
            side = f"below {low:g}" if rate < low else f"above {high:g}"
            marks.append(f"{side} %, your target")
    return ", ".join(marks)


def _purchases(rows: Sequence[Mapping[str, Any]], currency: str) -> Table:
    header = (
        *("period", "buyers", "orders", "orders per buyer", f"order value, {currency}"),
        *("gross", "refunds", "net", "repeat, %", "days between (median)", "redeemed, %"),
    )
    lines = tuple(
        (
            row["period"],
            *(count(row[name]) for name in ("buyers", "orders")),
            number(row["purchase_frequency"], 2),
            number(row["average_order_value"], 2),
            *(number(row[name], 0) for name in ("gross_revenue", "refunds", "net_revenue")),
            number(row["repeat_purchase_rate_percent"], 1),
            number(row["days_between_purchases_median"], 0),
            number(row["redemption_rate_percent"], 1),
        )
        for row in rows
    )
    return Table("Purchases", header, lines)


def _money(rows: Sequence[Mapping[str, Any]], currency: str) -> Table:
    header = (
        *("period", "revenue before", "gross kept, %", "net kept, %"),
        *("retention cost", "active at end", "per customer (CRC)"),
        *("acquisition cost", "new", "per new customer"),
    )
    lines = tuple(
        (
            row["period"],
            number(row["revenue_before"], 0),
            number(row["gross_revenue_retention_percent"], 1),
            number(row["net_revenue_retention_percent"], 1),
            number(row["retention_cost"], 0),
            count(row["active_at_end"]),
            number(row["retention_cost_per_customer"], 2),
            number(row["acquisition_cost"], 0),
            count(row["new"]),
            number(row["acquisition_cost_per_customer"], 2),
        )
        for row in rows
    )
    return Table(f"Revenue retention and costs ({currency})", header, lines)


def _subscriptions(table: pa.Table, currency: str) -> Table:
    header = (
        *("period", "at start", "kept", "lost", "new", "won back", "at end", "kept, %"),
        *("MRR at start", "lost", "contraction", "expansion", "won", "MRR at end"),
        *("gross kept, %", "net kept, %"),
    )
    states = ("at_start", "kept", "lost", "new", "won_back", "at_end")
    money = ("at_start", "lost", "contraction", "expansion", "won", "at_end")
    lines = tuple(
        (
            row["period"],
            *(count(row[f"subscribers_{name}"]) for name in states),
            number(row["subscription_retention_percent"], 1),
            *(number(row[f"mrr_{name}"], 0) for name in money),
            number(row["gross_mrr_retention_percent"], 1),
            number(row["net_mrr_retention_percent"], 1),
        )
        for row in table.to_pylist()
        if row["split"] == "all"
    )
    title = f"Subscriptions and monthly recurring revenue (MRR, {currency})"
    return Table(title, header, lines[-SHOWN:])


def _split(rows: Sequence[Mapping[str, Any]], period: str) -> Table:
    header = (
        *("split", "value", "active at start", "kept", "lost", "new", "won back"),
        *("active at end", "kept, %", "±", "last year", "orders", "net revenue"),
    )
    lines = tuple(
        (
            row["split"],
            row["value"],
            *(count(row[name]) for name in ("active_at_start", "kept", "lost", "new", "won_back")),
            count(row["active_at_end"]),
            *_rate(row),
            number(row["retention_rate_last_year_percent"], 1),
            count(row["orders"]),
            number(row["net_revenue"], 0),
        )
        for row in rows
    )
    return Table(f"By split, {period}", header, lines)


def _value(value: LifetimeValue, currency: str) -> Table:
    title = f"Customer lifetime value ({currency} of margin per customer who has bought)"
    header = (
        "customers",
        "so far",
        f"expected in {value.horizon_days} days",
        "95 % interval of the mean",
    )
    interval = f"{number(value.low, 2)} to {number(value.high, 2)}"
    line = (f"{value.customers:,}", number(value.realised, 2), number(value.expected, 2), interval)
    return Table(title, header, (line,))


def count(value: float | None) -> str:
    """A count with separators; a dash if it is unknown."""
    return NOTHING if value is None else f"{value:,.0f}"


def number(value: float | None, digits: int) -> str:
    """A number with that many decimals; a dash if it is unknown."""
    return NOTHING if value is None or value != value else f"{value:,.{digits}f}"  # noqa: PLR0124
