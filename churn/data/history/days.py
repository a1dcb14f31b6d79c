"""The days on which customers ordered or returned something, before a cutoff."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np

from churn.arrays import Bools, Floats, Ints
from churn.data.history.columns import NO_TEXT, Column
from churn.data.history.segments import Segments

LATEST = np.iinfo(np.int32).max
DAY_ZERO = 3  # 1970-01-01 was a Thursday


def day_sums(orders: Mapping[str, Column]) -> dict[str, Column]:
    """One row per customer and day of orders sorted by both: customer, local_day, orders (with an
    amount above zero), spend, returned; if orders have them, discount and discounted_orders (of
    purchases), cost and uncosted, and channel (the code of the first by name, of purchases).
    """
    amount = orders["amount"]
    bought = amount > 0
    days = {
        "customer": orders["customer"],
        "local_day": orders["local_day"],
        "orders": bought.astype(np.int32),
        "spend": np.where(bought, amount, 0.0),
        "returned": np.where(amount < 0, -amount, 0.0),
    }
    if "discount" in orders:
        given = np.where(bought, orders["discount"], 0.0)
        days["discount"] = np.where(given > 0, given, 0.0)
        days["discounted_orders"] = (given > 0).astype(np.int32)
    if "cost" in orders:
        days |= {name: np.nan_to_num(orders[name]) for name in ("cost", "uncosted")}
    if "channel" in orders:
        days["channel"] = np.where(bought, orders["channel"], NO_TEXT)
    return joined_days(days)


def joined_days(days: Mapping[str, Column]) -> dict[str, Column]:
    """The same with rows of one customer and day added up."""
    customer, day = days["customer"], days["local_day"]
    begins = np.ones(len(day), dtype=bool)
    begins[1:] = (customer[1:] != customer[:-1]) | (day[1:] != day[:-1])
    starts = np.flatnonzero(begins)
    sums = {"customer": customer[starts], "local_day": day[starts]}
    for name, values in days.items():
        if name == "channel":
            sums[name] = _first_by_name(values, starts)
        elif name not in sums:
            sums[name] = _added(values, starts) if len(day) else values
    return sums


def _added(values: Column, starts: Ints) -> Column:
    """The sum of each group. Money is added in ascending order where a group has three rows or
    more, or its last digits would depend on the order in which an engine returns the rows.
    """
    if values.dtype.kind == "f":
        sizes = np.diff(np.append(starts, len(values)))
        many = np.repeat(sizes > 2, sizes)
        if many.any():
            group = np.repeat(np.arange(len(starts)), sizes)[many]
            values, some = values.copy(), values[many]
            values[many] = some[np.lexsort((some, group))]
    return np.asarray(np.add.reduceat(values, starts, dtype=values.dtype))


def _first_by_name(codes: Column, starts: Ints) -> Column:
    if not len(codes):
        return codes
    first = np.minimum.reduceat(np.where(codes == NO_TEXT, LATEST, codes), starts)
    return np.where(first == LATEST, NO_TEXT, first)


class Days(Segments):
    """One row per customer and day with an order before the cutoff, oldest first.

    Columns, each of shape (rows,): `local_day` (days since 1970-01-01), `age_days` (whole days to
    the cutoff, at least 1), `orders` (with an amount above zero), `spend`, `returned`, `net` (spend
    minus returned), `bought` (whether there was a purchase), `gap_days` (since the previous
    purchase day; NaN for the first and without a purchase), `spend_capped` and `net_capped` (at
    most the shop's limit for a day); if orders have them `discount` and `discounted_orders`, of
    purchases.
    """

    def __init__(
        self,
        columns: Mapping[str, Column],
        customers: int,
        cutoff: int,
        *,
        day_limit: float | None = None,
    ) -> None:
        super().__init__(columns["customer"], customers)
        self._columns = columns
        self._day_limit = day_limit
        self.local_day = columns["local_day"]
        self.age_days = cutoff - columns["local_day"]
        self.orders = columns["orders"]
        self.spend = columns["spend"]
        self.returned = columns["returned"]
        self.bought: Bools = columns["orders"] > 0

    @property
    def discount(self) -> Floats:
        """Discounts of the day's purchases."""
        return self._columns["discount"]

    @property
    def discounted_orders(self) -> Ints:
        """Purchases with a discount."""
        return self._columns["discounted_orders"]

    @property
    def channel(self) -> Ints:
        """The code of the purchases' channel, the first by name; -1 without one."""
        return self._columns["channel"]

    @cached_property
    def gap_days(self) -> Floats:
        """Whole days since the previous purchase day; NaN for the first, and without a purchase."""
        gaps = np.full(len(self), np.nan)
        purchases = np.flatnonzero(self.bought)
        customer, day = self.customer[purchases], self.local_day[purchases]
        follows = customer[1:] == customer[:-1]
        gaps[purchases[1:][follows]] = (day[1:] - day[:-1])[follows]
        return gaps

    @cached_property
    def weekday(self) -> Ints:
        """0 for Monday to 6 for Sunday."""
        return np.asarray((self.local_day + DAY_ZERO) % 7)

    @cached_property
    def net(self) -> Floats:
        """Purchases minus returns."""
        return np.asarray(self.spend - self.returned)

    def margin(self, rate: float) -> Floats:
        """Net minus the cost of goods; where that is unknown, the share `rate` of net."""
        if "cost" not in self._columns:
            return rate * self.net
        return np.asarray(self.net - self._columns["cost"] - (1 - rate) * self._columns["uncosted"])

    @property
    def uncosted(self) -> Floats:
        """The net amounts whose cost of goods is unknown."""
        return self._columns["uncosted"] if "cost" in self._columns else self.net

    @cached_property
    def net_capped(self) -> Floats:
        """Net, winsorised: within the shop's limit on both sides of zero."""
        return self._capped(self.net)

    @cached_property
    def spend_capped(self) -> Floats:
        """Spend, winsorised at the shop's limit."""
        return self._capped(self.spend)

    @cached_property
    def has_gap(self) -> Bools:
        """Whether an earlier purchase day precedes this one."""
        return ~np.isnan(self.gap_days)

    @cached_property
    def is_first(self) -> Bools:
        """Whether it is the customer's first purchase day."""
        return self.bought & np.isnan(self.gap_days)

    def within(self, days: float) -> Bools:
        """Whether a day is one of the last `days` days before the cutoff."""
        return self.age_days <= days

    def _capped(self, money: Floats) -> Floats:
        if self._day_limit is None:
            return money
        return np.clip(money, -self._day_limit, self._day_limit)
