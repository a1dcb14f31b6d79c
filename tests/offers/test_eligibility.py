"""For whom an offer is: status, segment, reason, birthday, holiday, and service that is owed."""

from datetime import date

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.errors import ConfigError
from churn.offers.catalogue import Offers
from churn.offers.eligibility import days_to_birthday, days_to_holiday, served

DAYS = st.dates(date(1930, 1, 1), date(2060, 12, 31))
AS_OF = date(2024, 2, 27)


@pytest.fixture
def fits(make_offer):
    """Which of the people an offer with those terms is for."""

    def fits(people, *, as_of=AS_OF, holidays=None, **terms):
        offers = Offers((make_offer(**terms),), "c", holidays or {})
        table = pa.table({"status": ["eligible"] * len(next(iter(people.values())))} | people)
        return served(table, offers, as_of=as_of).all[:, 0].tolist()

    return fits


def test_the_lapsed_are_served_by_win_back_offers_alone(fits, make_offer):
    people = {"status": ["eligible", "lapsed", "new", None]}
    assert fits(people, kind="win_back", statuses=("lapsed",)) == [False, True, False, False]
    with pytest.raises(ConfigError, match=r'must have the objective "win_back", got \'retain\''):
        make_offer(statuses=("eligible", "lapsed"))


def test_whom_service_is_owed_gets_service_first_and_never_a_coupon(fits):
    people = {"owed_service": [True, False, None]}
    assert fits(people) == [False, True, True]
    assert fits(people, kind="service", channel="call") == [True, True, True]


def test_an_offer_for_segments_is_for_no_one_else(fits):
    people = {"segment": ["loyal", "best", None]}
    assert fits(people, segments=("loyal",)) == [True, False, False]
    assert fits({"owed_service": [False]}, segments=("loyal",)) == [False]


def test_an_offer_for_a_reason_is_for_those_at_risk_for_it(fits):
    people = {"reason_families": [["service", "recency"], ["money"], None]}
    assert fits(people, reason_families=("service",)) == [True, False, False]


def test_a_birthday_offer_is_for_the_days_before_it(fits):
    born = [date(1980, 2, 27), date(1980, 3, 5), date(1980, 3, 6), date(1980, 2, 26), None]
    people = {"birth_date": pa.array(born, pa.date32())}
    assert fits(people, birthday_within_days=7) == [True, True, False, False, False]


def test_a_holiday_offer_is_for_the_days_before_it(fits):
    people = {"owed_service": [False]}
    christmas = {"holiday": "christmas", "holiday_within_days": 10}
    days = {"christmas": ("12-25",)}
    assert fits(people, as_of=date(2024, 12, 15), holidays=days, **christmas) == [True]
    assert fits(people, as_of=date(2024, 12, 14), holidays=days, **christmas) == [False]
    assert fits(people, as_of=date(2024, 12, 26), holidays=days, **christmas) == [False]


@given(DAYS, DAYS)
def test_a_birthday_is_less_than_a_year_ahead_and_falls_on_its_day(born, as_of):
    (ahead,) = days_to_birthday([born], as_of)
    day = date.fromordinal(as_of.toordinal() + int(ahead))
    assert 0 <= ahead <= 366
    leap_born = (born.month, born.day) == (2, 29)
    assert (day.month, day.day) in {(born.month, born.day), *([(2, 28)] if leap_born else [])}


def test_a_leap_day_birthday_is_on_the_last_of_february_in_common_years():
    born = [date(1988, 2, 29)]
    assert days_to_birthday(born, date(2024, 2, 28)).tolist() == [1.0]
    assert days_to_birthday(born, date(2025, 2, 28)).tolist() == [0.0]


def test_moving_holidays_are_dates_of_which_the_next_counts():
    easter = ["2026-04-05", "2027-03-28"]
    assert days_to_holiday(easter, date(2026, 4, 1)) == 4
    assert days_to_holiday(easter, date(2027, 3, 28)) == 0
    assert days_to_holiday(easter, date(2027, 3, 29)) == np.inf
