"""Where a shop's data begins and ends, which a mistyped date must not decide.

An order day far from all others is set aside as mistyped: features, labels and "now" are measured
from the last order, so one order dated a year ahead would make every customer look lapsed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from churn.data.audit import TableAudit, check_share
from churn.data.days import date_of, day_number
from churn.data.engines.base import Engine
from churn.data.restricting import KEPT

Days = NDArray[np.int64]

FAR_DAYS = 49
"""A gap of seven weeks or less is never far: shops close for the summer."""
FAR_GAPS = 3
"""A gap is far if it is longer than this multiple of the longest gap between usual order days."""
FEW_SHARE = 0.01
"""At most this share of the orders at either end is set aside, or `FEW` where that is more."""
FEW = 3
LEAST_ORDER_DAYS = 30
"""With fewer order days, the usual gap is unknown."""
QUIET_DAYS = 14
QUIET_GAPS = 2
"""The days before "now" are quiet if this many days, and this many longest gaps, had no order."""
LEAST_QUIET = 10
"""With fewer order days, quiet days cannot be recognised."""
YEAR = 365

LATER_THAN_CLOCK = "later than the clock"
AFTER = "dated far after all other orders"
BEFORE = "dated far before all other orders"


@dataclass(frozen=True)
class OrderDays:
    """The days with orders, ascending, and the number of orders on each."""

    days: Days
    orders: Days

    @classmethod
    def of(cls, engine: Engine, *, lines: bool = False) -> OrderDays:
        """The order days of the engine's table `orders`; with `lines`, a row is an order line."""
        count = "count(DISTINCT order_id)" if lines else "count(*)"
        counted = engine.rows(f"SELECT local_day, {count} AS n FROM orders GROUP BY local_day")
        pairs = sorted((int(str(row["local_day"])), int(str(row["n"]))) for row in counted)
        days, orders = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
        return cls(days, orders)

    def only(self, kept: NDArray[np.bool_] | slice) -> OrderDays:
        """The same, restricted to those days."""
        return OrderDays(self.days[kept], self.orders[kept])

    def backwards(self) -> OrderDays:
        """The same with time reversed: its end is the beginning of this one."""
        return OrderDays(-self.days[::-1], self.orders[::-1])

    @cached_property
    def middle(self) -> slice:
        """The order days without the few orders at either end that may be strays."""
        upto = np.cumsum(self.orders)
        total = int(self.orders.sum())
        few = max(FEW, int(FEW_SHARE * total))
        first = int(np.searchsorted(upto, few, side="right"))
        last = int(np.searchsorted(upto, total - few, side="left"))
        return slice(first, last + 1)

    @cached_property
    def usual(self) -> Days:
        """The days of the middle."""
        return self.days[self.middle]

    @property
    def longest_gap(self) -> int:
        """The longest gap in days between usual order days; 0 where there are not two."""
        gaps = np.diff(self.usual)
        return int(gaps.max()) if gaps.size else 0

    @property
    def quiet_days(self) -> int:
        """The number of days without an order that is within what is usual."""
        return max(QUIET_DAYS, QUIET_GAPS * self.longest_gap)

    @property
    def orders_per_day(self) -> float:
        """Orders per usual day on which the shop was open; closed seasons do not count."""
        gaps = np.diff(self.usual)
        open_days = 1 + np.where(gaps > FAR_DAYS, 1, gaps).sum()
        return float(self.orders[self.middle].sum() / open_days)

    def strays(self) -> Days:
        """The days at the end that do not belong to the shop's calendar."""
        if len(self.usual) < LEAST_ORDER_DAYS:
            return self.days[:0]
        if self._lone_day_ages_away():
            return np.append(self.only(slice(-1)).strays(), self.days[-1])
        strays = [self.days[group] for group in self._far_groups() if not self._at_work(group)]
        return np.concatenate([self.days[:0], *strays])

    def _lone_day_ages_away(self) -> bool:
        """Whether the last day is further from all others than those are from each other: this is
        what a system writes for an unknown date, such as 1970-01-01, on any number of orders.
        """
        return bool(self.days[-1] - self.days[-2] > max(YEAR, self.days[-2] - self.days[0]))

    def _far_groups(self) -> list[slice]:
        """The order days after the middle that lie beyond a far gap, split at every far gap."""
        far = max(FAR_DAYS, FAR_GAPS * self.longest_gap)
        last = self.middle.stop - 1
        cuts = np.flatnonzero(np.diff(self.days[last:]) > far) + last + 1
        return [slice(a, b) for a, b in pairwise([*cuts.tolist(), len(self.days)])]

    def _at_work(self, group: slice) -> bool:
        """Whether a group of order days beyond a far gap is a shop that reopened: it takes at least
        half the usual number of orders in as many days. `FEW` orders on a single day prove nothing.
        """
        days, orders = self.days[group], int(self.orders[group].sum())
        if len(days) == 1 and orders <= FEW:
            return False
        return bool(orders >= self.orders_per_day * (days[-1] - days[0] + 1) / 2)

    def quiet_before(self, as_of: int) -> tuple[int, int, int] | None:
        """The first and the last day of a period without orders shortly before `as_of`, and the
        number of orders after it; None if the shop was trading until then.
        """
        known = self.only(self.days < as_of)
        if len(known.usual) < LEAST_QUIET:
            return None
        bounds = np.append(known.days, as_of)[known.middle.stop - 1 :]
        quiet = np.diff(bounds) > known.quiet_days
        if not quiet.any():
            return None
        before, after = bounds[quiet.argmax()], bounds[quiet.argmax() + 1]
        return int(before) + 1, int(after) - 1, int(known.orders[known.days >= after].sum())


