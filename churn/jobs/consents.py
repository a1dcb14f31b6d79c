"""Who may be sent what, for every command that plans or sends: one state of consent for all."""

from __future__ import annotations

from datetime import date

import pyarrow as pa

from churn.data.consent import consent_to_send, withdrawn_words
from churn.files.withdrawals import withdrawals
from churn.jobs.session import Session
from churn.retention.delivery.sendable import Sendable, sendable

__all__ = ["consent_notes", "still_sendable", "withdrawn"]


def withdrawn(session: Session) -> pa.Table | None:
    """customer_id, channel, day of the withdrawals that the ledger holds by now."""
    return withdrawn_words(withdrawals(session.ledger))


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
    return sendable(
        plan,
        consents=consent_to_send(session.tables.as_of(on), withdrawn=withdrawn(session)),
        consent=session.settings.offers.consent,
        on=on,
        offer_id=offer,
        channel=channel,
    )


def consent_notes(session: Session, *, unknown: str) -> list[str]:
    """What a command says where consent is assumed, or `unknown`, for the table is not there."""
    if session.settings.offers.consent == "assumed":
        return ['consent is assumed, not looked up: [offers] consent = "assumed"']
    return [] if session.tables.has("consents") else [unknown]
