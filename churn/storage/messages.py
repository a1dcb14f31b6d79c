"""Messages of a campaign: each is recorded before it is sent, so that none is sent twice."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from churn.storage.database import Record
from churn.storage.ledger import Ledger

State = Literal["waiting", "sending", "sent", "failed", "unknown"]

CONTACTED = ("sending", "sent", "unknown")
"""States in which a customer has, or may have, received the message."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Message(Record):
    """One customer's message of a campaign's plan for one date, via "email", "webhook" or "api".

    `token` is the end of its unsubscribe link. `parcel` identifies what is sent in one piece: a
    single message, or the batch that it is part of. `cause` is the other side's answer if it was
    not sent.
    """

    campaign_id: str
    as_of: date
    customer_id: str
    through: str
    offer_id: str
    channel: str
    token: str
    parcel: str
    run_id: str
    state: State = "waiting"
    cause: str | None = None


_SELECT = f"SELECT {Message.columns()} FROM messages"  # noqa: S608 - names of this module
_KEY = "campaign_id = ? AND as_of = ? AND customer_id = ? AND through = ?"


def messages_of(ledger: Ledger, campaign_id: str, as_of: date) -> list[Message]:
    """The messages of a campaign's plan for that date, by customer."""
    with ledger.reading() as connection:
        found = connection.execute(
            f"{_SELECT} WHERE campaign_id = ? AND as_of = ? ORDER BY customer_id, through",
            (campaign_id, as_of.isoformat()),
        )
        return [Message.from_row(row) for row in found]


def message_of_token(ledger: Ledger, token: str) -> Message | None:
    """The message whose unsubscribe link ends in that token; None if there is none."""
    with ledger.reading() as connection:
        found = connection.execute(f"{_SELECT} WHERE token = ?", (token,)).fetchone()
    return None if found is None else Message.from_row(found)


def enqueue(ledger: Ledger, messages: Iterable[Message]) -> None:
    """Records messages as waiting; a recorded one gets the new offer and run, same token."""
    moment = ledger.moment()
    with ledger.changing() as connection:
        connection.executemany(
            f"INSERT INTO messages ({Message.columns()}, at) VALUES ({Message.marks()}, ?) "  # noqa: S608
            "ON CONFLICT DO UPDATE SET offer_id = excluded.offer_id, channel = excluded.channel, "
            "parcel = excluded.parcel, run_id = excluded.run_id, state = 'waiting'",
            ((*one.row(), moment) for one in messages),
        )


def doubt_unfinished(ledger: Ledger, campaign_id: str, as_of: date, through: str) -> int:
    """Marks messages as "unknown" that are recorded as being sent although no process sends them;
    returns their number.

    May be called only while others are prevented from sending.
    """
    with ledger.changing() as connection:
        return connection.execute(
            "UPDATE messages SET state = 'unknown', cause = 'interrupted' WHERE campaign_id = ? "
            "AND as_of = ? AND through = ? AND state = 'sending'",
            (campaign_id, as_of.isoformat(), through),
        ).rowcount


@dataclass(frozen=True)
class Settled:
    """The outcome of claimed messages."""

    messages: Sequence[Message]
    state: State
    cause: str | None = None


def claim(
    ledger: Ledger, messages: Sequence[Message], *, since: int, before: Settled | None = None
) -> list[Message]:
    """The waiting messages that may be sent now, recorded as being sent.

    Customers whose withdrawal from the channel was recorded after number `since` (`last_told` when
    consent was read) are excluded. The outcome of the ones `before` is recorded in the same write.
    """
    with ledger.changing() as connection:
        if before is not None:
            _settle(connection, before, ledger.moment())
        return [one for one in messages if _claimed(connection, one, ledger.moment(), since)]


def settle(ledger: Ledger, settled: Settled) -> None:
    """Records the outcome of claimed messages."""
    with ledger.changing() as connection:
        _settle(connection, settled, ledger.moment())


def _settle(connection: Any, settled: Settled, moment: str) -> None:
    connection.executemany(
        f"UPDATE messages SET state = ?, cause = ?, at = ? WHERE {_KEY}",  # noqa: S608
        [(settled.state, settled.cause, moment, *one.row()[:4]) for one in settled.messages],
    )


def _claimed(connection: Any, message: Message, moment: str, since: int) -> bool:
    done = connection.execute(
        f"UPDATE messages SET state = 'sending', cause = NULL, at = ? WHERE {_KEY} "  # noqa: S608
        "AND state = 'waiting' AND NOT EXISTS (SELECT 1 FROM withdrawals "
        "WHERE withdrawals.customer_id = messages.customer_id "
        "AND withdrawals.channel = lower(trim(messages.channel)) AND told > ?)",
        (moment, *message.row()[:4], since),
    )
    return bool(done.rowcount)
