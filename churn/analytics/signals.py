"""What moved against the same period of last year, and where: usually nothing.

The rate is the share kept: of the customers active at the start of the period, those active at its
end. Every split is by an attribute that is known at the start of each period from the same length
of time before it, or that does not change: a lifetime attribute would compare customers who had
years to earn it with customers who had months.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from churn.analytics.analysis import Analysis
from churn.analytics.balance import Activity
from churn.analytics.cells import Cell, listed
from churn.analytics.changes import EVERYONE, Population, find_changes
from churn.analytics.customer_base import CustomerBase
from churn.analytics.periods import Period, periods_of
from churn.analytics.segments import cut_points
from churn.analytics.signals_shown import (
    DEFINITIONS,
    LOOKS,
    PARTS,
    displays,
    look_rows,
    notes_of,
    part_rows,
)
from churn.arrays import Floats, Ints
from churn.data.days import date_of, day_number
from churn.data.engines.base import identifier
from churn.data.history.columns import arrow_numbers
from churn.data.history.past import Past
from churn.errors import ConfigError, DataError

if TYPE_CHECKING:
    import pandas as pd

LEAST_SHARE = 0.001
"""The least effect: 0.1 % of the active customers, and so of their money."""
MOST_VALUES = 20
OTHERS = "others"
LISTED_SPLITS = ("region", "acquisition_source")
PURCHASES = ("1", "2", "3 or 4", "5 or more")
QUINTILES = ("lowest fifth", "second fifth", "third fifth", "fourth fifth", "highest fifth")
ROWS = pa.schema(
    [
        ("customer_id", pa.string()),
        ("period", pa.int64()),
        ("kept", pa.int64()),
        ("purchases", pa.int64()),
        ("spend", pa.float64()),
        ("channel", pa.string()),
    ]
)


@dataclass(frozen=True)
class Comparison:
    """A period and the same period of last year."""

    now: Period
    before: Period

    @classmethod
    def of(cls, base: CustomerBase, length: str) -> Comparison:
        """The newest complete period of that length that has one of last year.

        Raises DataError if the data does not reach back so far.
        """
        first = date_of(base.first_day)
        periods = periods_of(length, first=first, as_of=base.as_of, active_days=base.active_days)
        by_label = {one.label: one for one in periods}
        for one in reversed(periods):
            if one.is_partial:
                continue
            if one.last_year in by_label:
                return cls(one, by_label[one.last_year])
            break
        rule = (
            f"signals compare a complete period with that of last year, and need {base.active_days}"
            " days of orders before it"
        )
        got = f"orders since {first}"
        fix = "Load more history, or pass --period 28 or month."
        raise DataError(rule, got=got, fix=fix)

    @property
    def spans(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Start and end of the earlier period and of this one, as day numbers."""
        return tuple(  # type: ignore[return-value]
            (day_number(one.start), day_number(one.end)) for one in (self.before, self.now)
        )


def _rows(
    spans: tuple[tuple[int, int], tuple[int, int]], active_days: int, blocks: Iterable[Past]
) -> Iterator[pa.RecordBatch]:
    """One row per customer active at the start of either period (0 or 1)."""
    dates = sorted({day for span in spans for day in span})
    for past in blocks:
        activity = Activity(past, dates, active_days)
        for place, (start, end) in enumerate(spans):
            at_start = activity.active(dates.index(start))
            kept = at_start & activity.active(dates.index(end))
            purchases, spend, channel = _window(past, start, active_days)
            ids = past.block.customer_ids.filter(pa.array(at_start))
            columns = [
                ids.cast(pa.string()),
                arrow_numbers(np.full(int(at_start.sum()), place, dtype=np.int64)),
                arrow_numbers(kept[at_start].astype(np.int64)),
                arrow_numbers(purchases[at_start].astype(np.int64)),
                arrow_numbers(spend[at_start]),
                channel.filter(pa.array(at_start)),
            ]
            yield pa.record_batch(columns, schema=ROWS)


def _window(past: Past, start: int, active_days: int) -> tuple[Floats, Floats, pa.Array]:
    """Purchase days, spend and last channel of each customer in the active days before a date."""
    days = past.days
    inside = days.bought & (days.local_day < start) & (days.local_day >= start - active_days)
    names = past.block.texts.get(("orders", "channel"))
    channel = pa.nulls(len(past), pa.string())
    if names is not None:
        codes = np.nan_to_num(days.last(days.channel, inside), nan=-1.0).astype(np.int64)
        channel = names.cast(pa.string()).take(pa.array(codes, mask=codes < 0))
    return days.count(inside), days.total(days.spend, inside), channel


