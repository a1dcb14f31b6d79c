"""Checks of the data against what is usual: freshness, rows, missing values, new categories.

Most drift is a broken feed, so these come first. Each check compares the last four weeks, or the
last seven days, with the half year before, in the units of the shop.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

import numpy as np
from scipy.stats import norm

from churn.arrays import Floats
from churn.data.calendar import OrderDays
from churn.data.contracts import TABLES
from churn.data.days import date_of, day_number
from churn.data.engines.base import identifier
from churn.data.tables import Tables

State = Literal["ok", "alarm", "too few"]

WEEKS = 26
LEAST_WEEKS = 8
RECENT_DAYS = 28
USUAL_DAYS = 182
TIMES = 2.0
"""Rows of a week are unusual below half the lowest and above twice the highest usual week."""
LEAST_ROWS = 1_000
NULL_MARGIN = 0.05
NEW_SHARE = 0.01
"""A category never seen before is remarkable from this share of the rows on."""
MOST_CATEGORIES = 200
"""A text column with more values is free text, not a category."""
NOT_CATEGORIES = ("email", "phone", "product_name", "lot", "wave")
"""Texts that are personal, or new by nature."""
FAMILY_ERROR = 0.01


@dataclass(frozen=True)
class FeedCheck:
    """One check of a table or a column: its value, and the bounds of what is usual."""

    check: str
    what: str
    value: float
    low: float
    high: float
    state: State
    text: str


def feed_checks(tables: Tables, as_of: date, *, error_after_days: int) -> tuple[FeedCheck, ...]:
    """All checks of the rows before `as_of`, in the order of trust."""
    found = [_freshness(tables, as_of, error_after_days), *_rejected(tables)]
    dated = [name for name in TABLES if name in tables.audits and _is_dated(tables, name)]
    for table in dated:
        found.append(_weekly_rows(tables, table, as_of))
    columns = [(table, column) for table in dated for column in _optional(tables, table)]
    for table, column in columns:
        found += _nulls(tables, table, column, as_of, len(columns))
    for table in dated:
        for column in _categories(tables, table):
            found += _new_values(tables, table, column, as_of)
    return tuple(found)


def _is_dated(tables: Tables, table: str) -> bool:
    return "local_day" in tables.columns(table)


def _freshness(tables: Tables, as_of: date, error_after_days: int) -> FeedCheck:
    """Whole days without an order before `as_of`."""
    days = OrderDays.of(tables.engine).days
    known = days[days < day_number(as_of)]
    if not known.size:
        return FeedCheck("freshness", "orders", np.nan, 0, error_after_days, "alarm", "No orders.")
    last = int(known[-1])
    quiet = day_number(as_of) - last - 1
    text = f"Orders end on {date_of(last)}"
    text += "." if quiet == 0 else f", {quiet:,} {'day' if quiet == 1 else 'days'} before the end."
    state: State = "alarm" if quiet > error_after_days else "ok"
    return FeedCheck("freshness", "orders", quiet, 0, error_after_days, state, text)


def _rejected(tables: Tables) -> Iterator[FeedCheck]:
    """The share of rows that the import could not use, per table."""
    limit = tables.settings.bad_row_limit
    for name, audit in tables.audits.items():
        bad = sum(audit.dropped.values())
        if audit.rows_read and bad:
            share = bad / audit.rows_read
            text = f"{bad:,} of {audit.rows_read:,} rows are not used."
            yield FeedCheck("unused rows", name, share, 0.0, limit, "ok", text)


def _weekly_rows(tables: Tables, table: str, as_of: date) -> FeedCheck:
    """The rows of the last seven days compared with the weeks before."""
    end = day_number(as_of)
    first = end - 7 * (WEEKS + 1)
    counts = np.zeros(WEEKS + 1)
    sql = (
        f"SELECT CAST(floor(({end - 1} - local_day) / 7.0) AS BIGINT) AS week, count(*) AS n "  # noqa: S608
        f"FROM {identifier(table)} WHERE local_day < {end} AND local_day >= {first} "
        "GROUP BY 1"
    )
    for row in tables.engine.rows(sql):
        counts[int(str(row["week"]))] = float(str(row["n"]))
    begun = np.flatnonzero(counts)
    weeks = counts[1 : begun[-1]] if begun.size else counts[:0]  # the oldest may be partial
    if len(weeks) < LEAST_WEEKS:
        text = f"Too few to say: {len(weeks)} of {LEAST_WEEKS} weeks needed."
        return FeedCheck("rows a week", table, counts[0], np.nan, np.nan, "too few", text)
    low, high = float(weeks.min()), float(weeks.max())
    unusual = counts[0] < low / TIMES or counts[0] > high * TIMES
    text = f"{counts[0]:,.0f} rows in the last seven days; usually {low:,.0f} to {high:,.0f}."
    state: State = "alarm" if unusual else "ok"
    return FeedCheck("rows a week", table, counts[0], low, high, state, text)


def _optional(tables: Tables, table: str) -> list[str]:
    """The columns of a table whose values may be missing."""
    stored = set(tables.columns(table))
    named = [column.name for column in TABLES[table].columns if not column.required]
    return [name for name in named if name in stored]


def _categories(tables: Tables, table: str) -> list[str]:
    stored = set(tables.columns(table))
    texts = [column.name for column in TABLES[table].columns if column.kind == "text"]
    return [name for name in texts if name in stored and name not in NOT_CATEGORIES]


def _nulls(
    tables: Tables, table: str, column: str, as_of: date, columns: int
) -> Iterator[FeedCheck]:
    """The share of missing values in the last four weeks compared with the half year before."""
    name = identifier(column)
    empty = f"sum(CASE WHEN {name} IS NULL THEN 1 ELSE 0 END)"
    (new_empty, new), (old_empty, old) = _in_two_periods(tables, table, empty, as_of)
    if min(new, old) < LEAST_ROWS:
        return
    now, before = new_empty / new, old_empty / old
    error = float(np.sqrt(now * (1 - now) / new + before * (1 - before) / old))
    width = float(norm.ppf(1 - FAMILY_ERROR / (2 * max(columns, 1)))) * error
    unusual = abs(now - before) - width > NULL_MARGIN
    text = f"{now:.1%} missing in the last four weeks, {before:.1%} before."
    state: State = "alarm" if unusual else "ok"
    low, high = max(before - NULL_MARGIN, 0.0), min(before + NULL_MARGIN, 1.0)
    yield FeedCheck("missing values", f"{table}.{column}", now, low, high, state, text)


def _in_two_periods(
    tables: Tables, table: str, aggregate: str, as_of: date
) -> Sequence[tuple[float, float]]:
    """An aggregate and the number of rows of the last four weeks, and of the half year before."""
    end = day_number(as_of)
    found = []
    for first, last in ((end - RECENT_DAYS, end), (end - RECENT_DAYS - USUAL_DAYS, end - 28)):
        sql = (
            f"SELECT {aggregate} AS a, count(*) AS n FROM {identifier(table)} "  # noqa: S608
            f"WHERE local_day >= {first} AND local_day < {last}"
        )
        (row,) = tables.engine.rows(sql)
        found.append((float(str(row["a"] or 0)), float(str(row["n"]))))
    return found


def _new_values(tables: Tables, table: str, column: str, as_of: date) -> Iterator[FeedCheck]:
    """Categories of the last four weeks that never occurred before."""
    name, end = identifier(column), day_number(as_of)
    recent = f"sum(CASE WHEN local_day >= {end - RECENT_DAYS} THEN 1 ELSE 0 END)"
    sql = (
        f"SELECT {name} AS v, {recent} AS recent, count(*) AS n FROM {identifier(table)} "  # noqa: S608
        f"WHERE local_day < {end} AND {name} IS NOT NULL GROUP BY 1 ORDER BY 2 DESC LIMIT 5000"
    )
    rows = tables.engine.rows(sql)
    counts = np.array([[float(str(r["recent"])), float(str(r["n"]))] for r in rows]).reshape(-1, 2)
    total, old = counts[:, 0].sum(), (counts[:, 1] - counts[:, 0]).sum()
    if len(rows) > MOST_CATEGORIES or min(total, old) < LEAST_ROWS:
        return
    is_new = (counts[:, 0] == counts[:, 1]) & (counts[:, 0] > 0)
    share = _share(counts[:, 0], is_new, float(total))
    names = [repr(str(row["v"])[:40]) for row, new in zip(rows, is_new, strict=True) if new]
    unusual = share >= NEW_SHARE
    text = "No value that never occurred before."
    if names:
        text = f"{share:.1%} of the rows have values never seen before: {', '.join(names[:3])}"
        text += f" and {len(names) - 3} more." if len(names) > 3 else "."
    state: State = "alarm" if unusual else "ok"
    yield FeedCheck("new categories", f"{table}.{column}", share, 0.0, NEW_SHARE, state, text)


def _share(counts: Floats, chosen: Floats, total: float) -> float:
    return float(counts[chosen].sum() / max(total, 1.0))