def without_strays(
    engine: Engine, audit: TableAudit, *, lines: bool, ends: bool, limit: float
) -> TableAudit:
    """Removes rows of `orders` dated far before all others or, if the data `ends` by itself, far
    after them. The audit counts and reports them; DataError if they exceed the `limit`.
    """
    days = OrderDays.of(engine, lines=lines)
    found = {
        BEFORE: -days.backwards().strays()[::-1],
        AFTER: days.strays() if ends else days.days[:0],
    }
    dropped = {reason: _rows_on(engine, there) for reason, there in found.items() if there.size}
    if not dropped:
        return audit
    if sum(dropped.values()) > FEW:
        check_share(audit, dropped, limit=limit)
    gone = np.concatenate(list(found.values()))
    engine.create("orders", f"SELECT * FROM orders WHERE NOT {_among(gone)}")
    kept = days.only(~np.isin(days.days, gone))
    warnings = (_stray_warning(reason, found[reason], n, kept) for reason, n in dropped.items())
    return replace(
        audit,
        dropped={**audit.dropped, **dropped},
        warnings=(*audit.warnings, *warnings),
    )


def noting_the_clock(audit: TableAudit, clock: datetime) -> TableAudit:
    """The audit with a warning if rows were left out because they are dated in the future."""
    ahead = sum(
        n
        for reason, n in audit.dropped.items()
        if reason.endswith(LATER_THAN_CLOCK) and not reason.startswith(KEPT)
    )
    if not ahead:
        return audit
    warning = (
        f"{ahead:,} {'row' if ahead == 1 else 'rows'} dated after now ({clock.date()} by this "
        "machine's clock) left out: check the export, and the clock"
    )
    return replace(audit, warnings=(*audit.warnings, warning))


def _rows_on(engine: Engine, days: Days) -> int:
    counted = engine.rows(f"SELECT count(*) AS n FROM orders WHERE {_among(days)}")
    return int(str(counted[0]["n"]))


def _among(days: Days) -> str:
    return f"local_day IN ({', '.join(map(str, days.tolist()))})"


def _stray_warning(reason: str, days: Days, rows: int, kept: OrderDays) -> str:
    first, last = date_of(int(days.min())), date_of(int(days.max()))
    when = f"{first}" if first == last else f"between {first} and {last}"
    edge, verb = (kept.days[0], "begin") if reason == BEFORE else (kept.days[-1], "end")
    set_until = ", or set [data] until" if reason == AFTER else ""
    return (
        f"{rows:,} {'row' if rows == 1 else 'rows'} {reason} ({when}; the others {verb} on "
        f"{date_of(int(edge))}): assumed to be mistyped and left out. If the dates are right, set "
        f"[data] keep_outlying_dates = true{set_until}"
    )


def quiet_warning(days: OrderDays, as_of: date) -> str | None:
    """The warning about a period without orders shortly before `as_of`; None if there is none."""
    quiet = days.quiet_before(day_number(as_of))
    if quiet is None:
        return None
    first, last, after = quiet
    length = f"{last - first + 1} days; before that never more than {max(0, days.longest_gap - 1)}"
    then = f", then {after:,} before {as_of}" if after else f", up to {as_of}"
    return (
        f"no order from {date_of(first)} to {date_of(last)} ({length}){then}. If orders are "
        "missing, all customers look as if they had lapsed: check the export, or set [data] until"
    )
