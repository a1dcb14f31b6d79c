"""Whose message goes to which address, and whose to none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

import pyarrow as pa
import pyarrow.compute as pc

from churn.retention.consents import ConsentBook
from churn.retention.delivery.mailbox import checked_address
from churn.retention.delivery.sendable import Sendable

__all__ = ["UNSENT", "addressed", "refusers"]

UNSENT = {
    "no_address": "no e-mail address of this customer is known",
    "bad_address": "what is known is no address that can be written to",
    "refused_address": "another customer with the same address refuses e-mails",
    "same_address": "the same address gets this message as another customer",
    "sent_before": "has this campaign's message already",
    "maybe_sent": "may have it: the sending was cut off before an answer came",
    "failed_before": "was refused for good when it was sent before",
    "beyond_limit": "beyond the number that was asked for",
}
"""The code of each reason for which an offer that may be sent is not, and its meaning; where
several hold, the first in this order is counted."""


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
    sent: Sendable, addresses: pa.Table, *, refused: Collection[str], contacted: Collection[str]
) -> tuple[Sendable, list[str]]:
    """The rows that have an address, and the addresses in their order, each of them once.

    A refusal speaks for the person behind an address: where one customer with it refuses, none
    with it gets a message. Of several customers with one address it goes to one whom this campaign
    has `contacted` (who will get no second one), else to the first. `addresses` are customer_id
    and email.
    """
    found = zip(addresses["customer_id"].to_pylist(), addresses["email"].to_pylist(), strict=True)
    known = {customer: email for customer, email in found if email}
    checked = {customer: checked_address(email) for customer, email in known.items()}
    closed = {_same(checked.get(customer)) for customer in refused}
    owner = {_same(checked.get(customer)): customer for customer in contacted}
    left_out: Counter[str] = Counter()
    kept, to = [], []
    for place, customer in enumerate(sent.table["customer_id"].to_pylist()):
        address = checked.get(customer)
        if address is None:
            left_out["bad_address" if customer in known else "no_address"] += 1
        elif _same(address) in closed:
            left_out["refused_address"] += 1
        elif owner.setdefault(_same(address), customer) != customer:
            left_out["same_address"] += 1
        else:
            kept.append(place)
            to.append(address)
    rows = sent.table.take(pa.array(kept, pa.int64()))
    return Sendable(rows, sent.left_out | dict(left_out)), to


def _same(address: str | None) -> str | None:
    """The address as mail servers compare it in practice: without case."""
    return None if address is None else address.lower()
