"""Calendar dates, their midnights, and the day number that all arithmetic uses.

A day number counts whole days since 1970-01-01; an instant is the same as a float, in UTC.
"""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from churn.errors import ConfigError

EPOCH = date(1970, 1, 1)


def as_date(value: date | str, *, name: str = "date") -> date:
    """The calendar date of an ISO string or a date.

    >>> as_date("2017-12-03")
    datetime.date(2017, 12, 3)
    """
    if isinstance(value, datetime):
        raise ConfigError(f"{name} must be a whole date", got=value, fix='Pass e.g. "2017-12-03".')
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        fix = 'Pass e.g. "2017-12-03".'
        raise ConfigError(f"{name} must be an ISO date", got=repr(value), fix=fix) from None


def day_number(value: date) -> int:
    """Whole days from 1970-01-01 to a date.

    >>> day_number(date(2017, 12, 3))
    17503
    """
    return (value - EPOCH).days


def date_of(number: int) -> date:
    """The date of a day number."""
    return EPOCH + timedelta(days=number)


def zone(name: str, *, key: str = "timezone") -> ZoneInfo:
    """The time zone with that IANA name."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        fix = 'Write e.g. "Europe/Berlin" or "UTC".'
        raise ConfigError(f"{key} must be an IANA time zone", got=repr(name), fix=fix) from None


def midnight(value: date, day_timezone: str) -> float:
    """The instant at which a date begins in that zone, as days since 1970-01-01 UTC.

    >>> midnight(date(2017, 12, 3), "America/New_York") - day_number(date(2017, 12, 3))
    0.20833333333212067
    """
    return instant_of(datetime.combine(value, time(), tzinfo=zone(day_timezone)))


def instant_of(moment: datetime) -> float:
    """The days from 1970-01-01 UTC to a moment that carries its zone.

    >>> instant_of(datetime(1970, 1, 2, 12, tzinfo=UTC))
    1.5
    """
    since = moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return since // timedelta(microseconds=1) / 86_400e6


def moment_of(instant: float) -> datetime:
    """The moment of an instant, in UTC; years beyond the range of dates become the last one.

    >>> moment_of(1.5)
    datetime.datetime(1970, 1, 2, 12, 0, tzinfo=datetime.timezone.utc)
    """
    latest = datetime(9999, 12, 31, tzinfo=UTC)
    if instant >= instant_of(latest):
        return latest
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=instant)