def signals(base: CustomerBase, length: str) -> Analysis:
    """The groups whose share kept moved against the same period of last year."""
    comparison = Comparison.of(base, length)
    before, now, values = _populations(base, comparison)
    changes = find_changes(before, now, values, least_events=LEAST_SHARE * len(now.event))
    parts = part_rows(before, now, values)
    return Analysis(
        "signals",
        base.as_of,
        {
            "signals": pa.Table.from_pylist(look_rows(changes, changes.signals), schema=LOOKS),
            "looks": pa.Table.from_pylist(look_rows(changes, changes.looks), schema=LOOKS),
            "parts": pa.Table.from_pylist(parts, schema=PARTS),
        },
        DEFINITIONS,
        main="looks",
        key=("split", "value"),
        resolved={
            "period": comparison.now.label,
            "compared_with": comparison.before.label,
            "active_days": base.active_days,
            "splits": list(values),
        },
        displays=displays(changes, parts, comparison.now, comparison.before),
        notes=notes_of(changes, comparison.now, comparison.before),
        left_out={"customers": base.left_out} if base.left_out else {},
    )


def signal_customers(base: CustomerBase, length: str, cell: Cell) -> pa.Table:
    """The customers of `kept,split=…,value=…`, `lost,…` or `start,…` in this period."""
    cell.check(names=("kept", "lost", "start"), keys=("split", "value"))
    comparison = Comparison.of(base, length)
    rows, groups, values = _groups(base, comparison)
    split, value = cell.keys.get("split", EVERYONE), cell.keys.get("value", EVERYONE)
    held = (rows["period"] == 1).to_numpy()
    if split != EVERYONE:
        if split not in values or value not in values[split]:
            rule = f"split must be one of {[EVERYONE, *values]}, and value one of its values"
            raise ConfigError(rule, got=repr(f"{split}={value}"), fix="See the table of looks.")
        held = held & (groups[split] == values[split].index(value))
    if cell.name != "start":
        held = held & (rows["kept"] == (cell.name == "kept")).to_numpy()
    return listed(cell, pa.table({"customer_id": pa.array(rows["customer_id"][held], pa.string())}))


Values = Mapping[str, tuple[str, ...]]


def _populations(
    base: CustomerBase, comparison: Comparison
) -> tuple[Population, Population, Values]:
    rows, groups, values = _groups(base, comparison)
    halves = []
    for place in (0, 1):
        own = (rows["period"] == place).to_numpy()
        codes = {split: column[own] for split, column in groups.items()}
        halves.append(Population((rows["kept"] == 1).to_numpy()[own], codes))
    return halves[0], halves[1], values


def _groups(
    base: CustomerBase, comparison: Comparison
) -> tuple[pd.DataFrame, Mapping[str, Ints], Values]:
    """The rows of both periods, and their codes and values by split."""
    sweep = partial(_rows, comparison.spans, base.active_days)
    rows = base.sweep(sweep, ROWS).to_pandas()
    groups: dict[str, Ints] = {}
    values: dict[str, tuple[str, ...]] = {}
    edges = np.array([2, 3, 5])
    groups["purchases"] = np.searchsorted(edges, rows["purchases"].to_numpy(), side="right")
    values["purchases"] = PURCHASES
    spend = rows["spend"].to_numpy()
    cuts = np.array(cut_points(spend[(rows["period"] == 0).to_numpy()]))
    groups["spend"], values["spend"] = np.searchsorted(cuts, spend, side="right"), QUINTILES
    texts = {"channel": rows["channel"], **_listed(base, rows)}
    for split, column in texts.items():
        if column.notna().any():
            groups[split], values[split] = _coded(column)
    return rows, groups, values


def _listed(base: CustomerBase, rows: pd.DataFrame) -> dict[str, Any]:
    """The columns of the customer list that do not change, by row."""
    tables = base.tables
    columns = tables.columns("customers") if tables.has("customers") else []
    chosen = [name for name in LISTED_SPLITS if name in columns]
    if not chosen:
        return {}
    shown = ", ".join(f"min({identifier(name)}) AS {identifier(name)}" for name in chosen)
    sql = f"SELECT customer_id, {shown} FROM customers GROUP BY customer_id"  # noqa: S608 - names of ours
    found = tables.engine.query(sql).to_pandas().set_index("customer_id")
    return {name: rows["customer_id"].map(found[name]) for name in chosen}


def _coded(column: Any) -> tuple[Ints, tuple[str, ...]]:
    """The code of each text among the most frequent, the others together; -1 without a text."""
    counts = column.value_counts()
    names = sorted(map(str, counts.index[:MOST_VALUES]))
    codes = column.map({name: place for place, name in enumerate(names)})
    others = column.notna() & codes.isna()
    codes = codes.fillna(-1).to_numpy(np.int64)
    if others.any():
        codes[others.to_numpy()] = len(names)
        names = [*names, OTHERS]
    return codes, tuple(names)
