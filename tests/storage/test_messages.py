"""A message is on record before it goes out, and is never claimed twice."""

from datetime import UTC, date, datetime, timedelta

import pytest

from churn.storage.ledger import Ledger
from churn.storage.messages import (
    Message,
    Settled,
    claim,
    doubt_unfinished,
    enqueue,
    message_of_token,
    messages_of,
    settle,
)
from churn.storage.withdrawals import last_told, record_withdrawal

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
NEW_YEAR = date(2027, 1, 1)


@pytest.fixture
def ledger(tmp_path):
    with Ledger(tmp_path / "ledger.db", now=lambda: NOON) as ledger:
        yield ledger


def message(customer="anna", **changes):
    values = {
        "campaign_id": "spring",
        "as_of": NEW_YEAR,
        "customer_id": customer,
        "through": "email",
        "offer_id": "coupon",
        "channel": "email",
        "token": f"token-{customer}",
        "parcel": f"parcel-{customer}",
        "run_id": "run-1",
    }
    return Message(**{**values, **changes})


def states(ledger):
    return {one.customer_id: one.state for one in messages_of(ledger, "spring", NEW_YEAR)}


def claimed(ledger, *messages, since=0):
    return claim(ledger, messages, since=since)


def test_a_message_is_found_by_its_campaign_and_date_and_by_its_token(ledger):
    enqueue(ledger, [message("anna"), message("ben"), message("cleo", campaign_id="summer")])
    assert messages_of(ledger, "spring", NEW_YEAR) == [message("anna"), message("ben")]
    assert messages_of(ledger, "spring", NEW_YEAR - timedelta(days=1)) == []
    assert message_of_token(ledger, "token-cleo").customer_id == "cleo"
    assert message_of_token(ledger, "token") is None


def test_only_a_waiting_message_can_be_claimed_and_only_once(ledger):
    enqueue(ledger, [message()])
    assert claimed(ledger, message()) == [message()]
    assert claimed(ledger, message()) == []
    for state in ("sent", "failed", "unknown"):
        settle(ledger, Settled([message()], state))
        assert claimed(ledger, message()) == []
    settle(ledger, Settled([message()], "waiting", "421"))
    assert claimed(ledger, message(), message("nobody")) == [message()]


def test_what_became_of_the_one_before_is_written_with_the_next_claim(ledger):
    enqueue(ledger, [message("anna"), message("ben")])
    claimed(ledger, message("anna"))
    before = Settled([message("anna")], "failed", "550")
    claim(ledger, [message("ben")], since=0, before=before)
    assert states(ledger) == {"anna": "failed", "ben": "sending"}


def test_whoever_withdraws_while_it_is_sent_is_not_claimed(ledger):
    enqueue(ledger, [message("anna"), message("ben", channel=" Email "), message("cleo")])
    record_withdrawal(ledger, "anna", "email", source="page")
    record_withdrawal(ledger, "ben", "email", source="page")
    record_withdrawal(ledger, "cleo", "sms", source="page")
    assert claimed(ledger, message("anna"), message("ben"), message("cleo")) == [message("cleo")]


def test_a_withdrawal_from_before_consent_was_read_is_for_consent_to_judge(ledger):
    enqueue(ledger, [message()])
    record_withdrawal(ledger, "anna", "email", source="page")
    assert claimed(ledger, message(), since=last_told(ledger)) == [message()]


def test_a_withdrawal_while_it_is_sent_is_seen_whatever_the_clock_says(ledger):
    """A clock that was put back, and a customer who had withdrawn before."""
    enqueue(ledger, [message()])
    record_withdrawal(ledger, "anna", "email", source="page")
    since = last_told(ledger)
    record_withdrawal(ledger, "anna", "email", source="page", at=NOON - timedelta(days=900))
    assert claimed(ledger, message(), since=since) == []


def test_what_was_being_sent_when_a_run_died_is_in_doubt(ledger):
    enqueue(ledger, [message("anna"), message("ben"), message("cleo", through="webhook")])
    claimed(ledger, message("anna"), message("cleo", through="webhook"))
    assert doubt_unfinished(ledger, "spring", NEW_YEAR, "email") == 1
    assert states(ledger) == {"anna": "unknown", "ben": "waiting", "cleo": "sending"}
    assert messages_of(ledger, "spring", NEW_YEAR)[0].cause == "interrupted"


def test_who_is_enqueued_again_keeps_the_token_that_may_have_gone_out(ledger):
    enqueue(ledger, [message(state="failed")])
    enqueue(ledger, [message(token="other", offer_id="points", run_id="run-2")])
    (found,) = messages_of(ledger, "spring", NEW_YEAR)
    assert (found.token, found.offer_id, found.run_id) == ("token-anna", "points", "run-2")
    assert found.state == "waiting"
