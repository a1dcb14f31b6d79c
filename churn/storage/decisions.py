"""Offers handed out one by one: the planned offer of a customer, and each decision at most once."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from churn.errors import ConfigError
from churn.storage.database import Record
from churn.storage.ledger import Ledger
from churn.storage.messages import CONTACTED, Message
from churn.storage.records import PlanRow

THROUGH = "api"
"""The transport under which an offer handed out here is on record as a message."""


class KeyReusedError(ConfigError):
    """The same idempotency key came with another request."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision(Record):
    """An answer on record, by the hash of its idempotency key."""

    key_hash: str
    customer_id: str
    request_hash: str
    answer: str
    decided_at: str


@dataclass(frozen=True)
class PlannedOffer:
    """A customer's row of the newest plan of a campaign, and the run that made it."""

    run_id: str
    row: PlanRow
    planned_at: str


def decide_once(
    ledger: Ledger, key: str, customer_id: str, request: bytes, answer: Callable[[], str]
) -> tuple[str, bool]:
    """The answer to a request with that idempotency key, and whether it is a repeated one.

    `answer` is called within the transaction of the first request, so what it records and the
    answer are kept together or not at all. KeyReusedError if the key came with another request.
    """
    hashed, asked = _hash(key.encode()), _hash(request)
    with ledger.changing() as connection:
        found = connection.execute(
            f"SELECT {Decision.columns()} FROM decisions WHERE key_hash = ?",  # noqa: S608
            (hashed,),
        ).fetchone()
        if found is not None:
            known = Decision.from_row(found)
            if known.request_hash != asked:
                rule = "an idempotency key belongs to one request"
                raise KeyReusedError(rule, fix="Send a new key with every new request.")
            return known.answer, True
        text = answer()
        decision = Decision(
            key_hash=hashed,
            customer_id=customer_id,
            request_hash=asked,
            answer=text,
            decided_at=ledger.moment(),
        )
        connection.execute(
            f"INSERT INTO decisions ({Decision.columns()}) VALUES ({Decision.marks()})",  # noqa: S608
            decision.row(),
        )
    return text, False


def planned_offer(
    ledger: Ledger, customer_id: str, campaign_id: str | None = None
) -> PlannedOffer | None:
    """The customer's row of the newest plan on record, of one campaign or of any."""
    names = ", ".join(f"p.{name}" for name in PlanRow.columns().split(", "))
    with ledger.reading() as connection:
        newest = connection.execute(
            "SELECT q.run_id, q.campaign_id, q.as_of, r.started_at "
            "FROM planned AS q JOIN runs AS r USING (run_id) "
            "WHERE q.campaign_id = coalesce(?, q.campaign_id) "
            "ORDER BY q.as_of DESC, r.started_at DESC LIMIT 1",
            (campaign_id,),
        ).fetchone()
        if newest is None:
            return None
        run_id, campaign, as_of, started_at = newest
        row = connection.execute(
            f"SELECT {names} FROM plans AS p WHERE p.run_id = ? AND p.customer_id = ? "  # noqa: S608
            "AND p.campaign_id = ? AND p.as_of = ?",
            (run_id, customer_id, campaign, as_of),
        ).fetchone()
    return None if row is None else PlannedOffer(run_id, PlanRow.from_row(row), started_at)


def withdrawn_since(ledger: Ledger, customer_id: str, channel: str, moment: str) -> bool:
    """Whether the customer withdrew from the channel since that moment, or at an unknown one."""
    with ledger.reading() as connection:
        found = connection.execute(
            "SELECT 1 FROM withdrawals WHERE customer_id = ? AND channel = lower(trim(?)) "
            "AND (in_doubt OR again_at >= ?)",
            (customer_id, channel, moment),
        )
        return found.fetchone() is not None


def hand_out(ledger: Ledger, offer: PlannedOffer, run_id: str) -> bool:
    """Records the offer as sent through the API, once; False if another transport has it.

    Other transports skip the customer from then on, and it counts as one contact.
    """
    row = offer.row
    key = (row.campaign_id, row.as_of.isoformat(), row.customer_id)
    blocking = (*CONTACTED, "waiting")
    marks = ", ".join("?" * len(blocking))
    with ledger.changing() as connection:
        other = connection.execute(
            "SELECT 1 FROM messages WHERE campaign_id = ? AND as_of = ? AND customer_id = ? "  # noqa: S608
            f"AND through <> ? AND state IN ({marks})",
            (*key, THROUGH, *blocking),
        ).fetchone()
        if other is not None:
            return False
        message = _message(offer, run_id)
        connection.execute(
            f"INSERT OR IGNORE INTO messages ({Message.columns()}, at) "  # noqa: S608
            f"VALUES ({Message.marks()}, ?)",
            (*message.row(), ledger.moment()),
        )
    return True


def _message(offer: PlannedOffer, run_id: str) -> Message:
    row, token = offer.row, secrets.token_urlsafe(16)
    return Message(
        campaign_id=row.campaign_id,
        as_of=row.as_of,
        customer_id=row.customer_id,
        through=THROUGH,
        offer_id=row.offer_id,
        channel=row.channel or "",
        token=token,
        parcel=token,
        run_id=run_id,
        state="sent",
    )


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
