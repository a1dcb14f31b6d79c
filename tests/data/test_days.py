"""Dates, midnights and day numbers."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.data.days import as_date, date_of, day_number, midnight, zone
from churn.errors import ConfigError

dates = st.dates(date(1970, 1, 1), date(2100, 1, 1))


@given(dates)
def test_a_day_number_leads_back_to_its_date(day):
    assert date_of(day_number(day)) == day


@given(dates)
def test_in_utc_midnight_is_the_day_number(day):
    assert midnight(day, "UTC") == day_number(day)


@given(dates, st.sampled_from(["America/New_York", "Asia/Kolkata", "Pacific/Auckland"]))
def test_midnight_is_the_moment_at_which_the_date_begins(day, name):
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=midnight(day, name))
    just_after = (moment + timedelta(seconds=1)).astimezone(zone(name))
    just_before = (moment - timedelta(seconds=1)).astimezone(zone(name))
    assert just_before.date() < just_after.date() == day


def test_a_date_is_read_from_iso_text_and_kept_as_it_is():
    assert as_date("2024-02-29") == as_date(date(2024, 2, 29)) == date(2024, 2, 29)


@pytest.mark.parametrize("value", ["2023-02-29", "29.02.2024", "", None, 20240229])
def test_what_is_no_iso_date_is_refused_by_name(value):
    with pytest.raises(ConfigError, match=r'as_of must be an ISO date.* Pass e\.g\. "2017-12-03"'):
        as_date(value, name="as_of")


def test_a_moment_is_no_date():
    with pytest.raises(ConfigError, match="until must be a whole date"):
        as_date(datetime(2024, 1, 1, 12), name="until")


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "../etc/passwd", "/etc/hosts"])
def test_a_zone_that_does_not_exist_is_refused_by_name(name):
    with pytest.raises(ConfigError, match=r'day_timezone must be .* Write e\.g\. "Europe/Berlin"'):
        zone(name, key="day_timezone")
