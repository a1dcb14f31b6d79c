"""The customer journey over a period: stages, transitions, time in stage, and the largest leak."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from churn.analytics.analysis import Analysis
from churn.analytics.cells import LISTED, Cell, listed
from churn.analytics.customer_base import CustomerBase, added_up, millionths
from churn.analytics.definitions import Definition, defined
from churn.analytics.frictions import Friction
from churn.analytics.journey_shown import (
    FRICTIONS,
    LEAKS,
    STAGE_ROWS,
    TRANSITION_ROWS,
    displays,
    friction_row,
    leaks_of,
    notes_of,
    stage_rows,
    transition_rows,
)
from churn.analytics.periods import Period
from churn.analytics.stages import (
    ACTIVE,
    AWARE,
    CONSIDERING,
    LAPSED,
    NAMES,
    NOT_YET,
    STAGES,
    Timeline,
    median_duration,
    timeline,
)
from churn.arrays import Bools, Floats, Ints
from churn.data.days import day_number
from churn.data.history.columns import arrow_numbers
from churn.data.history.past import Past
from churn.errors import ConfigError

YEAR_DAYS = 365
VISITS = ("visit", "cart")
DEFINITIONS = defined(
    [
        *(Definition(f"stage {name}", "", meaning) for name, meaning in STAGES.items()),
        Definition("at_start", "customers", "in the stage at the start of the period"),
        Definition("stayed", "customers", "in the stage at the start and at the end"),
        Definition("out", "customers", "in the stage at the start, in another at the end"),
        Definition("into", "customers", "in the stage at the end, not at the start"),
        Definition("at_end", "customers", "in the stage at the end of the period"),
        Definition(
            "median_days",
            "days",
            "median time in the stage, of all spells; those that still run are censored",
            "Kaplan and Meier 1958",
        ),
        Definition(
            "leak",
            "currency",
            "net spend, in the year before the period, of those who went from an active stage to "
            "another that is later on the way out",
        ),
        Definition(
            "ratio",
            "",
            "lapses of customers with the friction, by those expected at the rate of customers "
            "alike in recency, frequency and time at risk; says what precedes, not what causes",
            "Rothman, Greenland, Lash 2008",
        ),
    ]
)
TRANSITIONS = pa.schema(
    [
        ("from", pa.int64()),
        ("to", pa.int64()),
        ("customers", pa.int64()),
        ("spend", pa.int64()),
    ]
)
SPELLS = pa.schema(
    [("stage", pa.int64()), ("days", pa.int64()), ("over", pa.int64()), ("spells", pa.int64())]
)


@dataclass(frozen=True)
class Journeys:
    """What a sweep needs to know; dates are day numbers."""

    start: int
    end: int
    active_days: int
    loyal_days: float
    has_visits: bool

    def timeline(self, past: Past) -> Timeline:
        """The stages of a block's customers up to the end."""
        bought = past.days.bought & (past.days.local_day < self.end)
        return timeline(
            past.days.customer[bought],
            past.days.local_day[bought],
            until=self.end,
            active_days=self.active_days,
            loyal_days=self.loyal_days,
        )

    def stages(self, past: Past, found: Timeline, day: int) -> Ints:
        """The place in `NAMES` of each customer at that date."""
        stage = found.at(day, len(past))
        stage = np.where((stage == NOT_YET) & _known(past, day), AWARE, stage)
        if self.has_visits:
            events = past.events
            recent = (events.local_day < day) & (events.local_day >= day - self.active_days)
            visited = events.count(recent & _visits(past)) > 0
            stage = np.where((stage == AWARE) & visited, CONSIDERING, stage)
        return np.where(stage == NOT_YET, len(STAGES), stage)


def _known(past: Past, day: int) -> Bools:
    """Who had been heard of by that date: on the customer list, or with an event."""
    known = np.zeros(len(past), dtype=bool)
    if "signed_up_day" in past.block.grains.get("customers", {}):
        known |= past.signed_up_day < day
    if "events" in past.block.grains:
        known |= past.events.count(past.events.local_day < day) > 0
    return known


def _visits(past: Past) -> Bools:
    return np.asarray(past.events.of("visit") | past.events.of("cart"))


