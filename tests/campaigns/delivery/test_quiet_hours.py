"""Quiet hours follow local time, also across clock changes."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.campaigns.delivery.quiet_hours import QuietHours
from churn.errors import ConfigError

MINUTE = timedelta(minutes=1)
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe")
# Around the clock changes of these zones in 2026, and any day.
CHANGES = [datetime(2026, *day, tzinfo=UTC) for day in ((3, 8), (3, 29), (4, 5), (10, 4), (10, 25))]
near_changes = st.builds(
    lambda day, seconds: day + timedelta(seconds=seconds),
    st.sampled_from(CHANGES),
    st.integers(-86_400, 2 * 86_400),
)
moments = near_changes | st.datetimes(
    datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)
)
times = st.builds(time, st.integers(0, 23), st.sampled_from([0, 1, 15, 30, 59]))


def shown(moment, name):
    return moment.astimezone(ZoneInfo(name)).time()


def within(now, begins, ends):
    """Minutes since the start, modulo a day: needs no special case for midnight."""
    minutes = lambda at: at.hour * 60 + at.minute  # noqa: E731 - a name for a formula
    length = (minutes(ends) - minutes(begins)) % 1440
    return (minutes(now) - minutes(begins)) % 1440 < length


@given(moments, times, times, st.sampled_from(ZONES))
def test_opens_at_equals_a_walk_minute_by_minute(moment, begins, ends, name):
    if begins == ends:
        return
    quiet = QuietHours(begins, ends, name)
    walked = moment
    while within(shown(walked, name), begins, ends):
        walked = walked.replace(second=0, microsecond=0) + MINUTE
    assert quiet.opens_at(moment) == walked
    assert quiet.is_quiet(moment) == (walked != moment)
    assert not quiet.is_quiet(walked)


def test_if_clocks_go_forward_over_the_end_sending_opens_at_the_change():
    """In Berlin 02:00 of 29 March 2026 became 03:00."""
    quiet = QuietHours.parse("21:00-02:30", timezone="Europe/Berlin")
    late = datetime(2026, 3, 28, 22, tzinfo=UTC)
    assert quiet.opens_at(late) == datetime(2026, 3, 29, 1, tzinfo=UTC)


def test_a_repeated_hour_is_quiet_twice():
    """In New York 02:00 of 1 November 2026 became 01:00."""
    quiet = QuietHours.parse("21:00-01:30", timezone="America/New_York")
    first, again = (datetime(2026, 11, 1, hour, 30, tzinfo=UTC) for hour in (5, 6))
    assert quiet.opens_at(first - MINUTE) == first
    assert quiet.opens_at(again - MINUTE) == again
    assert not quiet.is_quiet(first + 29 * MINUTE)


def test_quiet_hours_include_their_start_and_exclude_their_end():
    quiet = QuietHours.parse(" 12:00 - 13:30 ", timezone="UTC")
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    assert quiet.opens_at(noon) == noon + 90 * MINUTE
    assert quiet.opens_at(noon - MINUTE) == noon - MINUTE


@pytest.mark.parametrize("text", ["", "21-8", "21:00", "24:00-08:00", "21:00-08:61", "9pm-8am"])
def test_anything_but_two_times_of_day_is_refused(text):
    with pytest.raises(ConfigError, match=r'must be two times of day.*Write e\.g\. "21:00-08:00"'):
        QuietHours.parse(text, timezone="UTC")


def test_empty_hours_and_moments_without_zone_are_refused():
    with pytest.raises(ConfigError, match="must leave some time for sending"):
        QuietHours.parse("08:00-08:00", timezone="UTC")
    with pytest.raises(ConfigError, match="must be an IANA time zone"):
        QuietHours.parse("21:00-08:00", timezone="Mars/Base")
    quiet = QuietHours.parse("21:00-08:00", timezone="UTC")
    for ask in (quiet.is_quiet, quiet.opens_at):
        with pytest.raises(ConfigError, match="must carry its zone"):
            ask(datetime(2026, 1, 1))
