"""The messages of a plan that are still to be sent: recipients, ids, and reasons for the others."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow as pa

from churn.campaigns.delivery.consents import ConsentRecords
from churn.campaigns.delivery.coupon_codes import with_codes
from churn.campaigns.delivery.deliverable import Deliverable, addressed
from churn.campaigns.delivery.planned import Planned
from churn.campaigns.delivery.transport import Clock, Outgoing, Recipient, Transport
from churn.data.people import addresses
from churn.data.tables import Tables
from churn.errors import DataError
from churn.storage.messages import CONTACTED, Message, doubt_unfinished, messages_of


@dataclass(frozen=True, kw_only=True)
class SendRequest:
    """The options of a sending."""

    transport: Transport
    offer: str | None
    limit: int | None
    replace: bool
    retry_unknown: bool
    wait: bool
    dry_run: bool
    clock: Clock


@dataclass(frozen=True)
class Outbox:
    """The messages to send with their rows of the list, and the number of the plan's offers that
    were left out by code.
    """

    outgoing: tuple[Outgoing, ...]
    left_out: Mapping[str, int]
    rows: pa.Table


@dataclass(frozen=True)
class _Record:
    """The campaign's messages on record, as one transport sees them: customers who may have
    received one, those who get none now by the reason, and its own messages.
    """

    contacted: frozenset[str]
    left: Mapping[str, str]
    own: Mapping[str, Message]

    @classmethod
    def read(cls, messages: Iterable[Message], through: str, *, retry_unknown: bool) -> _Record:
        """The record of these messages for the transport of that name."""
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
    consents: ConsentRecords,
    plan: pa.Table,
    planned: Planned | None,
    request: SendRequest,
    *,
    on: date,
    run_id: str,
    picked: Mapping[str, tuple[str, ...]],
) -> Outbox:
    """The messages that may be sent on that date and were not sent yet, up to the limit.

    `picked` are the products that a customer's message names.
    """
    if planned is not None:
        through = request.transport.name
        doubt_unfinished(consents.ledger, planned.campaign_id, planned.as_of, through)
    record = _on_record(consents, planned, request)
    sent, addressees = _reachable(consents, plan, record, request, on=on)
    sent, kept = _not_yet(sent, record, limit=request.limit)
    table = with_codes(sent.table, consents.catalogue, consents.ledger, dry_run=request.dry_run)
    rows = table.to_pylist()
    messages = _messages(rows, record, request.transport, run_id=run_id)
    outgoing = tuple(
        Outgoing(message, row, addressees[place], tuple(picked.get(message.customer_id, ())))
        for message, row, place in zip(messages, rows, kept, strict=True)
    )
    return Outbox(outgoing, sent.left_out, table)


def reachable_customers(
    consents: ConsentRecords,
    plan: pa.Table,
    planned: Planned | None,
    request: SendRequest,
    *,
    on: date,
) -> set[str]:
    """The customers of the plan who may be sent a message, whether or not they have one."""
    record = _on_record(consents, planned, request)
    sent, _ = _reachable(consents, plan, record, request, on=on)
    return set(sent.table["customer_id"].to_pylist())


def has_addresses(tables: Tables, recipient: Recipient) -> bool:
    """Whether the table of customers has the recipient's column."""
    return tables.has("customers") and recipient.column in tables.columns("customers")


def _on_record(consents: ConsentRecords, planned: Planned | None, request: SendRequest) -> _Record:
    found = (
        [] if planned is None else messages_of(consents.ledger, planned.campaign_id, planned.as_of)
    )
    return _Record.read(found, request.transport.name, retry_unknown=request.retry_unknown)


def _reachable(
    consents: ConsentRecords, plan: pa.Table, record: _Record, request: SendRequest, *, on: date
) -> tuple[Deliverable, Sequence[str]]:
    """The offers that may be sent, and their addresses in order; empty if the transport needs
    none.
    """
    channel, recipient = request.transport.channel, request.transport.recipient
    sent = consents.deliverable(plan, on=on, offer=request.offer, channel=channel)
    if recipient is None:
        return sent, [""] * sent.table.num_rows
    if not has_addresses(consents.tables, recipient):
        if request.dry_run:
            return sent, [recipient.placeholder] * sent.table.num_rows
        rule = recipient.worded(
            "sending {messages} needs the column {column} of the table 'customers'"
        )
        raise DataError(rule, fix="Connect [data.customers].")
    return addressed(
        sent,
        addresses(consents.tables),
        recipient,
        refused=set() if channel is None else consents.refusers(channel, on=on),
        contacted=record.contacted,
    )


def _not_yet(
    sent: Deliverable, record: _Record, *, limit: int | None
) -> tuple[Deliverable, list[int]]:
    """The rows of customers without a message, up to the limit, and their positions."""
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


def _messages(
    rows: Sequence[Mapping[str, Any]], record: _Record, transport: Transport, *, run_id: str
) -> list[Message]:
    """The messages of the rows: those on record keep their token and their batch's id."""
    messages, fresh = [], 0
    batch = ""
    for row in rows:
        known = record.own.get(row["customer_id"])
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
