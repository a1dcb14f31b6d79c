"""Notes of commands on consent, and on what `churn send` did not send or could not know."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from typing import Any

from churn.campaigns.delivery.dispatch import QUIET
from churn.campaigns.delivery.no_recipients import why_nothing_goes_out
from churn.campaigns.delivery.outbox import Outbox, SendRequest, has_addresses
from churn.campaigns.delivery.quiet_hours import QuietHours
from churn.commands.delivery.plan_on_record import LIST, transport_notes
from churn.commands.session import Session
from churn.data.consent import preference_state
from churn.data.days import zone
from churn.offers.preferences import empty_preferences

UNKNOWN_CONSENT = "nobody's consent is on record: connect [data.consents]"


def consent_notes(session: Session, *, unknown: str) -> list[str]:
    """Notes if consent is assumed, or `unknown` if no table records it, and on preferences that
    cannot be followed.
    """
    notes = preference_notes(session)
    if session.settings.offers.consent == "assumed":
        return ['consent is assumed, not looked up: [offers] consent = "assumed"', *notes]
    return notes if session.tables.has("consents") else [unknown, *notes]


def preference_notes(session: Session) -> list[str]:
    """A note on preferences that cannot be followed."""
    preferences = preference_state(session.snapshot)
    empty = 0 if preferences is None else empty_preferences(preferences)
    if not empty:
        return []
    return [
        f"{empty:,} preference(s) say nothing: allowed is neither true nor false, and "
        "max_contacts no number"
    ]


def sending_notes(
    session: Session,
    facts: Mapping[str, Any],
    request: SendRequest,
    outbox: Outbox,
    picked: Mapping[str, tuple[str, ...]],
) -> tuple[str, ...]:
    """The notes of a sending or a dry run; `facts` are those of its run in the ledger."""
    notes = consent_notes(session, unknown=UNKNOWN_CONSENT)
    if not outbox.outgoing:
        recipient = request.transport.recipient
        notes.append(why_nothing_goes_out(facts["offered"], facts["left_out"], recipient))
    notes += transport_notes(session, facts, others=[LIST])
    notes += _missing(session, request)
    notes += _ended(outbox, today=_today(session, request), on=facts["sent_on"])
    notes += _unnamed(outbox, picked)
    notes += _quiet(session, facts, request)
    if facts["waiting"] and facts["stopped"] != QUIET:
        notes.append(f"still waiting: {facts['waiting']:,}; the same command sends them")
    doubtful = facts["unknown"] + facts["left_out"].get("maybe_sent", 0)
    if doubtful:
        notes.append(
            f"{doubtful:,} may or may not have arrived; they are sent again only with "
            "--retry-unknown"
        )
    return tuple(notes)


def cause_of_end(facts: Mapping[str, Any]) -> str | None:
    """Why the sending ended early; None if it did not, or if quiet hours began."""
    cause = facts["stopped"]
    if cause in (None, QUIET):
        return None
    said = f"the other side answered {cause}" if cause.isdecimal() else cause
    return f"sending stopped early: {said}"


def local_time(moment: datetime, quiet: QuietHours) -> str:
    """The moment in the time zone of the quiet hours."""
    return f"{moment.astimezone(zone(quiet.timezone)):%Y-%m-%d %H:%M} ({quiet.timezone})"


def _today(session: Session, request: SendRequest) -> date:
    """Today's date in the time zone of the sending."""
    settings = session.settings
    name = settings.delivery.timezone or settings.data.day_timezone
    return request.clock.now().astimezone(zone(name)).date()


def _missing(session: Session, request: SendRequest) -> Iterator[str]:
    """What a dry run did without and a sending needs."""
    if not request.dry_run:
        return
    yield from request.transport.missing()
    recipient = request.transport.recipient
    if recipient is not None and not has_addresses(session.tables, recipient):
        yield recipient.worded(
            "no {address} is known: a sending needs the column {column} of [data.customers]"
        )


def _ended(outbox: Outbox, *, today: date, on: str) -> Iterator[str]:
    """A note on offers that are valid at the date of the sending and have ended by today."""
    ends = [one.row["expires_on"] for one in outbox.outgoing]
    ended = sum(end is not None and end < today for end in ends)
    if ended:
        yield (
            f"{_count(ended, 'contains an offer', 'contain offers')} that ended before today, "
            f"{today}: consent was checked as of {on}; pass --date {today} to leave them out"
        )


def _unnamed(outbox: Outbox, picked: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    """A note on messages whose products have no name that a customer could read."""
    unnamed = sum(picked.get(one.message.customer_id) == () for one in outbox.outgoing)
    if unnamed:
        yield (
            f"{_count(unnamed, 'names', 'name')} no product, because the recommendations contain "
            "no names: map product_name of the order lines, and recommend again"
        )


def _count(messages: int, does: str, do: str) -> str:
    return f"1 message {does}" if messages == 1 else f"{messages:,} messages {do}"


def _quiet(session: Session, facts: Mapping[str, Any], request: SendRequest) -> Iterator[str]:
    """A note on the end of the quiet hours that ended the sending."""
    quiet = session.settings.quiet_hours
    if quiet is not None and facts["stopped"] == QUIET:
        opens = local_time(quiet.opens_at(request.clock.now()), quiet)
        yield f"quiet hours: sending opens at {opens}; --wait waits for it"
