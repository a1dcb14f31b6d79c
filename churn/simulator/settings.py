"""Settings of the simulated shop: when, for how long, and which kinds of customers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np

from churn.arrays import Bools, Floats
from churn.errors import ConfigError

LONGEST_DAYS = 1_461
DAYS_A_CAMPAIGN = 56


@dataclass(frozen=True, kw_only=True)
class Segment:
    """One kind of customer; `share` is their part of the base.

    The purchase rate is Gamma with mean 1 / `mean_gap_days` and shape `rate_shape`, the probability
    of dropping out after a purchase Beta(`dropout_a`, `dropout_b`), a customer's mean order inverse
    Gamma with mean `mean_order`. `growth` above 1 means that they joined late.
    """

    name: str
    share: float
    mean_gap_days: float
    rate_shape: float
    dropout_a: float
    dropout_b: float
    mean_order: float
    growth: float
    web_share: float
    bargain_share: float
    return_share: float


SEGMENTS = (
    Segment(
        name="regular",
        share=0.3,
        mean_gap_days=16,
        rate_shape=2.5,
        dropout_a=1.0,
        dropout_b=27.0,
        mean_order=32.0,
        growth=0.8,
        web_share=0.4,
        bargain_share=0.15,
        return_share=0.02,
    ),
    Segment(
        name="occasional",
        share=0.4,
        mean_gap_days=42,
        rate_shape=1.2,
        dropout_a=1.0,
        dropout_b=6.0,
        mean_order=48.0,
        growth=1.0,
        web_share=0.6,
        bargain_share=0.25,
        return_share=0.04,
    ),
    Segment(
        name="bargain",
        share=0.2,
        mean_gap_days=30,
        rate_shape=0.9,
        dropout_a=0.8,
        dropout_b=5.0,
        mean_order=26.0,
        growth=1.5,
        web_share=0.8,
        bargain_share=0.7,
        return_share=0.06,
    ),
    Segment(
        name="big_basket",
        share=0.1,
        mean_gap_days=35,
        rate_shape=2.0,
        dropout_a=1.0,
        dropout_b=14.0,
        mean_order=140.0,
        growth=1.0,
        web_share=0.7,
        bargain_share=0.2,
        return_share=0.08,
    ),
)


@dataclass(frozen=True)
class Stretch:
    """Calendar days since the start: from `since` to before `before`."""

    since: float
    before: float

    def holds(self, day: Floats) -> Bools:
        """Whether each moment lies within the period."""
        return np.asarray((day >= self.since) & (day < self.before))


@dataclass(frozen=True, kw_only=True)
class ShopSettings:
    """The shop: it opens at midnight UTC of `start` and is observed for `days`.

    `lines` also writes order lines, the bulk of the data. With `late_share` above 0 orders carry
    `loaded_at`, and that share of them arrives days late. With `campaigns` above 0 the last of them
    was sent 56 days before the end; `randomised_share` of the customers who could be sent an offer
    were randomised, and a rule decided for the others. `ahead_days` after the end are simulated,
    too, and held back: their events become visible when the shop is advanced.
    """

    start: date = date(2022, 1, 1)
    days: int = 730
    ahead_days: int = 0
    lines: bool = True
    late_share: float = 0.0
    campaigns: int = 0
    randomised_share: float = 0.5
    segments: tuple[Segment, ...] = SEGMENTS

    def __post_init__(self) -> None:
        if not 1 <= self.days <= LONGEST_DAYS:
            rule = f"days must be between 1 and {LONGEST_DAYS}"
            raise ConfigError(rule, got=self.days, fix="Pass e.g. 730.")
        if not 0 <= self.ahead_days <= LONGEST_DAYS - self.days:
            rule = f"ahead_days must be between 0 and {LONGEST_DAYS - self.days}"
            raise ConfigError(rule, got=self.ahead_days, fix="Pass e.g. 28, or fewer days.")
        if not 0 <= self.late_share <= 1:
            rule = "late_share must be between 0 and 1"
            raise ConfigError(rule, got=self.late_share, fix="Pass e.g. 0.05.")
        if not 0 <= self.campaigns <= self.days // DAYS_A_CAMPAIGN:
            rule = f"campaigns must be between 0 and {self.days // DAYS_A_CAMPAIGN}, one in 56 days"
            raise ConfigError(rule, got=self.campaigns, fix="Pass e.g. 3, or more days.")
        if not 0 <= self.randomised_share <= 1:
            rule = "randomised_share must be between 0 and 1"
            raise ConfigError(rule, got=self.randomised_share, fix="Pass e.g. 0.5.")
        if self.until + timedelta(days=self.ahead_days) > datetime.now(UTC).date():
            rule = "the simulated days must end by today, because later rows are not read"
            fix = "Pass an earlier start or fewer days."
            raise ConfigError(rule, got=f"an end of {self.until}", fix=fix)

    @property
    def until(self) -> date:
        """The day after the last visible one."""
        return self.start + timedelta(days=self.days)

    @property
    def all_days(self) -> int:
        """The number of visible days and days ahead."""
        return self.days + self.ahead_days

    def of_segment(self, field: str) -> Floats:
        """One parameter of all segments, to be indexed by a customer's segment."""
        return np.array([getattr(segment, field) for segment in self.segments])
