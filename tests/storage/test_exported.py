"""What was exported stays a contact until a list takes its place, and a message stays for good."""

from datetime import date

import pytest

from churn.storage.exports import Export, assigned_offers, record_export
from churn.storage.ledger import Ledger
from churn.storage.messages import Message, Settled, enqueue, settle
from churn.storage.records import PlanRow

JANUARY, MARCH = date(2026, 1, 1), date(2026, 3, 1)


@pytest.fixture
def ledger(tmp_path):
    with Ledger(tmp_path / "ledger.db") as ledger:
        yield ledger


def plan(ledger, *customers):
    """A plan of the spring that offers each of them a coupon, by a run of its own."""
    run_id = ledger.start_run("plan")
    terms = {"campaign_id": "spring", "as_of": JANUARY, "offer_id": "coupon", "channel": "email"}
    terms |= {"arm": "treatment", "propensity": 1.0, "expected_cost": 0.5}
    ledger.record_plan(run_id, [PlanRow(customer_id=name, **terms) for name in customers])


def export(ledger, digest, *, audience="list", replace=False, offer=None):
    made = {"run_id": ledger.start_run("export"), "campaign_id": "spring", "as_of": JANUARY}
    made |= {"offer_id": offer, "exported_on": JANUARY, "rows": 2, "list_digest": digest}
    record = Export(plan_digest=digest, audience=audience, **made)
    record_export(ledger, record, replace=replace)


def message(ledger, customer, state):
    sent = {"campaign_id": "spring", "as_of": JANUARY, "through": "email", "offer_id": "coupon"}
    sent |= {"channel": "email", "token": customer, "parcel": customer, "run_id": "r"}
    one = Message(customer_id=customer, **sent)
    enqueue(ledger, [one])
    settle(ledger, Settled([one], state))


def contacts(ledger):
    """Whom the ledger counts as contacted, by both of its questions."""
    latest = sorted(one.customer_id for one in ledger.last_contacts(MARCH))
    every = ledger.contacts_since(JANUARY, MARCH, excluding=("", date.min))
    assert sorted(one.customer_id for one in every) == latest
    return latest


def test_a_plan_that_was_not_exported_makes_room_for_another(ledger):
    plan(ledger, "ann", "bob")
    plan(ledger, "bob", "cid")
    assert contacts(ledger) == ["bob", "cid"]


def test_one_that_was_exported_stays_beside_it_and_nobody_counts_twice(ledger):
    plan(ledger, "ann", "bob")
    export(ledger, "first")
    plan(ledger, "bob", "cid")
    assert contacts(ledger) == ["ann", "bob", "cid"]
    plan(ledger, "dan")
    assert contacts(ledger) == ["ann", "bob", "dan"]


def test_it_goes_once_a_list_has_taken_its_place_everywhere(ledger):
    plan(ledger, "ann", "bob")
    export(ledger, "first")
    export(ledger, "first", audience="meta")
    plan(ledger, "cid")
    export(ledger, "second", replace=True)
    assert contacts(ledger) == ["ann", "bob", "cid"]
    export(ledger, "second", audience="meta", replace=True)
    assert contacts(ledger) == ["cid"]


@pytest.mark.parametrize("state", ["sent", "unknown", "failed"])
def test_who_has_a_message_or_may_have_it_was_contacted_whatever_is_sent_instead(ledger, state):
    plan(ledger, "ann", "bob")
    export(ledger, "first")
    message(ledger, "ann", state)
    plan(ledger, "cid")
    export(ledger, "second", replace=True)
    assert contacts(ledger) == (["cid"] if state == "failed" else ["ann", "cid"])


def test_the_same_decisions_planned_again_are_one_contact(ledger):
    for _ in range(2):
        plan(ledger, "ann", "bob")
        export(ledger, "same")
        assert contacts(ledger) == ["ann", "bob"]


DRAWN = {"ann": "coupon", "bob": "none", "cid": "gift", "dan": "none"}
LOTS = {"ann": "coupon+none", "bob": "coupon+none", "cid": "gift+none", "dan": "gift+none"}


def randomised_plan(ledger, **changed):
    """Ann and Bob could get a coupon, Cid and Dan a gift; Eve's offer was no matter of chance."""
    terms = {"campaign_id": "spring", "as_of": JANUARY, "channel": "email", "arm": "treatment"}
    terms |= {"expected_cost": 0.5}
    rows = [
        PlanRow(
            **{"customer_id": name, "offer_id": offer, "propensity": 0.5, "lot": LOTS[name]}
            | terms
            | changed
        )
        for name, offer in DRAWN.items()
    ]
    rows.append(PlanRow(customer_id="eve", offer_id="coupon", propensity=1.0, **terms))
    ledger.record_plan(ledger.start_run("plan"), rows)


def assigned(ledger, before=MARCH):
    found = assigned_offers(ledger, before=before)
    return {row.customer_id: row.offer_id for row in found.rows}, found.unsent


def test_a_plan_assigned_offers_only_if_something_of_it_was_delivered(ledger):
    randomised_plan(ledger)
    assert assigned(ledger) == ({}, 0)
    export(ledger, "all")
    assert assigned(ledger) == (DRAWN, 0)
    assert assigned(ledger, before=JANUARY) == ({}, 0)


def test_a_message_delivers_an_offer_and_an_offer_never_delivered_takes_its_choice_sets(ledger):
    randomised_plan(ledger)
    message(ledger, "ann", "sent")
    assert assigned(ledger) == ({"ann": "coupon", "bob": "none"}, 2)


def test_a_list_of_one_offer_delivers_that_offer(ledger):
    randomised_plan(ledger)
    export(ledger, "gifts", offer="gift")
    assert assigned(ledger) == ({"cid": "gift", "dan": "none"}, 2)


def test_a_message_that_failed_delivered_nothing(ledger):
    randomised_plan(ledger)
    message(ledger, "ann", "failed")
    assert assigned(ledger) == ({}, 0)


def test_a_plan_that_was_made_again_counts_as_it_was_exported(ledger):
    randomised_plan(ledger)
    export(ledger, "all")
    randomised_plan(ledger, offer_id="other")
    assert assigned(ledger) == (DRAWN, 0)


def test_plans_of_earlier_releases_state_no_choice_sets_and_do_not_count(ledger):
    plan(ledger, "ann", "bob")
    export(ledger, "old")
    assert assigned(ledger) == ({}, 0)
