"""A word that restricts is never lost, whatever is wrong with it; a grant grants what it names."""

from datetime import UTC, date, datetime

import dirty_words as dirty
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings

from churn.campaigns.delivery.deliverable import deliverable
from churn.config import load_tables
from churn.data.consent import consent_state, consent_to_send, objectors, preference_state
from churn.data.tables import Tables
from churn.errors import ConfigError, DataError

CLOCK = datetime(2024, 6, 1, tzinfo=UTC)
TODAY = date(2024, 5, 1)
ORDERS = pd.DataFrame({"customer_id": ["anna"], "ordered_at": ["2024-01-01"], "amount": [9.0]})
CONSENT = {"customer_id": "anna", "channel": "email", "purpose": "marketing"}
AGREED = CONSENT | {"granted": "true", "changed_at": "2024-01-01"}


def texts(rows, columns):
    """A frame of texts, as a CSV file brings them."""
    return pa.table(
        {name: pa.array([row.get(name) for row in rows], pa.string()) for name in columns}
    )


def opened(consents=None, events=None, preferences=None, **options):
    columns = {
        "consents": ("customer_id", "channel", "purpose", "granted", "changed_at"),
        "events": ("customer_id", "occurred_at", "event_type", "channel", "campaign_id"),
        "preferences": (
            *("customer_id", "channel", "kind", "allowed", "max_contacts", "cap_days"),
            "changed_at",
        ),
    }
    given = {"consents": consents, "events": events, "preferences": preferences}
    tables = {name: texts(rows, columns[name]) for name, rows in given.items() if rows is not None}
    names = {row.get("customer_id") for rows in given.values() for row in rows or ()} - {None}
    orders = pd.DataFrame({"customer_id": sorted(names)}).assign(
        ordered_at="2024-01-01", amount=9.0
    )
    return Tables.from_frames(orders, clock=CLOCK, **({"bad_row_limit": 0.99} | options), **tables)


def sent(tables, channel, customers, consent):
    """Who of the customers would be sent an offer on the channel today."""
    count = len(customers)
    plan = pa.table(
        {
            **{"customer_id": customers, "offer_id": ["coupon"] * count},
            **{"channel": [channel] * count, "arm": ["treatment"] * count},
            "expires_on": pa.array([TODAY] * count),
        }
    )
    known = consent_to_send(tables.as_of(TODAY))
    found = deliverable(plan, consents=known, consent=consent, on=TODAY)
    return set(found.table["customer_id"].to_pylist())


@settings(max_examples=10)
@given(dirty.customers)
def test_whoever_refused_in_any_words_is_sent_nothing_and_whoever_agreed_clearly_is(histories):
    consents, events = [], [{"customer_id": "zoe", "occurred_at": "2024-01-01", "event_type": "x"}]
    for number, (said, done) in enumerate(histories):
        who = {"customer_id": f"c{number}"}
        consents += [who | row | {"changed_at": dirty.written(row)} for row in said]
        events += [who | row | {"occurred_at": dirty.written(row)} for row in done]
    tables = opened([*consents, AGREED], events)
    names = [f"c{number}" for number in range(len(histories))]
    objecting = {
        name for name, (said, _) in zip(names, histories, strict=True) if dirty.objects(said)
    }
    assert objectors(tables.as_of(TODAY)) == objecting
    for channel in dirty.CHANNELS:
        answers = {
            name: dirty.agreed(*history, channel)
            for name, history in zip(names, histories, strict=True)
        }
        for consent in ("required", "assumed"):
            may = (True,) if consent == "required" else (True, None)
            expected = {name for name in names if answers[name] in may} - objecting
            assert sent(tables, channel, names, consent) == expected


def after_a_grant(**refusal):
    """The state of anna's marketing consent, who agreed and then said that."""
    tables = opened([AGREED, CONSENT | {"granted": "false", "changed_at": "2024-02-01"} | refusal])
    return "anna" in sent(tables, "email", ["anna"], "required")


@pytest.mark.parametrize(
    "refusal",
    [
        {"granted": None},
        {"granted": "perhaps"},
        {"granted": "nein"},
        {"changed_at": None},
        {"changed_at": "32.13.2024"},
        {"changed_at": "2024-06-01T06:00:00Z"},
        {"changed_at": "2099-01-01"},
        {"changed_at": "0001-01-01"},
        {"channel": None},
        {"channel": "e-mail"},
        {"channel": "mail"},
        {"channel": "*"},
        {"purpose": None},
        {"purpose": "newsletter"},
        {"purpose": "whatever"},
    ],
)
def test_a_refusal_holds_whatever_is_wrong_with_it(refusal):
    assert not after_a_grant(**refusal)


