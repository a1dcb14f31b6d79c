"""Preferences are the last word on each channel and kind, and the stricter of two at once."""

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from churn.data.consent import longest_cap_days, preference_state, preferences_to_send
from churn.data.tables import Tables

BEGINS = datetime(2024, 5, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def wish(at=BEGINS - DAY, **more):
    return {"customer_id": "anna", "changed_at": at, **more}


def snapshot(*rows, engine="duckdb"):
    orders = pd.DataFrame({"customer_id": ["anna"], "ordered_at": [BEGINS - DAY], "amount": [1.0]})
    said = {"preferences": pd.DataFrame(list(rows))} if rows else {}
    return Tables.from_frames(orders, engine=engine, **said).as_of("2024-05-01")


def state(*rows, **more):
    columns = ("channel", "kind", "allowed", "max_contacts", "cap_days")
    found = preference_state(snapshot(*rows, **more)).to_pylist()
    return [tuple(row[name] for name in columns) for row in found]


@pytest.mark.parametrize("engine", ["duckdb", "polars"])
def test_the_last_word_on_a_channel_and_kind_holds(engine):
    rows = [
        wish(BEGINS - 2 * DAY, channel="email", kind="survey", allowed=False),
        wish(BEGINS - DAY, channel=" Email", kind="Survey", allowed=True),
        wish(BEGINS - DAY, channel="sms", kind=None, allowed=False),
    ]
    assert state(*rows, engine=engine) == [
        ("email", "survey", True, None, 28.0),
        ("sms", "", False, None, 28.0),
    ]


def test_without_channel_and_kind_a_word_is_on_all_of_them():
    assert state(wish(allowed=False)) == [("", "", False, None, 28.0)]


def test_of_two_words_at_one_moment_the_stricter_hold():
    rows = [wish(allowed=True, max_contacts=2, cap_days=7), wish(allowed=False, max_contacts=1)]
    assert state(*rows) == state(*rows[::-1]) == [("", "", False, 1.0, 28.0)]


def test_no_contact_at_all_is_a_no_and_half_a_contact_is_none():
    assert state(wish(allowed=True, max_contacts=0)) == [("", "", False, None, 28.0)]
    assert state(wish(allowed=True, max_contacts=0.5)) == [("", "", False, None, 28.0)]
    assert state(wish(max_contacts=1.5, cap_days=6.5)) == [("", "", None, 1.0, 7.0)]


def test_a_plan_knows_what_was_said_and_had_arrived_and_a_sending_all_that_was_said():
    rows = [
        wish(BEGINS - 3 * DAY, allowed=True, loaded_at=BEGINS - 3 * DAY),
        wish(BEGINS - DAY, allowed=False, loaded_at=BEGINS),
        wish(BEGINS + DAY, allowed=True, max_contacts=1, loaded_at=BEGINS + DAY),
    ]
    known, happened, ever = preferences_to_send(snapshot(*rows))
    assert known.to_pylist() == preference_state(snapshot(*rows)).to_pylist()
    assert [table["allowed"].to_pylist() for table in (known, happened, ever)] == [
        [True],
        [False],
        [True],
    ]


def test_the_longest_limit_is_that_of_those_who_set_one():
    rows = [
        wish(channel="email", max_contacts=1, cap_days=7),
        wish(channel="sms", max_contacts=3, cap_days=40),
        wish(channel="post", allowed=False, cap_days=90),
    ]
    assert longest_cap_days(preference_state(snapshot(*rows))) == 40
    assert longest_cap_days(preference_state(snapshot(wish(allowed=False)))) == 0
    assert longest_cap_days(None) == 0


def test_without_a_table_nothing_is_known():
    assert preference_state(snapshot()) is None
    assert preferences_to_send(snapshot()) == ()
