"""Quiet hours, in local time."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Self

from churn.data.days import zone
from churn.errors import ConfigError

_HOURS = re.compile(r"\s*(\d\d:\d\d)\s*-\s*(\d\d:\d\d)\s*")
_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True)
class QuietHours:
    """From `begins` to before `ends` in local time; across midnight if `ends` is earlier.

    >>> quiet = QuietHours.parse("21:00-08:00", timezone="Europe/Berlin")
    >>> quiet.opens_at(datetime(2026, 1, 5, 23, 30, tzinfo=UTC)).isoformat()
    '2026-01-06T07:00:00+00:00'
    """

    begins: time
    ends: time
    timezone: str

    def __post_init__(self) -> None:
        zone(self.timezone)
        if self.begins == self.ends:
            rule = "quiet hours must leave some time for sending"
            raise ConfigError(rule, got=f"{self.begins:%H:%M}-{self.ends:%H:%M}", fix=_FIX)

    @classmethod
    def parse(cls, text: str, *, timezone: str) -> Self:
        """The hours of a text such as "21:00-08:00". Raises ConfigError if it is invalid."""
        written = _HOURS.fullmatch(text)
        try:
            begins, ends = map(time.fromisoformat, written.groups() if written else ())
        except ValueError:
            rule = "quiet hours must be two times of day"
            raise ConfigError(rule, got=repr(text), fix=_FIX) from None
        return cls(begins, ends, timezone)

    def is_quiet(self, moment: datetime) -> bool:
        """Whether nothing may be sent at that moment, which carries its zone."""
        now = self._local(moment).time()
        if self.begins < self.ends:
            return self.begins <= now < self.ends
        return now >= self.begins or now < self.ends

    def opens_at(self, moment: datetime) -> datetime:
        """The first moment at or after this one that is not quiet, in UTC.

        If clocks go forward over the end, it is the moment of the change; if they go back, repeated
        hours are quiet twice.
        """
        moment = self._local(moment).astimezone(UTC)
        if not self.is_quiet(moment):
            return moment
        end = moment + self._left(moment)
        change = self._clock_change(moment, end)
        return end if change is None else self.opens_at(change)

    def _left(self, quiet: datetime) -> timedelta:
        """The remaining quiet time, without clock changes."""
        now = self._local(quiet).replace(tzinfo=None)
        end = datetime.combine(now.date(), self.ends)
        return end - now if end > now else end + _DAY - now

    def _clock_change(self, after: datetime, until: datetime) -> datetime | None:
        """The first whole second in (after, until] with another offset; None if there is none.

        Clocks change at most once a day.
        """
        if self._offset(after) == self._offset(until):
            return None
        after = after.replace(microsecond=0)
        while until - after > _SECOND:
            middle = (after + (until - after) / 2).replace(microsecond=0)
            same = self._offset(middle) == self._offset(after)
            after, until = (middle, until) if same else (after, middle)
        return until

    def _offset(self, moment: datetime) -> timedelta | None:
        return self._local(moment).utcoffset()

    def _local(self, moment: datetime) -> datetime:
        if moment.tzinfo is None:
            rule = "the moment of sending must carry its zone"
            raise ConfigError(rule, got=moment, fix="Pass e.g. datetime.now(UTC).")
        return moment.astimezone(zone(self.timezone))


_FIX = 'Write e.g. "21:00-08:00".'
