"""Cohorts by first purchase, and survival: the second purchase, and the lapse.

The triangle has a row per cohort and age. A cell whose period has not ended is open: it is empty
and carries the date on which it closes. No number mixes cohorts of different maturity.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from functools import partial

import numpy as np
import pyarrow as pa

from churn.analytics.analysis import Analysis
from churn.analytics.balance import Activity
from churn.analytics.cells import LISTED, Cell, listed
from churn.analytics.cohort_sums import MOST_REPEATS, cohort_sums
from churn.analytics.cohorts_shown import displays
from churn.analytics.customer_base import MILLIONTHS, CustomerBase
from churn.analytics.definitions import Definition, defined
from churn.analytics.metric_rows import arrow_counts
from churn.analytics.metrics import seen_bounds
from churn.analytics.periods import DEFAULT_PERIOD, Period, periods_of
from churn.analytics.survival import SurvivalCurve, kaplan_meier
from churn.arrays import Floats, Ints
from churn.data.history.columns import arrow_mask, arrow_numbers, whole_numbers
from churn.data.history.past import Past
from churn.data.tables import Tables
from churn.errors import ConfigError

COHORTS = defined(
    (
        Definition("cohort_size", "customers", "those whose first purchase was in the period"),
        Definition(
            "age", "periods", "periods since that of the first purchase; 0 is that period itself"
        ),
        Definition(
            "customers",
            "customers",
            "those of the cohort who bought in the period of that age; empty while it is open",
        ),
        Definition("customers_percent", "%", "customers / cohort size x 100"),
        Definition("net_revenue", "currency", "their orders in that period, net of refunds"),
        Definition(
            "cumulative_margin",
            "currency",
            "margin of all orders of the cohort up to the end of that period",
        ),
        Definition("cumulative_margin_per_customer", "currency", "cumulative margin / cohort size"),
        Definition("closes_on", "date", "the day on which an open cell can be counted"),
        Definition(
            "second_purchase",
            "share",
            "Kaplan-Meier survival: share without a second purchase day so many days after the "
            "first; customers who have not bought again are censored at `as_of`",
            "Kaplan and Meier (1958)",
        ),
        Definition(
            "lapse",
            "share",
            "Kaplan-Meier survival: share that, so many days after the first purchase, had never "
            "gone without a purchase for the active days; censored at `as_of`",
            "Kaplan and Meier (1958)",
        ),
        Definition("at_risk", "customers", "had neither the event nor left before that day"),
        Definition("events", "customers", "had the event on that day"),
        Definition(
            "survival",
            "share",
            "the curve, with its standard error (Greenwood) and 95 % interval "
            "on the scale log(-log)",
            "Greenwood (1926)",
        ),
        Definition(
            "repeat_purchase_days",
            "days",
            f"purchase days after the first; the last row is {MOST_REPEATS} or more",
        ),
    )
)
"""Every number of the tables of `churn cohorts`."""


def cohorts(
    tables: Tables,
    *,
    active_days: int,
    as_of: date | str | None = None,
    period: str = DEFAULT_PERIOD,
    margin_rate: float = 0.3,
) -> Analysis:
    """The cohorts of all periods up to `as_of` (default: the end of the data), as tables `cohorts`
    (one row per cohort and age), `second_purchase`, `lapse` (a curve each) and `frequency`.

    Raises ConfigError for an unknown period or date.
    """
    base = CustomerBase.of(tables, as_of=as_of, active_days=active_days)
    periods = _periods(base, period)
    sums = cohort_sums(base, seen_bounds(periods, base.as_of), margin_rate=margin_rate)
    curves = {name: _curve(sums, kind) for name, kind in CURVES.items()}
    found = {
        "cohorts": _triangle(sums, periods, base.as_of),
        **{name: _curve_table(curve) for name, curve in curves.items()},
        "frequency": _frequency(sums),
    }
    resolved = {
        "active_days": active_days,
        "period": period,
        "margin_rate": margin_rate,
        "currency": tables.settings.currency,
    }
    return Analysis(
        name="cohorts",
        as_of=base.as_of,
        tables=found,
        definitions=COHORTS,
        main="cohorts",
        key=("cohort", "age"),
        resolved=resolved,
        displays=displays(found["cohorts"], curves, resolved),
        notes=tuple(_notes(found["cohorts"], active_days)),
        left_out={"customers": base.left_out} if base.left_out else {},
    )


CURVES = {"second_purchase": "second", "lapse": "lapse"}


def _periods(base: CustomerBase, length: str) -> tuple[Period, ...]:
    """The periods from the first order on: periods of days may begin before it here, so that no
    customer is without a cohort.
    """
    first, _ = base.tables.span()
    return periods_of(
        length, first=first, as_of=base.as_of, active_days=base.active_days, covering=True
    )


def _notes(rows: pa.Table, active_days: int) -> Iterator[str]:
    early = [row["cohort"] for row in rows.to_pylist() if row["is_truncated"]]
    if early:
        yield (
            f"in the first {active_days} days of the data everyone looks new: the cohorts "
            f"{early[0]} to {early[-1]} also hold older customers"
        )


def _kind(sums: pa.Table, kind: str) -> tuple[Ints, Ints, Ints, Ints]:
    """Row, column and the two counts of one kind."""
    where = np.array([one == kind for one in sums["kind"].to_pylist()], dtype=bool)
    row, column, one, other = (
        whole_numbers(sums[name])[where] for name in ("row", "column", "one", "other")
    )
    return row, column, one, other


def _triangle(sums: pa.Table, periods: Sequence[Period], as_of: date) -> pa.Table:
    """One row per cohort with customers and age, open cells included up to the current period."""
    row, column, customers, revenue = _kind(sums, "cohort")
    shape = (len(periods), len(periods))
    bought, spent = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    bought[row, column], spent[row, column] = customers, revenue
    row, column, earned, _ = _kind(sums, "margin")
    margins = np.zeros(shape, dtype=np.int64)
    margins[row, column] = earned
    size, total = bought[:, 0], np.cumsum(margins, axis=1)
    places = [(c, k) for c in range(len(periods)) for k in range(len(periods) - c) if size[c]]
    cohort, age = (np.array([one[n] for one in places], dtype=np.int64) for n in (0, 1))
    closes = [periods[c + k].end for c, k in places]
    is_open = np.array([one > as_of for one in closes], dtype=bool)
    hidden = np.where(is_open, np.nan, 1.0)
    margin = total[cohort, age] / MILLIONTHS * hidden
    numbers: dict[str, Floats | Ints] = {
        "cohort_size": size[cohort],
        "age": age,
        "customers": bought[cohort, age] * hidden,
        "customers_percent": 100 * bought[cohort, age] / size[cohort] * hidden,
        "net_revenue": spent[cohort, age] / MILLIONTHS * hidden,
        "cumulative_margin": margin,
        "cumulative_margin_per_customer": margin / size[cohort],
    }
    return pa.table(
        {
            "cohort": pa.array([periods[c].label for c, _ in places], pa.string()),
            "is_truncated": pa.array([periods[c].is_truncated for c, _ in places], pa.bool_()),
            **{name: arrow_numbers(values) for name, values in numbers.items()},
            "customers": arrow_counts(numbers["customers"]),
            "is_open": arrow_mask(is_open),
            "closes_on": pa.array(
                [one if late else None for one, late in zip(closes, is_open, strict=True)],
                pa.date32(),
            ),
        }
    )


def _curve(sums: pa.Table, kind: str) -> SurvivalCurve:
    days, _, events, censored = _kind(sums, kind)
    return kaplan_meier(days.astype(np.float64), events, censored)


def _curve_table(curve: SurvivalCurve) -> pa.Table:
    """The curve with a row per day on which somebody had the event or left."""
    columns = {
        "days": curve.times.astype(np.int64),
        "at_risk": curve.at_risk,
        "events": curve.events,
        "survival": curve.survival,
        "survival_std_error": curve.std_error,
        "survival_low": curve.low,
        "survival_high": curve.high,
    }
    return pa.table({name: arrow_numbers(values) for name, values in columns.items()})


def _frequency(sums: pa.Table) -> pa.Table:
    repeats, _, customers, _ = _kind(sums, "frequency")
    counts = np.zeros(MOST_REPEATS + 1, dtype=np.int64)
    counts[repeats] = customers
    columns = {"repeat_purchase_days": np.arange(MOST_REPEATS + 1), "customers": counts}
    return pa.table({name: arrow_numbers(values) for name, values in columns.items()})


def cohort_customers(
    tables: Tables,
    cell: Cell | str,
    *,
    active_days: int,
    as_of: date | str | None = None,
    period: str = DEFAULT_PERIOD,
) -> pa.Table:
    """`customer_id` and `cell` of a cell of the triangle: `customers,cohort=2010-12,age=3`, or the
    whole cohort, `cohort_size,cohort=2010-12`.
    """
    cell = Cell.parse(cell) if isinstance(cell, str) else cell
    cell.check(names=("customers", "cohort_size"), keys=("cohort", "age"))
    base = CustomerBase.of(tables, as_of=as_of, active_days=active_days)
    periods = _periods(base, period)
    labels = {one.label: place for place, one in enumerate(periods)}
    cohort = labels.get(cell.keys.get("cohort", ""))
    if cohort is None:
        rule = f"a cohort must be one of {periods[0].label} to {periods[-1].label}"
        raise ConfigError(rule, got=cell.keys.get("cohort"), fix=f"Pass cohort={periods[0].label}.")
    age = cell.keys.get("age", "0")
    if cell.name == "cohort_size":
        age = "0"
    if not age.isdigit() or cohort + int(age) >= len(periods):
        rule = f"the age of this cohort must be 0 to {len(periods) - 1 - cohort}"
        raise ConfigError(rule, got=age, fix="Pass e.g. age=1.")
    sweep = partial(_members, tuple(seen_bounds(periods, base.as_of)), cohort, cohort + int(age))
    return listed(cell, base.sweep(sweep, LISTED))


def _members(
    bounds: tuple[int, ...], cohort: int, period: int, pasts: Iterable[Past]
) -> Iterator[pa.RecordBatch]:
    for past in pasts:
        before = Activity(past, bounds, 1).before
        chosen = (before[:, cohort] == 0) & (before[:, cohort + 1] > 0)
        chosen &= before[:, period + 1] > before[:, period]
        yield pa.record_batch([past.block.customer_ids.filter(arrow_mask(chosen))], schema=LISTED)
