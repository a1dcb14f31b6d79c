"""Whatever the history, nobody is planned for or sent anything without valid consent."""

from datetime import date, timedelta

import contact_histories as histories
import pyarrow as pa
from contact_histories import (
    BEGINS,
    CUSTOMERS,
    OFFERS,
    live,
    moment,
    often_enough,
    wanted,
    withdrew,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from churn.campaigns.delivery.deliverable import deliverable
from churn.data.consent import consent_to_send, preferences_to_send, withdrawal_statements
from churn.data.tables import Tables
from churn.offers.catalogue import Offer, Offers
from churn.offers.plan import plan_offers
from churn.storage.withdrawals import Withdrawal

AS_OF = date(2024, 5, 1)
ORDERS = pa.table(
    {
        "customer_id": CUSTOMERS,
        "ordered_at": pa.array([BEGINS - timedelta(days=9)] * 2, pa.timestamp("us", "UTC")),
        "amount": [9.0] * 2,
    }
)
TERMS = {
    **{"margin_cost": 1.0, "contact_cost": 0.1, "redemption_rate": 0.2, "effect": 0.1},
    **{"effect_low": 0.0, "effect_high": 0.2, "cooldown_days": 0, "expires_after_days": 30},
}
CATALOGUE = Offers(
    tuple(
        Offer(offer_id=name, name=name, channel=channel, kind=kind, **TERMS)
        for name, (channel, kind) in OFFERS.items()
    ),
    "spring",
)
SCORES = pa.table(
    {
        "customer_id": CUSTOMERS,
        "as_of": [AS_OF] * 2,
        "status": ["eligible"] * 2,
        "churn_probability": [0.3, 0.4],
        "value_at_risk": [500.0] * 2,
        "currency": ["USD"] * 2,
    }
)


def shop(history):
    tables = {
        name: histories.table(history[name], happened)
        for name, happened in histories.HAPPENED.items()
        if history[name]
    }
    return Tables.from_frames(ORDERS, bad_row_limit=0.0, **tables)


def withdrawn(history):
    """The withdrawals as the ledger would store them."""
    reported = {}
    for row in history["withdrawals"]:
        reported.setdefault((row["customer_id"], row["channel"]), []).append(row["at"])
    return withdrawal_statements(
        Withdrawal(
            customer_id=name,
            channel=channel,
            source="one-click",
            withdrawn_at=moment(min(at)),
            again_at=moment(max(at)),
        )
        for (name, channel), at in reported.items()
    )


def planned(offer):
    """A plan that offers it to everyone."""
    columns = {"customer_id": CUSTOMERS, "offer_id": [offer] * 2, "channel": [OFFERS[offer][0]] * 2}
    ends = pa.array([AS_OF + timedelta(days=30)] * 2)
    return pa.table(columns | {"arm": ["treatment"] * 2, "expires_on": ends})


@settings(max_examples=50)
@given(histories.history, st.integers(0, 3), st.sampled_from(["required", "assumed"]))
def test_what_is_sent_has_live_consent_at_that_date_and_is_wanted(history, days, consent):
    snapshot = shop(history).as_of(AS_OF + timedelta(days=days))
    consents = consent_to_send(snapshot, withdrawn=withdrawn(history))
    preferences = preferences_to_send(snapshot)
    kinds = {name: kind for name, (_, kind) in OFFERS.items()}
    at = {"hours": 24 * days, "sending": True}
    for offer, (channel, kind) in OFFERS.items():
        known = {"consents": consents, "preferences": preferences, "kinds": kinds}
        found = deliverable(planned(offer), consent=consent, on=snapshot.as_of, **known)
        assert found.table["customer_id"].to_pylist() == [
            name
            for name in CUSTOMERS
            if live(name, channel, history, required=consent == "required", **at)
            and wanted(name, channel, kind, history, **at)
        ]
        assert found.table.num_rows + sum(found.left_out.values()) == len(CUSTOMERS)


@settings(max_examples=50)
@given(histories.history, histories.contacts, st.sampled_from(["required", "assumed"]))
def test_what_is_planned_has_live_consent_is_wanted_and_comes_as_often_as_wanted(
    history, made, consent
):
    rows = {name: [row[name] for row in made] for name in ("customer_id", "offer_id", "days")}
    contacts = pa.table(
        {
            "customer_id": pa.array(rows["customer_id"], pa.string()),
            "offer_id": pa.array(rows["offer_id"], pa.string()),
            "days_since": pa.array(rows["days"], pa.float64()),
        }
    )
    plan = plan_offers(
        SCORES,
        shop(history).as_of(AS_OF),
        CATALOGUE,
        budget=1e6,
        holdout=0.0,
        consent=consent,
        planned_before=contacts,
        withdrawn=withdrawn(history),
    ).table.to_pylist()
    at = {"hours": 0, "sending": False}
    for row in plan:
        name = row["customer_id"]
        permitted = {
            offer
            for offer, (channel, kind) in OFFERS.items()
            if live(name, channel, history, required=consent == "required", **at)
            and not withdrew(name, channel, history)
            and wanted(name, channel, kind, history, **at)
            and not often_enough(name, channel, kind, history, made)
        }
        assert (row["offer_id"] in permitted) if permitted else row["offer_id"] == "none"
