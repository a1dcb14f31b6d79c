"""The features of customers from histories that a caller sends, by the builder of training."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property
from itertools import chain, repeat
from typing import Any

import numpy as np
import pyarrow as pa

from churn.data.days import day_number, midnight, zone
from churn.data.history.blocks import Block, block_of
from churn.data.history.events import KINDS
from churn.data.history.past import Moment
from churn.data.history.rows import GRAINS, Layout
from churn.errors import ModelError
from churn.features.builder import Plan, feature_batches
from churn.features.clock import FeatureClock
from churn.features.population import Population

OF_ORDERS = ("amount", "discount", "channel")
OF_EVENTS = ("kind", "value", "ref")
EVENT_TABLES = ("events", "contacts", "redemptions")
_TYPES = {
    **{name: pa.float64() for name in ("amount", "discount", "value")},
    **{name: pa.string() for name in ("channel", "ref")},
    "kind": pa.int32(),
}


@dataclass(frozen=True)
class History:
    """One customer's rows, each a tuple: orders of (ordered_at, amount, discount, channel), events
    of (at, kind, value, ref), with `kind` a name of `KINDS`. Times have a zone.
    """

    orders: Sequence[tuple[datetime, float, float | None, str | None]]
    events: Sequence[tuple[datetime, str, float | None, str | None]] = ()


@dataclass(frozen=True)
class HistoryFeatures:
    """Builds the named features of histories; `population` is what `newest_population` learned from
    all customers. Equal to the rows that `build_features` gives these customers.
    """

    names: tuple[str, ...]
    clock: FeatureClock
    population: Mapping[str, Any] = field(repr=False)
    day_timezone: str = "UTC"

    @cached_property
    def needs(self) -> frozenset[str]:
        """The tables that the features are built from besides orders: of `EVENT_TABLES`."""
        tables = {need.split(".")[0] for need in self.plan.needs}
        return frozenset(tables - {"orders"})

    @cached_property
    def plan(self) -> Plan:
        """What is computed; ModelError if it takes more than orders and events."""
        plan = Plan.of(self.names, self.clock)
        others = ("orders", *EVENT_TABLES)
        lacking = sorted(need for need in plan.needs if need.split(".")[0] not in others)
        lacking += ["[features] module"] if plan.has_own else []
        if lacking:
            rule = "features of a history can only be built from orders and events"
            fix = "Score ready features, or look the customer up in the scores of the batch."
            raise ModelError(rule, got=f"features that need {lacking}", fix=fix)
        return plan

    def build(self, histories: Sequence[History], as_of: date) -> tuple[pa.Table, list[int]]:
        """Status and the features of the customers with an order before `as_of`, and their places
        among the histories. Rows on `as_of` or later are ignored.
        """
        moment = Moment(day_number(as_of), midnight(as_of, self.day_timezone))
        plan = self.plan
        if not any(history.orders for history in histories):
            return plan.schema.empty_table(), []
        learnt = Population.stated([moment.day], self.population)
        built = feature_batches((moment,), plan, learnt, None, [self._block(histories)])
        table = pa.Table.from_batches(built, schema=plan.schema)
        return table, [int(name) for name in table["customer_id"].to_pylist()]

    def _block(self, histories: Sequence[History]) -> Block:
        """The rows as one block; a customer's id is their place, in digits that sort."""
        grains: dict[str, Sequence[Sequence[tuple[Any, ...]]]]
        grains = {"orders": [history.orders for history in histories]}
        layout: Layout = {"orders": OF_ORDERS}
        if "events" in self.plan.grains:
            grains["events"] = [history.events for history in histories]
            layout = {**layout, "events": OF_EVENTS}
        return block_of(layout, self._sorted(grains, layout))

    def _sorted(
        self, grains: Mapping[str, Sequence[Sequence[tuple[Any, ...]]]], layout: Layout
    ) -> pa.Table:
        parts = [self._part(grain, rows, layout) for grain, rows in grains.items()]
        rows = pa.concat_tables(parts)
        keys = [rows[name].to_numpy() for name in ("local_day", "grain", "place")]
        order = pa.array(np.lexsort(keys))
        width = len(str(max((len(of) for of in grains.values()), default=0)))
        sorted_rows = rows.take(order)
        ids = [f"{place:0{width}d}" for place in sorted_rows["place"].to_pylist()]
        return sorted_rows.append_column("customer_id", pa.array(ids, pa.string()))

    def _part(
        self, grain: str, histories: Sequence[Sequence[tuple[Any, ...]]], layout: Layout
    ) -> pa.Table:
        """The rows of one grain, with null in the columns of others."""
        counts = [len(rows) for rows in histories]
        rows = list(chain.from_iterable(histories))
        columns = {
            "place": pa.array(np.repeat(np.arange(len(counts)), counts), pa.int64()),
            "grain": pa.array(np.full(len(rows), GRAINS.index(grain), np.int32)),
            "local_day": pa.array(self._days([row[0] for row in rows]), pa.int32()),
        }
        own = dict(
            zip(layout[grain], list(zip(*rows, strict=True))[1:] or repeat(()), strict=False)
        )
        if "kind" in own:
            own["kind"] = tuple(KINDS[kind] for kind in own["kind"])
        for name in dict.fromkeys(chain.from_iterable(layout.values())):
            values = own.get(name)
            kind = _TYPES[name]
            columns[name] = pa.nulls(len(rows), kind) if values is None else pa.array(values, kind)
        return pa.table(columns)

    def _days(self, times: Collection[datetime]) -> list[int]:
        """The local days; the same times occur often, so each is converted once."""
        local = zone(self.day_timezone)
        known: dict[datetime, int] = {}
        for at in times:
            if at not in known:
                known[at] = day_number(at.astimezone(local).date())
        return [known[at] for at in times]
