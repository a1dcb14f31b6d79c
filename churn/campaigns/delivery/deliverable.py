"""Offers of a plan that may be delivered now: consent, preferences, and an address."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from churn.arrays import Bools
from churn.offers.arms import ARMS, EXPLORE, TREATMENT
from churn.offers.catalogue import NO_OFFER
from churn.offers.preferences import ConsentBook, PreferenceBook

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from churn.campaigns.delivery.transport import Recipient
    from churn.offers.suppression import Consent

LEFT_OUT = {
    "erased": "erased after the plan was made",
    "other_offer": "not the requested offer",
    "other_channel": "the offer uses another channel",
    "objected": "objects to profiling, so no score may be used for offers",
    "consent_refused": "refuses marketing on the offer's channel",
    "consent_unknown": "no recorded consent to marketing on the offer's channel",
    "preference": "does not want such offers, or none on their channel",
    "expired": "the offer expired before the date of the export",
    "no_identifier": "no valid e-mail address or phone number to hash",
    "repeated_identifier": "the same e-mail address and phone number are in the audience already",
}
"""Reasons why an offer of a plan is not exported, by code; if several apply, the first in order
is counted."""

UNSENT = {
    "no_address": "no {address} on record",
    "bad_address": "the {address} on record is invalid",
    "refused_address": "another customer with the same address refuses {messages}",
    "same_address": "the same address gets this message for another customer",
    "sent_before": "already has this campaign's message",
    "maybe_sent": "may have it: sending was interrupted before the server answered",
    "failed_before": "rejected permanently when it was sent before",
    "beyond_limit": "beyond the requested number",
}
"""Reasons why a deliverable offer is not sent, by code, to be `Recipient.worded`; if several apply,
the first in order is counted."""


@dataclass(frozen=True)
class Deliverable:
    """The plan's rows that may be delivered, and the number left out by code."""

    table: pa.Table
    left_out: dict[str, int]


def offered(plan: pa.Table) -> pa.Table:
    """The plan's rows with an offer to deliver: no holdout, no control, no "none"."""
    served = pa.array([ARMS[TREATMENT], ARMS[EXPLORE]])
    return plan.filter(
        pc.and_(pc.not_equal(plan["offer_id"], NO_OFFER), pc.is_in(plan["arm"], served))
    )


def deliverable(
    plan: pa.Table,
    *,
    consents: pa.Table | None,
    consent: Consent,
    preferences: Sequence[pa.Table] = (),
    kinds: Mapping[str, str] | None = None,
    on: date,
    offer_id: str | None = None,
    channel: str | None = None,
) -> Deliverable:
    """The rows of `offered(plan)` that may be delivered on that date, optionally of one offer and
    channel.

    If `consents` (customer_id, channel, purpose, granted) is contradictory, the refusal counts.
    "required" needs granted marketing consent on the offer's channel, "assumed" no refusal. All
    `preferences` have to allow the offer, whose kind is looked up in `kinds`. An offer may be sent
    on its last day.
    """
    rows = offered(plan)
    none = np.zeros(rows.num_rows, dtype=bool)
    objected, granted, refused = none, none, none
    if consents is not None:
        book = ConsentBook.read(consents, rows["customer_id"])
        objected = book.customers(purpose="profiling", channel=None, granted=False)
        granted, refused = (_on_channel(book, rows["channel"], granted=g) for g in (True, False))
    holds: dict[str, Bools] = {
        "other_offer": none if offer_id is None else _differs(rows["offer_id"], offer_id),
        "other_channel": none if channel is None else _differs(rows["channel"], channel),
        "objected": objected,
        "consent_refused": refused,
        "consent_unknown": ~granted if consent == "required" else none,
        "preference": _unwanted(rows, preferences, kinds or {}),
        "expired": np.asarray(pc.less(rows["expires_on"], pa.scalar(on)), dtype=bool),
    }
    return _without(rows, holds)


