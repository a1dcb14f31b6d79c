"""Who may be sent what, for every command that plans or sends: one state of consent for all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime

import pyarrow as pa
import pyarrow.compute as pc

from churn.campaigns.delivery.deliverable import Deliverable, deliverable, offered
from churn.commands.session import Session
from churn.data.consent import (
    consent_to_send,
    newest_grant,
    newest_grants,
    preference_state,
    preferences_to_send,
    withdrawal_statements,
)
from churn.data.erased import without_erased
from churn.data.words import channel_of
from churn.offers.preferences import empty_preferences
from churn.storage.withdrawals import (
    Withdrawal,
    remember_grant,
    settle_doubts,
    withdrawals,
)


def withdrawn(session: Session) -> pa.Table | None:
    """customer_id, channel, day, undated of the withdrawals that the ledger holds by now.

    Of those in doubt it is put on record that they are later than every consent read so far.
    """
    now, told = session.ledger.now(), withdrawals(session.ledger)
    found = [_doubted(one, now) for one in told]
    doubts = [one for one in found if one.in_doubt]
    _remember_newest(session)
    if doubts:
        settle_doubts(session.ledger, _settled(session, doubts))
    same = session.settings.same_customer
    return withdrawal_statements(replace(one, customer_id=same(one.customer_id)) for one in found)


def _doubted(one: Withdrawal, now: datetime) -> Withdrawal:
    """The withdrawal, in doubt where it is later than the clock, which was wrong then or is now."""
    return replace(one, in_doubt=one.in_doubt or one.again_at > now)


def _settled(session: Session, doubts: list[Withdrawal]) -> Iterator[Withdrawal]:
    """The withdrawals as of now, or of the newest consent to their channel where it is later."""
    now = session.ledger.now()
    same = session.settings.same_customer
    newest = newest_grants(session.tables, {same(one.customer_id) for one in doubts})
    for one in doubts:
        latest = newest.get((same(one.customer_id), channel_of(one.channel)))
        yield replace(one, again_at=max(now, latest) if latest else now)


def _remember_newest(session: Session) -> None:
    newest = newest_grant(session.tables)
    if newest is not None:
        remember_grant(session.ledger, newest)


def consents_now(session: Session, customer_id: str) -> list[dict[str, object]]:
    """customer_id, channel, purpose, granted of one customer, as an export or a sending reads it
    at the session's date: any refusal counts.
    """
    known = consent_to_send(session.snapshot, withdrawn=withdrawn(session))
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
) -> Deliverable:
    """What of a plan's table may be sent on that date, of one offer and channel or of all.

    The shop's tables are read as the session found them, the ledger's withdrawals at this moment.
    """
    snapshot = session.tables.as_of(on)
    preferences = preferences_to_send(snapshot)
    known = without_erased(plan, session.erased)
    sent = deliverable(
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
    return Deliverable(sent.table, {"erased": gone, **sent.left_out}) if gone else sent


def _kinds(session: Session) -> dict[str, str]:
    """The kind of each offer in the catalogue."""
    return {offer.offer_id: offer.kind for offer in session.offers}


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
    preferences = preference_state(session.snapshot)
    if preferences is None:
        return []
    notes = []
    silent = empty_preferences(preferences)
    if silent:
        notes.append(
            f"{silent:,} preference(s) say nothing: allowed is neither true nor false, and "
            "max_contacts no number"
        )
    return notes