def _transitions(journeys: Journeys, blocks: Iterable[Past]) -> Iterator[pa.RecordBatch]:
    """Customers, and their net spend in the year before the start, by stage at start and end."""
    width = len(NAMES)
    for past in blocks:
        found = journeys.timeline(past)
        start = journeys.stages(past, found, journeys.start)
        end = journeys.stages(past, found, journeys.end)
        days = past.days
        year = (days.local_day < journeys.start) & (days.local_day >= journeys.start - YEAR_DAYS)
        spend = millionths(days.total(days.net, year))
        pair = start * width + end
        customers = np.bincount(pair, minlength=width**2)
        sums = np.zeros(width**2, dtype=np.int64)
        np.add.at(sums, pair, spend)
        places = np.flatnonzero(customers)
        columns = (places // width, places % width, customers[places], sums[places])
        arrays = [arrow_numbers(column.astype(np.int64)) for column in columns]
        yield pa.record_batch(arrays, schema=TRANSITIONS)


def _spells(journeys: Journeys, blocks: Iterable[Past]) -> Iterator[pa.RecordBatch]:
    """Spells by stage, duration and whether they are over."""
    for past in blocks:
        found = journeys.timeline(past)
        rows = np.stack([found.stage, found.end - found.start, found.is_over.astype(np.int64)])
        distinct, count = np.unique(rows, axis=1, return_counts=True)
        arrays = [arrow_numbers(column.astype(np.int64)) for column in (*distinct, count)]
        yield pa.record_batch(arrays, schema=SPELLS)


def _members(journeys: Journeys, start: int, end: int, blocks: Iterable[Past]) -> Any:
    """The ids of those in a stage at the start and in one at the end; -1 is any."""
    for past in blocks:
        found = journeys.timeline(past)
        held = np.ones(len(past), dtype=bool)
        for day, wanted in ((journeys.start, start), (journeys.end, end)):
            if wanted >= 0:
                held &= journeys.stages(past, found, day) == wanted
        ids = past.block.customer_ids.filter(pa.array(held))
        yield pa.record_batch([ids.cast(pa.string())], schema=LISTED)


def journey(
    base: CustomerBase,
    period: Period,
    *,
    loyal_days: float,
    frictions: list[Friction],
) -> Analysis:
    """Stages, transitions, time in stage and leaks over a period; `frictions` are shown with it.

    `loyal_days` is the number of purchase days from which a customer is loyal.
    """
    journeys = _journeys(base, period, loyal_days)
    grains = _grains(base)
    moved = base.sweep(partial(_transitions, journeys), TRANSITIONS, grains=grains)
    matrix, spend = _matrices(added_up(moved, ("from", "to")))
    spells = base.sweep(partial(_spells, journeys), SPELLS, grains=grains)
    medians = _medians(added_up(spells, ("stage", "days", "over")))
    seen = _seen(base, journeys)
    rows = stage_rows(matrix, medians, seen)
    leaks = leaks_of(matrix, spend)
    currency = base.tables.settings.currency
    return Analysis(
        "journey",
        base.as_of,
        {
            "stages": pa.Table.from_pylist(rows, schema=STAGE_ROWS),
            "transitions": pa.Table.from_pylist(
                transition_rows(matrix, spend), schema=TRANSITION_ROWS
            ),
            "leaks": pa.Table.from_pylist(leaks, schema=LEAKS),
            "frictions": pa.Table.from_pylist(
                [friction_row(one) for one in frictions], schema=FRICTIONS
            ),
        },
        DEFINITIONS,
        main="transitions",
        key=("from_stage", "to_stage"),
        resolved={
            "period": period.label,
            "start": str(period.start),
            "end": str(period.end),
            "active_days": base.active_days,
            "loyal_days": loyal_days,
            "balance": _balance(matrix),
        },
        displays=displays(rows, matrix, leaks, frictions, period, currency),
        notes=notes_of(base, leaks, frictions, period, currency),
        left_out={"customers": base.left_out} if base.left_out else {},
    )


def journey_customers(
    base: CustomerBase, period: Period, cell: Cell, *, loyal_days: float
) -> pa.Table:
    """The customers of `stage,stage=…` (at the end) or `moved,from=…,to=…`."""
    keys = {"stage": ("stage",), "moved": ("from", "to")}
    cell.check(names=tuple(keys), keys=keys.get(cell.name, ()))
    asked = {"to" if key == "stage" else key: value for key, value in cell.keys.items()}
    places = {key: _place(key, value) for key, value in asked.items()}
    sweep = partial(
        _members, _journeys(base, period, loyal_days), places.get("from", -1), places.get("to", -1)
    )
    return listed(cell, base.sweep(sweep, LISTED, grains=_grains(base)))


def _place(key: str, value: str) -> int:
    if value not in NAMES:
        rule = f"{key} must be one of {list(NAMES)}"
        raise ConfigError(rule, got=repr(value), fix="Pass one of them.")
    return NAMES.index(value)


def _journeys(base: CustomerBase, period: Period, loyal_days: float) -> Journeys:
    connected = base.tables.connected()
    has_visits = any(f"events.{kind}" in connected for kind in VISITS)
    start, end = day_number(period.start), day_number(period.end)
    return Journeys(start, end, base.active_days, loyal_days, has_visits)


def _grains(base: CustomerBase) -> list[str]:
    return ["events"] if base.tables.has("events") else []


def _matrices(rows: pa.Table) -> tuple[Ints, Ints]:
    """Customers and spend (millionths), shape (stages at start, stages at end)."""
    shape = (len(NAMES), len(NAMES))
    matrix, spend = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    places = rows["from"].to_numpy(), rows["to"].to_numpy()
    matrix[places], spend[places] = rows["customers"].to_numpy(), rows["spend"].to_numpy()
    return matrix, spend


def _medians(rows: pa.Table) -> Floats:
    """The median days in each stage; NaN if unknown."""
    stage = np.repeat(rows["stage"].to_numpy(), rows["spells"].to_numpy())
    days = np.repeat(rows["days"].to_numpy(), rows["spells"].to_numpy()).astype(np.float64)
    over = np.repeat(rows["over"].to_numpy() == 1, rows["spells"].to_numpy())
    return np.array(
        [median_duration(days[stage == one], over[stage == one]) for one in range(len(STAGES))]
    )


def _seen(base: CustomerBase, journeys: Journeys) -> set[int]:
    """The stages that the connected tables can show."""
    seen = set(range(len(STAGES))) - {AWARE, CONSIDERING}
    if "customers.signed_up_at" in base.tables.connected() or base.tables.has("events"):
        seen.add(AWARE)
    return seen | ({CONSIDERING} if journeys.has_visits else set())


def _balance(matrix: Ints) -> dict[str, int]:
    """The balance of active customers, from the same counts."""
    active = np.isin(np.arange(len(NAMES)), ACTIVE)
    lapsed = np.arange(len(NAMES)) == LAPSED
    return {
        "start": int(matrix[active].sum()),
        "kept": int(matrix[active][:, active].sum()),
        "lost": int(matrix[active][:, ~active].sum()),
        "new": int(matrix[~active & ~lapsed][:, active].sum()),
        "won_back": int(matrix[lapsed][:, active].sum()),
        "end": int(matrix[:, active].sum()),
    }
