"""The features of one customer from their own orders, for a service that answers at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from math import isfinite
from numbers import Real
from typing import Any

import pyarrow as pa

from churn.data.days import day_number, midnight, zone
from churn.data.history.blocks import block_of
from churn.data.history.past import Moment
from churn.data.history.rows import GRAINS
from churn.errors import ConfigError, ModelError
from churn.features.builder import Plan, feature_batches
from churn.features.clock import FeatureClock
from churn.features.population import Population

COLUMNS = {"amount": pa.float64(), "discount": pa.float64(), "channel": pa.string()}


def customer_features(
    orders: Sequence[Mapping[str, Any]],
    as_of: date,
    clock: FeatureClock,
    *,
    names: Sequence[str],
    population: Mapping[str, Any],
    day_timezone: str = "UTC",
) -> dict[str, Any]:
    """`status` and the named features of a customer with those orders, None for unknown values.

    An order has `ordered_at` (a datetime with its zone), `amount` and, if the features need them,
    `discount` and `channel`; orders on `as_of` or later are ignored. `population` is what
    `newest_population` learned from all customers. Equal to the row that `build_features` gives the
    customer. Raises ModelError for features that need more than orders, ConfigError without orders
    before `as_of`, or for an order without a time or a finite amount.
    """
    plan = Plan.of(tuple(names), clock)
    _check(plan)
    moment = Moment(day_number(as_of), midnight(as_of, day_timezone))
    learnt = Population.stated([moment.day], population)
    block = block_of({"orders": tuple(COLUMNS)}, _rows(orders, day_timezone))
    built = feature_batches((moment,), plan, learnt, None, [block])
    rows = [row for batch in built for row in batch.to_pylist()]
    if not rows:
        rule = f"a customer needs an order before {as_of}"
        raise ConfigError(rule, got=f"{len(orders)} orders, none before", fix="Pass older orders.")
    (row,) = rows
    return {name: row[name] for name in ("status", *names)}


def _check(plan: Plan) -> None:
    lacking = sorted(need for need in plan.needs if need.split(".")[0] != "orders")
    if lacking:
        rule = "features of one customer can only be built from orders"
        fix = "Pass names that need orders alone; churn.feature_names() lists them."
        raise ModelError(rule, got=f"features that need {lacking}", fix=fix)


def _rows(orders: Sequence[Mapping[str, Any]], day_timezone: str) -> pa.Table:
    """The orders as `block_of` reads them, oldest first."""
    local = zone(day_timezone)
    days = [_day(_checked(order)["ordered_at"], local) for order in orders]
    places = sorted(range(len(orders)), key=days.__getitem__)
    columns = {
        "customer_id": pa.array([""] * len(orders), pa.string()),
        "grain": pa.array([GRAINS.index("orders")] * len(orders), pa.int32()),
        "local_day": pa.array([days[place] for place in places], pa.int32()),
    }
    for name, kind in COLUMNS.items():
        columns[name] = pa.array([orders[place].get(name) for place in places], kind)
    return pa.table(columns)


def _checked(order: Mapping[str, Any]) -> Mapping[str, Any]:
    """The order; ConfigError unless it has a time and a finite amount: neither may be unknown."""
    at, amount = order.get("ordered_at"), order.get("amount")
    if not isinstance(at, datetime) or not isinstance(amount, Real) or not isfinite(amount):
        rule = "an order needs ordered_at, a datetime, and amount, a finite number"
        got = f"{type(at).__name__} and {amount if isinstance(amount, Real) else type(amount)}"
        raise ConfigError(rule, got=got, fix="Leave out orders of which either is unknown.")
    return order


def _day(at: datetime, local: Any) -> int:
    if at.tzinfo is None:
        rule = "ordered_at must carry its zone"
        raise ConfigError(rule, got=at, fix="Pass e.g. datetime(2024, 5, 1, tzinfo=UTC).")
    return day_number(at.astimezone(local).date())
