"""The segment of each customer at past dates: the same segments as in scores, by frozen bounds.

    rule = SegmentRule(bounds, clock)
    rule.codes(past, day)       # of a block's customers, by what had happened before that day

At an earlier date a customer has the segment that `churn segments --as-of` shows there, except that
orders count in the versions known now, as in the balance of customers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from churn.analytics.segments import NOT_YET, SEGMENTS, SegmentBounds, segment_codes
from churn.arrays import Floats, Ints
from churn.data.history.past import Moment, Past
from churn.features.catalogue import CATALOGUE
from churn.features.clock import FeatureClock
from churn.features.status import STATUSES, status

NAMES = (*SEGMENTS, NOT_YET)
"""What the codes are places in."""
OF_BUYERS = ("tenure_days", "recency_days", "purchase_days", "net_spend")
UNREAD = ("channel", "discount", "discounted_orders", "cost", "uncosted")
"""Columns of orders that segments are not made of: they would be copied for every date."""
OF_SUBSCRIBERS = ("days_to_expiry", "subscription_tenure_days")


@dataclass(frozen=True)
class SegmentRule:
    """Who is in which segment: frozen bounds, and the clock by which customers lapse."""

    bounds: SegmentBounds
    clock: FeatureClock

    @property
    def grains(self) -> tuple[str, ...]:
        """The rows that it reads besides the orders."""
        return ("terms",) if self.clock.is_contractual else ()

    def codes(self, past: Past, day: int, *, window_days: int | None = None) -> Ints:
        """The place in `NAMES` of each customer of a block before that day (a day number).

        With `window_days`, orders count only if they are of so many days before it: customers at
        two dates are then comparable, however long the history.
        """
        then = _before(past, day, window_days)
        wanted = OF_BUYERS + (OF_SUBSCRIBERS if self.clock.is_contractual else ())
        row = {name: _feature(name, then, self.clock) for name in wanted}
        known = then.days.has_rows
        if self.clock.is_contractual:
            known = known | then.terms.has_rows
        rows = {**row, "status": np.array(STATUSES)[status({"cutoff": day, **row}, self.clock)]}
        return np.where(known, segment_codes(rows, self.bounds), NAMES.index(NOT_YET))


def _before(past: Past, day: int, window_days: int | None) -> Past:
    """The block before that day, in the versions that the past sees."""
    orders = {
        name: values for name, values in past.block.grains["orders"].items() if name not in UNREAD
    }
    if window_days is not None:
        inside = orders["local_day"] >= day - window_days
        orders = {name: values[inside] for name, values in orders.items()}
    block = replace(past.block, grains={**past.block.grains, "orders": orders})
    return Past(block, Moment(day, past.moment.instant))


def _feature(name: str, past: Past, clock: FeatureClock) -> Floats:
    """A feature of each customer, as `build_features` computes it."""
    one = CATALOGUE[name]
    rows = past.of(one.over)
    empty = np.nan if one.empty is None else one.empty
    with np.errstate(all="ignore"):
        return np.where(rows.has_rows, one.formula(rows, clock), empty)
