"""Cohorts and survival on the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from churn.analytics.metrics_shown import count, number
from churn.analytics.survival import SurvivalCurve
from churn.results.job_result import Line, Table

SHOWN = 13
"""Cohorts and ages on the terminal; files and JSON have all."""

DAYS = (30, 90, 180, 365)


def displays(
    rows: pa.Table, curves: Mapping[str, SurvivalCurve], resolved: Mapping[str, Any]
) -> tuple[Table, ...]:
    """The triangles of customers and of cumulative margin, and the two curves."""
    currency, lapse = resolved["currency"], resolved["active_days"]
    by_cohort: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows.to_pylist():
        by_cohort.setdefault(row["cohort"], []).append(row)
    newest = dict(list(by_cohort.items())[-SHOWN:])
    return (
        _triangle("Customers who bought, % of the cohort", newest, "customers_percent", 0),
        _triangle(
            f"Cumulative margin per customer, {currency}",
            newest,
            "cumulative_margin_per_customer",
            2,
        ),
        _curves(curves, lapse),
    )


def _triangle(
    title: str, cohorts: Mapping[str, Sequence[Mapping[str, Any]]], column: str, digits: int
) -> Table:
    ages = min(max((len(rows) for rows in cohorts.values()), default=0), SHOWN)
    is_open = any(row["is_open"] for rows in cohorts.values() for row in rows)
    header = ("cohort", "customers", *map(str, range(ages)), *["next closes on"] * is_open)
    lines = tuple(
        _line(name, rows, column, digits, ages)[: len(header)] for name, rows in cohorts.items()
    )
    return Table(f"{title}, by periods since the first purchase", header, lines)


def _line(
    name: str, rows: Sequence[Mapping[str, Any]], column: str, digits: int, ages: int
) -> Line:
    cells = ["" if row["is_open"] else number(row[column], digits) for row in rows[:ages]]
    closes = next((str(row["closes_on"]) for row in rows if row["is_open"]), "")
    mark = "*" if rows[0]["is_truncated"] else ""
    padding = [""] * (ages - len(cells))
    return (f"{name}{mark}", count(rows[0]["cohort_size"]), *cells, *padding, closes)


def _curves(curves: Mapping[str, SurvivalCurve], active_days: int) -> Table:
    header = ("survival", "customers", "events", *(f"{day} days" for day in DAYS), "median, days")
    names = {"second_purchase": "no second purchase", "lapse": "not lapsed"}
    lines = tuple(_curve_line(names[name], curve) for name, curve in curves.items())
    title = "Survival since the first purchase, % (95 % interval); lapse: nothing bought for"
    return Table(f"{title} {active_days} days", header, lines)


def _curve_line(name: str, curve: SurvivalCurve) -> Line:
    customers = int(curve.at_risk[0]) if len(curve.at_risk) else 0
    shares = [_at(curve, day) for day in DAYS]
    return (
        name,
        f"{customers:,}",
        count(int(curve.events.sum())),
        *shares,
        number(curve.median, 0),
    )


def _at(curve: SurvivalCurve, day: int) -> str:
    """The survival at that day; a dash beyond the longest observation."""
    place = curve.at(day)
    if place < 0:
        return "100.0"
    if not len(curve.times) or day > curve.times[-1]:
        return "-"
    low, high = curve.low[place], curve.high[place]
    bounds = "" if np.isnan(low) else f" [{100 * low:.1f}, {100 * high:.1f}]"
    return f"{100 * curve.survival[place]:.1f}{bounds}"
