"""Consent is the last word before `as_of`, and a refusal wins a tie."""

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from churn.data.consent import consent_state, consent_to_send, earlier_contacts, objectors
from churn.data.tables import Tables

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


@pytest.mark.parametrize("engine", ["duckdb", "polars"])
def test_what_counts_to_send_is_the_same_on_every_engine(engine):
    start = pd.Timestamp("2024-05-01")
    orders = pd.DataFrame({"customer_id": ["ann"], "ordered_at": [start], "amount": [1.0]})
    said = pd.DataFrame({"customer_id": ["ann"] * 3, "channel": "email", "purpose": "marketing"})
    said["granted"] = [False, True, False]
    said["changed_at"] = [start + pd.Timedelta(days=n) for n in (-2, -1, 1)]
    tables = Tables.from_frames(orders, engine=engine, consents=said)
    assert consent_to_send(tables.as_of(AS_OF))["granted"].to_pylist() == [True, False]
