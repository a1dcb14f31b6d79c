"""By what numbers are split: the cell of each customer in each period.

A customer is in one cell of a split for a whole period, so the balance holds in every cell. What
changes over time is taken as it was when the period began; who arrives in the period is in the cell
of their first purchase in it.

`SPLITS` holds the splits by name. A further one is a `Split` whose `values` is a function of the
module; `needs` is the source that must be connected.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pyarrow as pa

from churn.analytics.balance import Activity
from churn.analytics.segment_history import NAMES, SegmentRule
from churn.arrays import Bools, Ints
from churn.data.history.columns import NO_TEXT, Column
from churn.data.history.events import KINDS
from churn.data.history.past import Past
from churn.data.tables import Tables
from churn.errors import ConfigError

UNKNOWN = "unknown"
SEGMENT = "segment"
YES_OR_NO = ("no", "yes")


@dataclass(frozen=True)
class Values:
    """`codes`: the place in `names` of each customer's cell, shape (customers,) or (customers,
    periods).
    """

    codes: Ints
    names: Sequence[str]

    def in_periods(self, periods: int) -> Ints:
        """The codes in each period, shape (customers, periods)."""
        codes = self.codes if self.codes.ndim == 2 else self.codes[:, None]
        return np.broadcast_to(codes, (len(codes), periods))


@dataclass(frozen=True)
class Split:
    """A split: its name, what its cells are, the source it needs, the grains it reads.

    `values(past, activity)` is called for each block; `activity` has the bounds of the periods.
    """

    name: str
    meaning: str
    values: Callable[[Past, Activity], Values]
    needs: str = ""
    grains: tuple[str, ...] = ()


def chosen_splits(
    names: Sequence[str], tables: Tables, segments: SegmentRule | None = None
) -> tuple[Split, ...]:
    """The splits of those names; that by segment needs the rule of segments.

    ConfigError for an unknown one, or if its source or the rule is missing.
    """
    for name in names:
        if name not in SPLITS:
            rule = f"metrics can be split by {', '.join(SPLITS)}"
            raise ConfigError(rule, got=repr(name), fix="Pass one of them.")
        needs = SPLITS[name].needs
        if needs and needs not in tables.connected():
            rule = f"the split by {name} needs {needs}"
            table = needs.partition(".")[0]
            raise ConfigError(rule, got="nothing", fix=f"Connect it in [data.{table}].")
    return tuple(_with_rule(SPLITS[name], segments) for name in dict.fromkeys(names))


def _with_rule(split: Split, segments: SegmentRule | None) -> Split:
    """The split; that by segment with the rule of segments."""
    if split.name != SEGMENT:
        return split
    if segments is None:
        rule = "the split by segment needs frozen segments and the clock"
        fix = "Pass frozen and clock, as to churn.segments."
        raise ConfigError(rule, got="none", fix=fix)
    return replace(split, values=partial(_segment, segments), grains=segments.grains)


def coded(codes: Column, names: pa.Array) -> Values:
    """Codes of a block's texts, where a missing text is unknown."""
    known = names.to_pylist()
    return Values(np.where(codes == NO_TEXT, len(known), codes), [*known, UNKNOWN])


def _channel(past: Past, activity: Activity) -> Values:
    """The channel of the last purchase before the period, or of the first in it."""
    days = past.days
    channel = days.channel[days.bought]
    known = activity.before[:, :-1] > 0
    row = activity.first_row[:, None] + activity.before[:, :-1]
    place = np.where(known, row - 1, row)
    there = known | (np.diff(activity.before, axis=1) > 0)
    codes = np.full(place.shape, NO_TEXT, dtype=np.int64)
    codes[there] = channel[place[there]]
    return coded(codes, past.block.texts["orders", "channel"])


def _profile(column: str, past: Past, _: Activity) -> Values:
    """A column of the customer list."""
    return coded(past.profile(column), past.block.texts["profiles", column])


def _region(past: Past, activity: Activity) -> Values:
    return _profile("region", past, activity)


def _source(past: Past, activity: Activity) -> Values:
    return _profile("acquisition_source", past, activity)


def _tier(past: Past, activity: Activity) -> Values:
    found = _profile("loyalty_tier", past, activity)
    return Values(found.codes, [*found.names[:-1], "no member"])


def _segment(rule: SegmentRule | None, past: Past, activity: Activity) -> Values:
    """The segment when the period began, by the rule that `chosen_splits` was given."""
    assert rule is not None
    codes = [rule.codes(past, start) for start in activity.dates[:-1].tolist()]
    return Values(np.stack(codes, axis=1), NAMES)


def _redeemer(past: Past, activity: Activity) -> Values:
    """Whether a customer redeemed something in the active days before the period began."""
    starts = activity.dates[:-1].tolist()
    columns = [redeemed_between(past, start - activity.active_days, start) for start in starts]
    redeemed = np.stack(columns, axis=1)
    return Values(redeemed.astype(np.int64), YES_OR_NO)


def redeemed_between(past: Past, start: int, end: int) -> Bools:
    """Who redeemed something from one day to before another."""
    events = past.events
    there = (events.kind == KINDS["redemption"]) & (events.local_day >= start)
    return events.count(there & (events.local_day < end)) > 0


SPLITS: dict[str, Split] = {
    one.name: one
    for one in (
        Split(
            "channel",
            "channel of the last purchase before the period began; of the first purchase in it "
            "for new customers",
            _channel,
            "orders.channel",
        ),
        Split("region", "region in the customer list", _region, "customers.region", ("profiles",)),
        Split(
            "acquisition_source",
            "acquisition source in the customer list",
            _source,
            "customers.acquisition_source",
            ("profiles",),
        ),
        Split(
            "loyalty_tier",
            "loyalty tier in the customer list; without one, no member",
            _tier,
            "customers.loyalty_tier",
            ("profiles",),
        ),
        Split(
            "redeemer",
            "whether the customer redeemed something in the active days before the period began",
            _redeemer,
            "redemptions",
            ("events",),
        ),
        Split(
            SEGMENT,
            "segment when the period began, by the frozen bounds and the orders before it "
            "([segments.md](segments.md#segments)); `not a customer` before the first order",
            partial(_segment, None),
        ),
    )
}