def _without(rows: pa.Table, holds: dict[str, Bools]) -> Deliverable:
    """The rows without a reason against delivery, and counts of the others by first reason."""
    kept = np.ones(rows.num_rows, dtype=bool)
    left_out = {}
    for code, held in holds.items():
        left_out[code] = int((kept & held).sum())
        kept &= ~held
    return Deliverable(rows.filter(pa.array(kept)), {code: n for code, n in left_out.items() if n})


def _on_channel(book: ConsentBook, channels: pa.ChunkedArray, *, granted: bool) -> Bools:
    """Rows whose customer granted, or refused, marketing on the row's channel."""
    rows = np.zeros(len(channels), dtype=bool)
    for channel in pc.unique(channels).to_pylist():
        customers = book.customers(purpose="marketing", channel=channel, granted=granted)
        rows |= customers & ~_differs(channels, channel)
    return rows


def _unwanted(rows: pa.Table, preferences: Sequence[pa.Table], kinds: Mapping[str, str]) -> Bools:
    """Rows whose offer is unwanted according to any of the preferences."""
    books = [PreferenceBook.read(table, rows["customer_id"]) for table in preferences]
    unwanted = np.zeros(rows.num_rows, dtype=bool)
    pairs = rows.select(["offer_id", "channel"]).group_by(["offer_id", "channel"]).aggregate([])
    for pair in pairs.to_pylist() if books else []:
        same = ~_differs(rows["offer_id"], pair["offer_id"])
        same &= ~_differs(rows["channel"], pair["channel"])
        for book in books:
            unwanted |= same & book.unwanted(pair["channel"], kinds.get(pair["offer_id"]))
    return unwanted


def _differs(values: pa.ChunkedArray, value: str) -> Bools:
    return np.asarray(pc.fill_null(pc.not_equal(values, value), True), dtype=bool)


def refusers(consents: pa.Table | None, channel: str) -> set[str]:
    """Customers who refuse marketing on the channel, or profiling on any.

    `consents` are customer_id, channel, purpose and granted.
    """
    if consents is None:
        return set()
    customers = pc.unique(consents["customer_id"])
    book = ConsentBook.read(consents, pa.chunked_array([customers]))
    refused = book.customers(purpose="marketing", channel=channel, granted=False)
    refused |= book.customers(purpose="profiling", channel=None, granted=False)
    return set(customers.filter(pa.array(refused)).to_pylist())


def addressed(
    sent: Deliverable,
    addresses: pa.Table,
    recipient: Recipient,
    *,
    refused: Collection[str],
    contacted: Collection[str],
) -> tuple[Deliverable, list[str]]:
    """The rows that have an address, and the distinct addresses in their order.

    A refusal applies to the person behind an address: if one customer with it refuses, none with it
    gets a message. Of several customers with one address, the message goes to one whom this
    campaign has already `contacted` (and who will not get a second one), else to the first.
    `addresses` are customer_id and the recipient's column.
    """
    columns = (addresses[name].to_pylist() for name in ("customer_id", recipient.column))
    known = {customer: address for customer, address in zip(*columns, strict=True) if address}
    checked = {customer: recipient.check(address) for customer, address in known.items()}
    closed = {_same(checked.get(customer)) for customer in refused}
    owner = {_same(checked.get(customer)): customer for customer in contacted}
    left_out: Counter[str] = Counter()
    kept, to = [], []
    for row, customer in enumerate(sent.table["customer_id"].to_pylist()):
        address = checked.get(customer)
        if address is None:
            left_out["bad_address" if customer in known else "no_address"] += 1
        elif _same(address) in closed:
            left_out["refused_address"] += 1
        elif owner.setdefault(_same(address), customer) != customer:
            left_out["same_address"] += 1
        else:
            kept.append(row)
            to.append(address)
    table = sent.table.take(pa.array(kept, pa.int64()))
    return Deliverable(table, sent.left_out | dict(left_out)), to


def _same(address: str | None) -> str | None:
    """The address in lower case, as the other side compares it in practice."""
    return None if address is None else address.lower()
