"""The groups of `churn signals`: customers active at the start of two periods, by what was known
then.

Every attribute is from the same length of time before each start, or does not change: a lifetime
attribute would compare customers who had years to earn it with customers who had months.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from churn.analytics.balance import Activity
from churn.analytics.customer_base import CustomerBase
from churn.analytics.segment_history import NAMES, SegmentRule
from churn.analytics.segments import cut_points
from churn.arrays import Floats, Ints
from churn.data.consent import known_before
from churn.data.engines.base import identifier
from churn.data.history.columns import NO_TEXT, arrow_numbers
from churn.data.history.past import Past
from churn.data.history.segments import Pairs

if TYPE_CHECKING:
    import pandas as pd

MOST_VALUES = 20
OTHERS = "others"
LISTED_SPLITS = ("region", "acquisition_source")
SWEPT_SPLITS = ("channel", "category", "segment")
PURCHASES = ("1", "2", "3 or 4", "5 or more")
QUINTILES = ("lowest fifth", "second fifth", "third fifth", "fourth fifth", "highest fifth")
WITH_CAMPAIGNS = ("contacts", "events", "redemptions")
CATEGORY = "order_lines.category"
ROWS = pa.schema(
    [
        ("customer_id", pa.string()),
        ("period", pa.int64()),
        ("kept", pa.int64()),
        ("purchases", pa.int64()),
        ("spend", pa.float64()),
        *((name, pa.string()) for name in SWEPT_SPLITS),
    ]
)
Values = Mapping[str, tuple[str, ...]]
Spans = tuple[tuple[int, int], tuple[int, int]]
"""Start and end of the earlier period and of the later one, as day numbers."""


@dataclass(frozen=True)
class Groups:
    """`rows`: one per period (0 or 1) and customer active at its start, with `kept`; `codes`: by
    split, the place of each row's value among `values[split]`, -1 without one.
    """

    rows: pd.DataFrame
    codes: Mapping[str, Ints]
    values: Values


@dataclass(frozen=True)
class Windows:
    """The periods, and the days before each start that its groups are made from: `active_days`,
    and for segments `history_days`, as many as the data has before the earlier start.
    """

    spans: Spans
    active_days: int
    history_days: int
    segments: SegmentRule | None


def windows_of(base: CustomerBase, spans: Spans, segments: SegmentRule | None) -> Windows:
    """The windows before two periods; without a rule of segments there is no split by them."""
    return Windows(spans, base.active_days, spans[0][0] - base.first_day, segments)


def groups_of(base: CustomerBase, windows: Windows) -> Groups:
    """The groups of the customers active at the start of either period."""
    grains = {"lines"} if CATEGORY in base.tables.connected() else set()
    grains |= set(windows.segments.grains) if windows.segments is not None else set()
    rows = base.sweep(partial(_rows, windows), ROWS, grains=grains).to_pandas()
    codes: dict[str, Ints] = {}
    values: dict[str, tuple[str, ...]] = {}
    edges = np.array([2, 3, 5])
    codes["purchases"] = np.searchsorted(edges, rows["purchases"].to_numpy(), side="right")
    values["purchases"] = PURCHASES
    spend = rows["spend"].to_numpy()
    cuts = np.array(cut_points(spend[(rows["period"] == 0).to_numpy()]))
    codes["spend"], values["spend"] = np.searchsorted(cuts, spend, side="right"), QUINTILES
    texts = {name: rows[name] for name in SWEPT_SPLITS}
    texts |= {**_campaigns(base, windows, rows), **_listed(base, rows)}
    for split, column in texts.items():
        if column.notna().any():
            codes[split], values[split] = _coded(column)
    return Groups(rows, codes, values)


def _rows(windows: Windows, blocks: Iterable[Past]) -> Iterator[pa.RecordBatch]:
    """One row per customer active at the start of either period."""
    dates = sorted({day for span in windows.spans for day in span})
    for past in blocks:
        activity = Activity(past, dates, windows.active_days)
        for place, (start, end) in enumerate(windows.spans):
            at_start = activity.active(dates.index(start))
            kept = at_start & activity.active(dates.index(end))
            purchases, spend, channel = _purchases(past, start, windows.active_days)
            mask = pa.array(at_start)
            columns = [
                past.block.customer_ids.filter(mask).cast(pa.string()),
                arrow_numbers(np.full(int(at_start.sum()), place, dtype=np.int64)),
                arrow_numbers(kept[at_start].astype(np.int64)),
                arrow_numbers(purchases[at_start].astype(np.int64)),
                arrow_numbers(spend[at_start]),
                channel.filter(mask),
                _category(past, start, windows.active_days).filter(mask),
                _segment(past, start, windows).filter(mask),
            ]
            yield pa.record_batch(columns, schema=ROWS)


def _purchases(past: Past, start: int, active_days: int) -> tuple[Floats, Floats, pa.Array]:
    """Purchase days, spend and last channel of each customer in the active days before a date."""
    days = past.days
    inside = days.bought & (days.local_day < start) & (days.local_day >= start - active_days)
    names = past.block.texts.get(("orders", "channel"))
    channel = pa.nulls(len(past), pa.string())
    if names is not None:
        channel = _named(names, days.last(days.channel, inside))
    return days.count(inside), days.total(days.spend, inside), channel


def _category(past: Past, start: int, active_days: int) -> pa.Array:
    """The category that each customer spent most on in the active days before a date, the first by
    name if several.
    """
    names = past.block.texts.get(("lines", "category"))
    if names is None:
        return pa.nulls(len(past), pa.string())
    lines = past.lines
    inside = (lines.local_day < start) & (lines.local_day >= start - active_days)
    pairs = Pairs(lines, lines.category, inside & (lines.category != NO_TEXT))
    spend = pairs.totals(lines.amount)
    largest = spend == pairs.most(spend)[pairs.customer]
    return _named(names, pairs.first(pairs.firsts(lines.category), largest))


def _segment(past: Past, start: int, windows: Windows) -> pa.Array:
    """The segment of each customer, from windows of equal length."""
    if windows.segments is None:
        return pa.nulls(len(past), pa.string())
    codes = windows.segments.codes(past, start, window_days=windows.history_days)
    return pa.array(NAMES).take(arrow_numbers(codes))


def _named(names: pa.Array, codes: Floats) -> pa.Array:
    """The texts of codes; null where a code is NaN or -1."""
    whole = np.nan_to_num(codes, nan=-1.0).astype(np.int64)
    return names.cast(pa.string()).take(pa.array(whole, mask=whole < 0))


def _campaigns(base: CustomerBase, windows: Windows, rows: pd.DataFrame) -> dict[str, Any]:
    """The last campaign of each row in the active days before the start, by what was known at the
    base's date; contacts of holdouts and controls are none.
    """
    import pandas as pd

    tables = [name for name in WITH_CAMPAIGNS if f"{name}.campaign_id" in base.tables.connected()]
    if not tables:
        return {}
    snapshot = base.tables.as_of(base.as_of)
    parts = []
    for table in tables:
        arm = "arm" in base.tables.columns(table)
        reached = " AND coalesce(arm, 'treatment') NOT IN ('control', 'holdout')" if arm else ""
        parts.append(
            f"SELECT customer_id, campaign_id, day, local_day FROM {table} "  # noqa: S608 - names of ours
            f"WHERE campaign_id IS NOT NULL AND {known_before(snapshot, table)}{reached}"
        )
    found = base.tables.engine.query(" UNION ALL ".join(parts)).to_pandas()
    found = found.sort_values(["customer_id", "day", "campaign_id"])
    column = pd.Series(None, index=rows.index, dtype=object)
    for place, (start, _) in enumerate(windows.spans):
        recent = (found["local_day"] < start) & (found["local_day"] >= start - windows.active_days)
        last = found[recent].groupby("customer_id")["campaign_id"].last()
        own = rows["period"] == place
        column[own] = rows.loc[own, "customer_id"].map(last)
    return {"campaign": column}


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