def test_a_refusal_of_another_channel_or_purpose_closes_nothing_else():
    assert after_a_grant(channel="SMS")
    assert after_a_grant(purpose="transactional")


def test_a_refusal_without_a_date_counts_as_of_its_arrival():
    """So a grant that is later than that lifts it; without an arrival nothing does."""
    rows = [
        AGREED | {"loaded_at": "2024-01-02"},
        CONSENT | {"granted": "no", "changed_at": "?", "loaded_at": "2024-02-02"},
    ]
    again = AGREED | {"changed_at": "2024-03-01", "loaded_at": "2024-03-02"}
    columns = (*AGREED, "loaded_at")
    for more, expected in (([], set()), ([again], {"anna"})):
        said = texts([*rows, *more], columns)
        tables = Tables.from_frames(ORDERS, clock=CLOCK, bad_row_limit=0.9, consents=said)
        assert sent(tables, "email", ["anna"], "required") == expected
    undated = CONSENT | {"granted": "no", "changed_at": "?"}
    late = AGREED | {"changed_at": "2024-03-01"}
    assert sent(opened([AGREED, undated, late]), "email", ["anna"], "required") == set()


@pytest.mark.parametrize(
    "grant",
    [
        {"changed_at": "?"},
        {"changed_at": "2099-01-01"},
        {"channel": "all"},
        {"channel": "mail"},
        {"channel": None},
        {"purpose": "newsletter"},
        {"purpose": "all"},
        {"granted": "-1"},
    ],
)
def test_a_grant_that_is_not_clear_grants_nothing(grant):
    other = AGREED | {"customer_id": "ben"}
    assert sent(opened([AGREED | grant, other]), "email", ["anna", "ben"], "required") == {"ben"}


def test_a_grant_is_one_in_any_spelling_of_its_words():
    said = {"channel": " E-Mail", "purpose": "Direct Marketing", "granted": "TRUE "}
    assert sent(opened([AGREED | said]), "email", ["anna"], "required") == {"anna"}


def test_an_objection_to_profiling_holds_whatever_is_wrong_with_it():
    for wrong in ({"changed_at": "2099-01-01"}, {"granted": None}, {"channel": None}):
        said = CONSENT | {"purpose": "Profiling ", "granted": "no", "changed_at": "2024-02-01"}
        assert objectors(opened([said | wrong]).as_of("2024-01-01")) <= {"anna"}
        assert objectors(opened([said | wrong]).as_of(TODAY)) == {"anna"}


def test_what_was_not_understood_is_counted_by_word():
    rows = [
        AGREED,
        *[CONSENT | {"granted": "vielleicht", "changed_at": "2024-02-01"}] * 2,
        CONSENT | {"channel": "Kanal", "granted": "no", "changed_at": "?"},
        {"channel": "email", "purpose": "marketing", "granted": "no", "changed_at": "2024-02-01"},
    ]
    assert opened(rows).audits["consents"].warnings[-2:] == (
        "3 rows are unclear and count as refusals; unclear grants grant nothing: "
        "granted holds 'vielleicht' (2); channel holds 'Kanal' (1); "
        "changed_at is not a date up to now (1). Map words in [data.consents.words]",
        "1 refusal names no customer and cannot be applied",
    )


def test_what_may_be_a_value_of_a_customer_is_counted_and_not_shown():
    said = CONSENT | {"granted": "no", "changed_at": "2024-02-01"}
    channels = ("anna@example.com", "+49 170 1234567", "=cmd()", "x" * 50)
    tables = opened([AGREED, *(said | {"channel": channel} for channel in channels)])
    (warning,) = tables.audits["consents"].warnings
    assert "channel holds 4 other words;" in f"{warning};".replace(". Map words", ";")
    assert "anna" not in warning
    assert "1234567" not in warning


def test_an_unsubscription_without_a_date_is_no_event_and_still_refuses():
    events = [
        {"customer_id": "anna", "event_type": "Opt-out", "occurred_at": "?"},
        {"customer_id": "ben", "event_type": "Email Open", "occurred_at": "2024-01-02"},
        {"customer_id": "cleo", "event_type": "complaint", "occurred_at": "2024-01-02"},
        {"customer_id": "dora", "event_type": "Complaint", "occurred_at": "2024-01-02"}
        | {"campaign_id": "spring"},
    ]
    tables = opened(events=events)
    assert sent(tables, "sms", ["anna", "ben"], "assumed") == {"ben"}
    assert sent(tables, "email", ["ben", "cleo", "dora"], "assumed") == {"ben", "cleo"}
    found = tables.engine.query("SELECT event_type FROM events ORDER BY customer_id")
    assert found["event_type"].to_pylist() == ["email_open", "complaint", "complaint"]
    assert tables.audits["events"].dropped == {
        "kept as a refusal, without a readable occurred_at": 1
    }


