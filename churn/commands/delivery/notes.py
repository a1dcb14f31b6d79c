"""What `churn send` says besides its counts: what was not sent, and what is odd about the rest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from typing import Any

from churn.campaigns.delivery.dispatch import QUIET
from churn.campaigns.delivery.no_recipients import why_nothing_goes_out
from churn.campaigns.delivery.quiet_hours import QuietHours
from churn.commands.delivery.consents import consent_notes
from churn.commands.delivery.outbox import Outbox, SendRequest, knows_addresses
from churn.commands.delivery.plan_on_record import LIST, transport_notes
from churn.commands.delivery.transports import EMAIL
from churn.commands.session import Session
from churn.data.days import zone


def sending_notes(
    session: Session,
    facts: Mapping[str, Any],
    request: SendRequest,
    outbox: Outbox,
    picked: Mapping[str, tuple[str, ...]],
) -> tuple[str, ...]:
    """The notes of one sending, dry or not; `facts` are what its ledger's run holds."""
    notes = consent_notes(session, unknown="nobody's consent is on record: connect [data.consents]")
    if not outbox.outgoing:
        notes.append(why_nothing_goes_out(facts["offered"], facts["left_out"]))
    notes += transport_notes(session, facts, others=[LIST])
    notes += _to_set_up(session, request)
    notes += _over(outbox, today=_today(session, request), on=facts["sent_on"])
    notes += _unnamed(outbox, picked)
    notes += _quiet(session, facts, request)
    if facts["waiting"] and facts["stopped"] != QUIET:
        notes.append(f"still waiting: {facts['waiting']:,}; the same command sends them")
    doubtful = facts["unknown"] + facts["left_out"].get("maybe_sent", 0)
    if doubtful:
        notes.append(
            f"whether {doubtful:,} arrived is not known; they are not sent again unless "
            "--retry-unknown says so"
        )
    return tuple(notes)


def cause_of_end(facts: Mapping[str, Any]) -> str | None:
    """Why the sending ended before all was sent; None where it did not, or for quiet hours."""
    cause = facts["stopped"]
    if cause in (None, QUIET):
        return None
    said = f"the other side answered {cause}" if cause.isdecimal() else cause
    return f"sending stopped early: {said}"


def local_time(moment: datetime, quiet: QuietHours) -> str:
    """The moment on the clocks of the quiet hours' zone."""
    return f"{moment.astimezone(zone(quiet.timezone)):%Y-%m-%d %H:%M} ({quiet.timezone})"


def _today(session: Session, request: SendRequest) -> date:
    """The date on the clocks of the zone of the sending."""
    settings = session.settings
    name = settings.delivery.timezone or settings.data.day_timezone
    return request.clock.now().astimezone(zone(name)).date()


def _to_set_up(session: Session, request: SendRequest) -> Iterator[str]:
    """What a dry run did without, and a sending needs."""
    if request.transport.name != EMAIL or not request.dry_run:
        return
    email = session.settings.delivery.email
    if email is None:
        yield (
            "sender, shop, address and link to unsubscribe are placeholders: a sending needs the "
            "section [delivery.email]"
        )
    elif email.host is None:
        yield "a sending needs a mail server: name [delivery.email] host"
    if not knows_addresses(session):
        yield "no e-mail address is known: a sending needs the column email of [data.customers]"


def _over(outbox: Outbox, *, today: date, on: str) -> Iterator[str]:
    """What is said of offers that hold at the date of the sending, which lies behind us, and have
    ended by today.
    """
    ends = [one.row["expires_on"] for one in outbox.outgoing]
    ended = sum(end is not None and end < today for end in ends)
    if ended:
        yield (
            f"{_count(ended, 'speaks', 'speak')} of offers that ended before today, {today}: who "
            f"may have them was asked as of {on}; pass --date {today} to leave them out"
        )


def _unnamed(outbox: Outbox, picked: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    """What is said of messages whose products have no name that a customer could read."""
    unnamed = sum(picked.get(one.message.customer_id) == () for one in outbox.outgoing)
    if unnamed:
        yield (
            f"{_count(unnamed, 'names', 'name')} no product, for the recommendations hold no "
            "names: map product_name of the lines, and recommend again"
        )


def _count(messages: int, does: str, do: str) -> str:
    return f"1 message {does}" if messages == 1 else f"{messages:,} messages {do}"


def _quiet(session: Session, facts: Mapping[str, Any], request: SendRequest) -> Iterator[str]:
    """When the quiet hours that ended the sending are over."""
    quiet = session.settings.quiet_hours
    if quiet is not None and facts["stopped"] == QUIET:
        opens = local_time(quiet.opens_at(request.clock.now()), quiet)
        yield f"quiet hours: sending opens at {opens}; --wait waits for it"
