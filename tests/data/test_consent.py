"""Consent is the last word before `as_of`, wherever it was said, and a refusal wins a tie."""

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from churn.data.consent import (
    consent_state,
    consent_to_plan,
    consent_to_send,
    earlier_contacts,
    objectors,
    withdrawal_statements,
)
from churn.data.tables import Tables
from churn.storage.withdrawals import Withdrawal

AS_OF = "2024-05-01"
BEGINS = datetime(2024, 5, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def word(granted: str, at: datetime, **more) -> dict:
    said = {"customer_id": "anna", "channel": "email", "purpose": "marketing"}
    return said | {"granted": granted, "changed_at": str(at)} | more


@pytest.fixture
def state(open_shop, as_table, tiny_shop):
    """Consents as rows in, (customer, channel, purpose) -> granted at 2024-05-01 out."""

    def look(*words: dict) -> dict:
        tables = open_shop(tiny_shop, consents=as_table(words))
        rows = consent_state(tables.as_of(AS_OF)).to_pylist()
        return {(r["customer_id"], r["channel"], r["purpose"]): r["granted"] for r in rows}

    return look


KEY = ("anna", "email", "marketing")


def test_the_last_word_holds_whatever_the_order_of_the_rows(state):
    words = [word("true", BEGINS - 3 * DAY), word("false", BEGINS - 2 * DAY)]
    assert state(*words) == state(*words[::-1]) == {KEY: False}
    assert state(*words, word("true", BEGINS - DAY)) == {KEY: True}


def test_of_two_words_at_one_moment_the_refusal_holds(state):
    assert state(word("true", BEGINS - DAY), word("false", BEGINS - DAY)) == {KEY: False}


def test_a_word_at_as_of_is_not_yet_known(state):
    assert state(word("true", BEGINS - DAY), word("false", BEGINS)) == {KEY: True}
    assert state(word("false", BEGINS)) == {}


def test_a_word_that_arrived_at_as_of_or_later_is_not_yet_known(state):
    early = word("true", BEGINS - 3 * DAY, loaded_at=BEGINS - 2 * DAY)
    late = word("false", BEGINS - DAY, loaded_at=BEGINS)
    assert state(early, late) == {KEY: True}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([word("true", BEGINS - DAY), word("false", BEGINS + DAY)], {True, False}),
        ([word("true", BEGINS - DAY), word("true", BEGINS + DAY)], {True}),
        ([word("true", BEGINS + DAY)], set()),
        ([word("false", BEGINS + DAY)], {False}),
        ([word("false", BEGINS + DAY), word("true", BEGINS + 2 * DAY)], set()),
    ],
)
def test_to_send_a_refusal_counts_whenever_it_was_said(open_shop, as_table, tiny_shop, words, said):
    """A consent has to be older than the date."""
    tables = open_shop(tiny_shop, consents=as_table(words))
    assert set(consent_to_send(tables.as_of(AS_OF))["granted"].to_pylist()) == said


@pytest.mark.parametrize(
    ("loaded", "said"), [(BEGINS - DAY, {False}), (BEGINS + DAY, {True, False})]
)
def test_to_send_a_refusal_counts_although_it_arrived_late(
    open_shop, as_table, tiny_shop, loaded, said
):
    """Also where a later grant, that counts not yet, is the last word of all."""
    words = [
        word("true", BEGINS - 3 * DAY, loaded_at=BEGINS - 3 * DAY),
        word("false", BEGINS - 2 * DAY, loaded_at=loaded),
        word("true", BEGINS + DAY, loaded_at=BEGINS + DAY),
    ]
    tables = open_shop(tiny_shop, consents=as_table(words))
    assert set(consent_to_send(tables.as_of(AS_OF))["granted"].to_pylist()) == said


def test_a_channel_is_one_however_it_is_written(state):
    words = [word("true", BEGINS - 3 * DAY), word("false", BEGINS - 2 * DAY, channel=" Email ")]
    assert state(*words) == {KEY: False}
    assert state(*words, word("true", BEGINS - DAY, purpose="Marketing")) == {KEY: True}


