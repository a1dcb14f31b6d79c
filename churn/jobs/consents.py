"""Who may be sent what, for every command that plans or sends: one state of consent for all."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from churn.data.consent import consent_to_send, withdrawn_words
from churn.data.erased import without_erased
from churn.data.preferences import preference_state, preferences_to_send
from churn.files.withdrawals import withdrawals
from churn.jobs.session import Session
from churn.retention.delivery.sendable import Sendable, offered, sendable
from churn.retention.offers import KINDS, Offers
from churn.retention.preferences import saying_nothing, strange_kinds

__all__ = ["consent_notes", "consents_now", "preference_notes", "still_sendable", "withdrawn"]


def withdrawn(session: Session) -> pa.Table | None:
    """customer_id, channel, day of the withdrawals that the ledger holds by now."""
    same = session.settings.same_customer
    told = withdrawals(session.ledger)
    return withdrawn_words(replace(one, customer_id=same(one.customer_id)) for one in told)


def consents_now(session: Session, customer_id: str) -> list[dict[str, object]]:
    """customer_id, channel, purpose, granted of one customer, as an export or a sending reads it
    at the session's date: any refusal counts.
    """
    known = consent_to_send(session.tables.as_of(session.as_of), withdrawn=withdrawn(session))
    if known is None:
        return []
    said: dict[tuple[str, str], bool] = {}
    for row in known.filter(pc.equal(known["customer_id"], customer_id)).to_pylist():
        place = row["channel"], row["purpose"]
        said[place] = said.get(place, True) and row["granted"]
    return [
        {"customer_id": customer_id, "channel": channel, "purpose": purpose, "granted": granted}
        for (channel, purpose), granted in sorted(said.items())
    ]


def still_sendable(
    session: Session,
    plan: pa.Table,
    *,
    on: date,
    offer: str | None = None,
    channel: str | None = None,
) -> Sendable:
    """What of a plan's table may be sent on that date, of one offer and channel or of all.

    The shop's tables are read as the session found them, the ledger's withdrawals at this moment.
    """
    snapshot = session.tables.as_of(on)
    preferences = preferences_to_send(snapshot)
    known = without_erased(plan, session.erased)
    sent = sendable(
        known,
        consents=consent_to_send(snapshot, withdrawn=withdrawn(session)),
        consent=session.settings.offers.consent,
        preferences=preferences,
        kinds=_kinds(session) if preferences else None,
        on=on,
        offer_id=offer,
        channel=channel,
    )
    gone = offered(plan).num_rows - offered(known).num_rows
    return Sendable(sent.table, {"erased": gone, **sent.left_out}) if gone else sent


def _kinds(session: Session) -> dict[str, str]:
    """The kind of each offer in the catalogue."""
    offers = Offers.load(session.settings.path(session.settings.offers.catalogue))
    return {offer.offer_id: offer.kind for offer in offers}


def consent_notes(session: Session, *, unknown: str) -> list[str]:
    """What a command says where consent is assumed, or `unknown`, for the table is not there; and
    where preferences are not understood. The session must be open.
    """
    notes = preference_notes(session)
    if session.settings.offers.consent == "assumed":
        return ['consent is assumed, not looked up: [offers] consent = "assumed"', *notes]
    return notes if session.tables.has("consents") else [unknown, *notes]


def preference_notes(session: Session) -> list[str]:
    """What a command says of preferences that it cannot follow."""
    preferences = preference_state(session.tables.as_of(session.as_of))
    if preferences is None:
        return []
    notes, strange = [], strange_kinds(preferences, KINDS)
    if strange:
        notes.append(
            f"{len(strange)} word(s) in the column kind of [data.preferences] are no kind of offer "
            f"and are not followed; kinds are {', '.join(KINDS)}"
        )
    silent = saying_nothing(preferences)
    if silent:
        notes.append(
            f"{silent:,} preference(s) say nothing: allowed is neither true nor false, and "
            "max_contacts no number"
        )
    return notes
