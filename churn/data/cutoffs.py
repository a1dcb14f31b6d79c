"""The cutoffs of a panel, each a simulated "now", and the windows of their labels."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta

from churn.data.days import as_date
from churn.errors import ConfigError


@dataclass(frozen=True)
class Cutoffs:
    """Cutoff dates, oldest first, each with the label window that opens at it.

    Features at cutoff c use what happened, and had arrived, strictly before c; labels use the days
    from c + lead to c + lead + horizon. `until` is exclusive: nothing on or after it is used, and a
    label matures only `arrival_lag_days` after its window closes. If subscriptions may be renewed
    for `grace_days` after their expiry, the window closes that much later.
    """

    dates: tuple[date, ...]
    horizon_days: int
    until: date
    lead_days: int = 0
    arrival_lag_days: int = 0
    grace_days: int = 0

    def __post_init__(self) -> None:
        _at_least("horizon_days", self.horizon_days, 1)
        _at_least("lead_days", self.lead_days, 0)
        _at_least("arrival_lag_days", self.arrival_lag_days, 0)
        _at_least("grace_days", self.grace_days, 0)
        is_dates = isinstance(self.dates, tuple) and all(type(one) is date for one in self.dates)
        if not is_dates or type(self.until) is not date:
            rule = "dates must be a tuple of dates, and until a date"
            got = f"{type(self.dates).__name__} and {type(self.until).__name__}"
            raise ConfigError(rule, got=got, fix="Make them with Cutoffs.every(...).")
        if list(self.dates) != sorted(set(self.dates)):
            rule = "cutoff dates must be distinct and in order"
            raise ConfigError(rule, got=[str(d) for d in self.dates], fix="Sort them.")
        if self.dates and self.dates[-1] > self.newest_mature:
            raise ConfigError(
                f"a cutoff must be at or before {self.newest_mature}, so that its label window "
                f"closes by {self.until}",
                got=self.dates[-1],
                fix="Pass an earlier cutoff, a later end of the data or a shorter horizon_days.",
            )

    @classmethod
    def every(
        cls,
        step_days: int,
        *,
        until: date | str,
        horizon_days: int,
        count: int = 13,
        lead_days: int = 0,
        arrival_lag_days: int = 0,
        grace_days: int = 0,
        first: date | str | None = None,
    ) -> "Cutoffs":
        """The newest cutoff whose label is mature by `until`, and further ones before it.

        At most `count`, none before `first`.

        >>> panel = Cutoffs.every(14, until="2017-11-01", horizon_days=28, count=3)
        >>> [str(cutoff) for cutoff in panel]
        ['2017-09-06', '2017-09-20', '2017-10-04']
        """
        _at_least("step_days", step_days, 1)
        _at_least("count", count, 1)
        _at_least("horizon_days", horizon_days, 1)
        for name, days in (("lead", lead_days), ("arrival_lag", arrival_lag_days)):
            _at_least(f"{name}_days", days, 0)
        _at_least("grace_days", grace_days, 0)
        end = as_date(until, name="until")
        newest = end - timedelta(days=horizon_days + lead_days + grace_days + arrival_lag_days)
        dates = [newest - timedelta(days=step_days * k) for k in reversed(range(count))]
        if first is not None:
            dates = [d for d in dates if d >= as_date(first, name="first")]
        return cls(tuple(dates), horizon_days, end, lead_days, arrival_lag_days, grace_days)

    def __iter__(self) -> Iterator[date]:
        return iter(self.dates)

    def __len__(self) -> int:
        return len(self.dates)

    @property
    def reach_days(self) -> int:
        """Days from a cutoff to the end of its horizon."""
        return self.lead_days + self.horizon_days

    @property
    def closing_days(self) -> int:
        """Days from a cutoff to the first day outside its label window: horizon and grace."""
        return self.reach_days + self.grace_days

    @property
    def newest_mature(self) -> date:
        """The last date at which a cutoff's label is complete and has arrived."""
        return self.until - timedelta(days=self.closing_days + self.arrival_lag_days)

    def label_end(self, cutoff: date) -> date:
        """The first date outside the label window of a cutoff."""
        return cutoff + timedelta(days=self.closing_days)

    def only(self, dates: tuple[date, ...]) -> "Cutoffs":
        """The same panel restricted to those dates."""
        return replace(self, dates=dates)

    def before(self, at: date | str) -> "Cutoffs":
        """The cutoffs whose labels have closed, and arrived, by `at`."""
        end = as_date(at, name="at") - timedelta(days=self.arrival_lag_days)
        return self.only(tuple(d for d in self.dates if self.label_end(d) <= end))

    def since(self, at: date | str) -> "Cutoffs":
        """The cutoffs at or after `at`."""
        start = as_date(at, name="at")
        return self.only(tuple(d for d in self.dates if d >= start))


def _at_least(name: str, value: int, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        fix = f"Pass e.g. {max(least, 28)}."
        raise ConfigError(f"{name} must be a whole number >= {least}", got=value, fix=fix)