# Refusals that are said elsewhere than in the table of consents


@pytest.fixture
def told(open_shop, as_table, tiny_shop):
    """Consents, unsubscriptions and withdrawals in; (channel) -> granted of anna at 2024-05-01."""

    def look(words=(), left=(), withdrawn=(), ask=consent_state):
        tables = open_shop(
            tiny_shop,
            **({"consents": as_table(words)} if words else {}),
            **({"events": as_table(left)} if left else {}),
        )
        known = withdrawal_statements(withdrawal(channel, at) for channel, at in withdrawn)
        state = ask(tables.as_of(AS_OF), withdrawn=known)
        return {(row["channel"], row["granted"]) for row in state.to_pylist()}

    return look


def left(at, **more):
    event = {"customer_id": "anna", "occurred_at": str(at), "event_type": "unsubscribe"}
    return event | more


def withdrawal(channel, at):
    said = {"customer_id": "anna", "channel": channel, "source": "one-click"}
    return Withdrawal(**said, withdrawn_at=at, again_at=at)


def test_an_unsubscription_refuses_its_channel_or_else_mail(told):
    assert told(left=[left(BEGINS - DAY)]) == {("email", False)}
    assert told(left=[left(BEGINS - DAY, channel=" SMS ")]) == {("sms", False)}
    assert told(left=[left(BEGINS - DAY, channel="")]) == {("email", False)}
    assert told(left=[left(BEGINS - DAY, event_type="visit")]) == set()


@pytest.mark.parametrize("tell", ["left", "withdrawn"])
def test_of_agreeing_and_leaving_the_later_holds_and_a_tie_is_a_refusal(told, tell):
    at = BEGINS - 2 * DAY
    gone = {tell: [left(at) if tell == "left" else ("email", at)]}
    earlier, same, later = ([word("true", at + n * DAY)] for n in (-1, 0, 1))
    assert told(earlier, **gone) == {("email", False)}
    assert told(same, **gone) == {("email", False)}
    assert told(later, **gone) == {("email", True)}


@pytest.mark.parametrize("tell", ["left", "withdrawn"])
def test_leaving_is_known_to_a_plan_from_its_moment_on_and_to_a_sending_at_once(told, tell):
    at = BEGINS + 2 * DAY
    gone = {tell: [left(at) if tell == "left" else ("email", at)]}
    agreed = [word("true", BEGINS - DAY)]
    assert told(agreed, **gone) == {("email", True)}
    assert told(agreed, **gone, ask=consent_to_send) == {("email", True), ("email", False)}


def test_a_plan_knows_a_withdrawal_that_was_told_here_after_its_date_and_no_other_word(told):
    agreed, at = [word("true", BEGINS - DAY)], BEGINS + 2 * DAY
    ask = {"ask": consent_to_plan}
    refused = {("email", True), ("email", False)}
    assert told(agreed, withdrawn=[("email", at)], **ask) == refused
    assert told(agreed, [left(at)], **ask) == {("email", True)}
    again = [*agreed, word("true", at + DAY)]
    assert told(again, withdrawn=[("email", at)], **ask) == {("email", True)}
    assert told(agreed, [left(at)], withdrawn=[("sms", at)], **ask) == {
        ("email", True),
        ("sms", False),
    }


def test_an_unsubscription_that_arrived_late_is_not_yet_known_to_a_plan(told):
    late = [left(BEGINS - 2 * DAY, loaded_at=BEGINS)]
    assert told([word("true", BEGINS - 3 * DAY)], late) == {("email", True)}
    ask = {"ask": consent_to_send}
    assert told([word("true", BEGINS - 3 * DAY)], late, **ask) == {
        ("email", True),
        ("email", False),
    }


def test_a_withdrawal_counts_when_it_is_told_first_and_last():
    """For one may agree in between."""
    at = {"withdrawn_at": BEGINS - 3 * DAY, "again_at": BEGINS - DAY}
    said = Withdrawal(customer_id="anna", channel="email", source="one-click", **at)
    days = [row["day"] for row in withdrawal_statements([said]).to_pylist()]
    assert [datetime.fromtimestamp(day * 86_400, UTC) for day in days] == list(at.values())
    assert withdrawal_statements([]) is None