def test_refusals_are_no_unusable_rows_and_grants_are():
    said = CONSENT | {"granted": "no", "changed_at": "?"}
    assert opened([AGREED, said], bad_row_limit=0.0).audits["consents"].rows_kept == 2
    with pytest.raises(DataError, match="without a readable changed_at"):
        opened([AGREED | {"changed_at": "?"}], bad_row_limit=0.0)


def test_contacts_of_control_groups_are_none_however_they_are_written():
    rows = [
        {"customer_id": "anna", "contacted_at": "2024-01-02", "campaign_id": "c", "arm": arm}
        for arm in (" HOLDOUT", "Control ", "hold-out", "treatment", "")
    ]
    tables = Tables.from_frames(ORDERS, clock=CLOCK, contacts=texts(rows, rows[0]))
    arms = tables.engine.query("SELECT arm FROM contacts")["arm"].to_pylist()
    assert arms == ["holdout", "control", "holdout", "treatment", None]


def wishes(*rows, **options):
    """(channel, kind) -> allowed and the limit, of anna's preferences."""
    said = [{"customer_id": "anna", "changed_at": "2024-01-01"} | row for row in rows]
    state = preference_state(opened(preferences=said, **options).as_of(TODAY)).to_pylist()
    return {
        (row["channel"], row["kind"]): (row["allowed"], row["max_contacts"], row["cap_days"])
        for row in state
    }


def test_a_preference_that_restricts_is_kept_and_as_wide_as_it_may_mean():
    assert wishes({"channel": "E-Mail", "kind": "Surveys", "allowed": "NEIN"}) == {
        ("email", "survey"): (False, None, 28)
    }
    assert wishes({"channel": "kanal", "kind": "what", "allowed": "maybe"}) == {
        ("", ""): (False, None, 28)
    }
    assert wishes({"channel": "sms", "allowed": "off", "changed_at": "?"}) == {
        ("sms", ""): (False, None, 28)
    }
    assert wishes({"channel": "sms", "allowed": "yes", "max_contacts": "few"}) == {
        ("sms", ""): (False, None, 28)
    }
    assert wishes({"max_contacts": "2", "cap_days": "a month", "changed_at": "2099-01-01"}) == {
        ("", ""): (None, 2, 3650)
    }


def test_a_preference_that_says_nothing_of_offers_lifts_no_refusal():
    no = {"channel": "sms", "kind": "gift", "allowed": "no"}
    later = {"channel": "sms", "kind": "gift", "max_contacts": "3", "changed_at": "2024-02-01"}
    assert wishes(no, later) == {("sms", "gift"): (False, 3, 28)}


def test_a_yes_to_what_is_not_understood_allows_nothing():
    found = wishes({"allowed": "no"}, {"channel": "kanal", "allowed": "yes"})
    assert found == {("", ""): (False, None, 28), ("kanal", ""): (True, None, 28)}


def test_words_of_the_shop_come_before_ours(tmp_path):
    orders = ORDERS.assign(customer_id="anna")
    orders.to_csv(tmp_path / "orders.csv", index=False)
    rows = [
        CONSENT | {"channel": "Rundbrief", "granted": "dabei", "changed_at": "2024-01-01"},
        CONSENT | {"customer_id": "ben", "granted": "weg", "changed_at": "2024-01-01"},
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "consents.csv", index=False)
    text = (
        '[data.orders]\nsource = "orders.csv"\n[data.consents]\nsource = "consents.csv"\n'
        '[data.consents.words]\nchannel = { rundbrief = "email" }\n'
        "granted = { Dabei = true, weg = false }\n"
    )
    config = tmp_path / "churn.toml"
    config.write_text(text)
    tables = load_tables(config)
    assert tables.audits["consents"].warnings == ()
    state = consent_state(tables.as_of(TODAY)).to_pylist()
    assert [(row["customer_id"], row["channel"], row["granted"]) for row in state] == [
        ("anna", "email", True),
        ("ben", "email", False),
    ]
    config.write_text(text.replace("channel = {", "colour = {"))
    with pytest.raises(ConfigError, match=r"\[data.consents.words\] maps words of channel"):
        load_tables(config)


@pytest.mark.parametrize("engine", ["polars"])
def test_every_engine_keeps_the_same_refusals(engine):
    rows = [AGREED, CONSENT | {"channel": "*", "purpose": "all", "changed_at": "?"}]
    events = [{"customer_id": "ben", "event_type": "unsubscribed", "occurred_at": "?"}]
    found = [
        consent_to_send(opened(rows, events, engine=name).as_of(TODAY)).to_pylist()
        for name in ("duckdb", engine)
    ]
    assert found[0] == found[1]
