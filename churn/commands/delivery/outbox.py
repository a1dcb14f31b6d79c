"""What a plan's delivery still has to send: to whom, under which name on record, and why not."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import pyarrow as pa

from churn.campaigns.delivery.deliverable import Deliverable, addressed, refusers
from churn.campaigns.delivery.dispatch import Clock
from churn.campaigns.delivery.planned import Planned
from churn.campaigns.delivery.transport import Outgoing
from churn.commands.delivery.consents import still_sendable, withdrawn
from churn.commands.delivery.coupon_codes import with_codes
from churn.commands.delivery.transports import EMAIL, PLACEHOLDER_ADDRESS, Configured
from churn.commands.session import Session
from churn.data.consent import consent_to_send
from churn.data.people import addresses
from churn.data.tables import Tables
from churn.errors import DataError
from churn.storage.messages import CONTACTED, Message, doubt_unfinished, messages_of


@dataclass(frozen=True, kw_only=True)
class SendRequest:
    """What was asked for."""

    transport: Configured
    offer: str | None
    limit: int | None
    replace: bool
    retry_unknown: bool
    wait: bool
    dry_run: bool
    clock: Clock


@dataclass(frozen=True)
class Outbox:
    """The messages to send, and how many offers of the plan were left out by each code."""

    outgoing: tuple[Outgoing, ...]
    left_out: Mapping[str, int]
    rows: pa.Table


@dataclass(frozen=True)
class _Record:
    """What is on record of the campaign's messages, for one transport."""

    contacted: frozenset[str]
    left: Mapping[str, str]
    mine: Mapping[str, Message]

    @classmethod
    def read(cls, messages: Iterable[Message], through: str, *, retry_unknown: bool) -> _Record:
        """Whom any transport may have reached, who gets none now and why, and this transport's
        messages.
        """
        contacted: set[str] = set()
        left: dict[str, str] = {}
        mine: dict[str, Message] = {}
        for one in messages:
            if one.state in CONTACTED:
                contacted.add(one.customer_id)
            own = one.through == through
            again = own and retry_unknown and one.state == "unknown"
            if one.state in CONTACTED and not again:
                left[one.customer_id] = "maybe_sent" if one.state == "unknown" else "sent_before"
            elif own and one.state == "failed":
                left.setdefault(one.customer_id, "failed_before")
            if own:
                mine[one.customer_id] = one
        return cls(frozenset(contacted), left, mine)


def fill_outbox(
    session: Session,
    plan: pa.Table,
    planned: Planned | None,
    request: SendRequest,
    *,
    on: date,
    picked: Mapping[str, tuple[str, ...]],
) -> Outbox:
    """Who of the plan may be sent to on that date and was not yet, up to the request's limit.

    `picked` are the products that a customer's message names.
    """
    transport = request.transport
    record = _on_record(session, planned, request)
    sent, to = _reachable(session, plan, record, request, on=on)
    sent, kept = _not_yet(sent, record, limit=request.limit)
    rows = with_codes(session, sent.table, dry_run=request.dry_run)
    told = rows.to_pylist()
    messages = _messages(told, record, transport, run_id=session.run_id)
    outgoing = tuple(
        Outgoing(message, row, to[place], tuple(picked.get(message.customer_id, ())))
        for message, row, place in zip(messages, told, kept, strict=True)
    )
    return Outbox(outgoing, sent.left_out, rows)


def still_reachable(
    session: Session, plan: pa.Table, planned: Planned | None, request: SendRequest, *, on: date
) -> set[str]:
    """Who of the plan may be sent to, by what the shop's tables say now, and not at the start."""
    settings = session.settings
    erased = settings.erased()  # who was asked to be forgotten since is on the list by now
    tables = Tables.from_settings(settings.data, folder=settings.folder, erased=erased)
    try:
        anew = replace(session, tables=tables, erased=erased)
        found = messages_of(session.ledger, planned.campaign_id, planned.as_of) if planned else []
        record = _Record.read(found, request.transport.name, retry_unknown=request.retry_unknown)
        sent, _ = _reachable(anew, plan, record, request, on=on)
        return set(sent.table["customer_id"].to_pylist())
    finally:
        tables.close()


def _reachable(
    session: Session, plan: pa.Table, record: _Record, request: SendRequest, *, on: date
) -> tuple[Deliverable, Sequence[str]]:
    """The offers that may be sent, and the addresses in their order, empty for a webhook."""
    sent = still_sendable(
        session, plan, on=on, offer=request.offer, channel=request.transport.channel
    )
    if request.transport.name != EMAIL:
        return sent, [""] * sent.table.num_rows
    if request.dry_run and not knows_addresses(session):
        return sent, [PLACEHOLDER_ADDRESS] * sent.table.num_rows
    return _addressed(session, sent, record, on=on)


def _not_yet(
    sent: Deliverable, record: _Record, *, limit: int | None
) -> tuple[Deliverable, list[int]]:
    """The rows whose customer has no message yet, up to the limit, and their places."""
    left, kept = Counter(sent.left_out), list[int]()
    for place, customer in enumerate(sent.table["customer_id"].to_pylist()):
        code = record.left.get(customer)
        if code is None and limit is not None and len(kept) >= limit:
            code = "beyond_limit"
        if code is None:
            kept.append(place)
        else:
            left[code] += 1
    return Deliverable(sent.table.take(pa.array(kept, pa.int64())), dict(left)), kept


def _on_record(session: Session, planned: Planned | None, request: SendRequest) -> _Record:
    if planned is None:
        return _Record(frozenset(), {}, {})
    through = request.transport.name
    doubt_unfinished(session.ledger, planned.campaign_id, planned.as_of, through)
    found = messages_of(session.ledger, planned.campaign_id, planned.as_of)
    return _Record.read(found, through, retry_unknown=request.retry_unknown)


def knows_addresses(session: Session) -> bool:
    """Whether a table holds e-mail addresses."""
    tables = session.tables
    return tables.has("customers") and "email" in tables.columns("customers")


def _addressed(
    session: Session, sent: Deliverable, record: _Record, *, on: date
) -> tuple[Deliverable, list[str]]:
    tables = session.tables
    if not knows_addresses(session):
        rule = "sending e-mail needs the column email of the table 'customers'"
        raise DataError(rule, fix="Connect [data.customers].")
    consents = consent_to_send(tables.as_of(on), withdrawn=withdrawn(session))
    return addressed(
        sent,
        addresses(tables),
        refused=refusers(consents, EMAIL),
        contacted=record.contacted,
    )


def _messages(
    rows: Sequence[Mapping[str, Any]],
    record: _Record,
    transport: Configured,
    *,
    run_id: str,
) -> list[Message]:
    """The messages of the rows: those on record keep their token and their parcel."""
    messages, fresh = [], 0
    batch = ""
    for row in rows:
        known = record.mine.get(row["customer_id"])
        if known is None and fresh % transport.batch == 0:
            batch = f"msg_{secrets.token_hex(16)}"
        fresh += known is None
        messages.append(
            Message(
                campaign_id=row["campaign_id"],
                as_of=row["as_of"],
                customer_id=row["customer_id"],
                through=transport.name,
                offer_id=row["offer_id"],
                channel=row["channel"],
                token=secrets.token_urlsafe(16) if known is None else known.token,
                parcel=batch if known is None else known.parcel,
                run_id=run_id,
            )
        )
    return messages