def test_nobody_who_unsubscribed_objects_to_profiling(open_shop, as_table, tiny_shop):
    tables = open_shop(tiny_shop, events=as_table([left(BEGINS - DAY)]))
    assert objectors(tables.as_of(AS_OF)) == set()


def test_channels_purposes_and_customers_are_kept_apart(state):
    found = state(
        word("true", BEGINS - DAY),
        word("false", BEGINS - DAY, channel="sms"),
        word("false", BEGINS - DAY, purpose="profiling"),
        word("false", BEGINS - DAY, customer_id="ben"),
    )
    assert found == {
        KEY: True,
        ("anna", "sms", "marketing"): False,
        ("anna", "email", "profiling"): False,
        ("ben", "email", "marketing"): False,
    }


def test_without_a_table_of_consents_nothing_is_known(open_shop, tiny_shop):
    snapshot = open_shop(tiny_shop).as_of(AS_OF)
    assert consent_state(snapshot) is None
    assert consent_to_send(snapshot) is None
    assert objectors(snapshot) == set()
    assert earlier_contacts(snapshot) is None


def test_objectors_refused_profiling_with_their_last_word(open_shop, as_table, tiny_shop):
    profiling = {"purpose": "profiling"}
    consents = [
        word("false", BEGINS - DAY, **profiling),
        word("false", BEGINS - 2 * DAY, customer_id="ben", **profiling),
        word("true", BEGINS - DAY, customer_id="ben", **profiling),
        word("false", BEGINS - DAY, customer_id="cleo"),
    ]
    tables = open_shop(tiny_shop, consents=as_table(consents))
    assert objectors(tables.as_of(AS_OF)) == {"anna"}


def test_earlier_contacts_are_those_treated_before_as_of_with_their_age(
    open_shop, as_table, tiny_shop
):
    contacts = [
        {"customer_id": name, "contacted_at": str(at), "campaign_id": "c", "arm": arm}
        for name, at, arm in (
            ("anna", BEGINS - 3 * DAY, "treatment"),
            ("ben", BEGINS - DAY, "control"),
            ("cleo", BEGINS - DAY, "holdout"),
            ("dora", BEGINS - DAY / 2, None),
            ("emil", BEGINS, "treatment"),
        )
    ]
    tables = open_shop(tiny_shop, contacts=as_table(contacts))
    found = earlier_contacts(tables.as_of(AS_OF)).to_pylist()
    assert [(row["customer_id"], row["days_since"]) for row in found] == [
        ("anna", 3),
        ("dora", 0.5),
    ]
    assert {row["offer_id"] for row in found} == {None}


def test_who_drew_no_offer_was_not_contacted(open_shop, as_table, tiny_shop):
    drawn = {"anna": "points", "ben": "none"}
    contacts = [
        {
            "customer_id": name,
            "contacted_at": str(BEGINS - DAY),
            "campaign_id": "c",
            "arm": "explore",
            "offer_id": offer,
        }
        for name, offer in drawn.items()
    ]
    tables = open_shop(tiny_shop, contacts=as_table(contacts))
    found = earlier_contacts(tables.as_of(AS_OF)).to_pylist()
    assert [row["customer_id"] for row in found] == ["anna"]


@pytest.mark.parametrize("engine", ["duckdb", "polars"])
def test_what_counts_to_send_is_the_same_on_every_engine(engine):
    start = pd.Timestamp("2024-05-01")
    orders = pd.DataFrame({"customer_id": ["ann"], "ordered_at": [start], "amount": [1.0]})
    said = pd.DataFrame({"customer_id": ["ann"] * 3, "channel": "email", "purpose": "marketing"})
    said["granted"] = [False, True, False]
    said["changed_at"] = [start + pd.Timedelta(days=n) for n in (-2, -1, 1)]
    tables = Tables.from_frames(orders, engine=engine, consents=said)
    assert consent_to_send(tables.as_of(AS_OF))["granted"].to_pylist() == [True, False]
