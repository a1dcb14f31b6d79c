"""A withdrawal is told once or often, and is one withdrawal."""

import sqlite3
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.errors import ConfigError
from churn.storage.database import open_database
from churn.storage.ledger import Ledger
from churn.storage.records import MIGRATIONS
from churn.storage.withdrawals import Withdrawal, record_withdrawal, withdrawals

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def ledger(tmp_path):
    with Ledger(tmp_path / "ledger.db", now=lambda: NOON) as ledger:
        yield ledger


def test_what_is_told_twice_is_on_record_once_and_its_first_moment_stays(ledger):
    assert record_withdrawal(ledger, "anna", "email", source="one-click")
    assert not record_withdrawal(ledger, "anna", "email", source="form", at=NOON + HOUR)
    told = {"customer_id": "anna", "channel": "email", "source": "one-click"}
    assert withdrawals(ledger) == [Withdrawal(**told, withdrawn_at=NOON, again_at=NOON + HOUR)]


def test_a_channel_is_the_same_whatever_its_case_and_the_space_around_it(ledger):
    assert record_withdrawal(ledger, "anna", " Email ", source="one-click")
    assert not record_withdrawal(ledger, "anna", "email", source="one-click")
    assert record_withdrawal(ledger, "anna", "sms", source="one-click")
    assert [one.channel for one in withdrawals(ledger)] == ["email", "sms"]


def test_moments_are_kept_in_utc(ledger):
    berlin = timezone(timedelta(hours=1))
    record_withdrawal(ledger, "anna", "email", source="x", at=datetime(2026, 1, 1, tzinfo=berlin))
    assert withdrawals(ledger)[0].withdrawn_at == datetime(2025, 12, 31, 23, tzinfo=UTC)


def test_a_moment_without_zone_and_a_withdrawal_without_channel_are_refused(ledger):
    with pytest.raises(ConfigError, match="must have a time zone"):
        record_withdrawal(ledger, "anna", "email", source="x", at=datetime(2026, 1, 1))
    with pytest.raises(ConfigError, match="must name its channel"):
        record_withdrawal(ledger, "anna", " ", source="x")
    assert withdrawals(ledger) == []


@given(st.lists(st.integers(-(10**9), 10**9), min_size=1))
def test_the_latest_moment_is_kept_whatever_the_order_in_which_they_are_told(offsets):
    with Ledger(Path(":memory:")) as ledger:
        for offset in offsets:
            at = NOON + timedelta(microseconds=offset * 1_000)
            record_withdrawal(ledger, "anna", "email", source="x", at=at)
        (found,) = withdrawals(ledger)
    first, last = offsets[0], max(offsets)
    assert found.withdrawn_at == NOON + timedelta(microseconds=first * 1_000)
    assert found.again_at == NOON + timedelta(microseconds=last * 1_000)


def test_a_ledger_of_an_earlier_schema_learns_to_keep_withdrawals(tmp_path):
    path = tmp_path / "ledger.db"
    open_database(path, MIGRATIONS[:3]).close()
    with Ledger(path) as ledger:
        record_withdrawal(ledger, "anna", "email", source="one-click")
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM withdrawals").fetchone() == (1,)
    connection.close()
