"""Who withdrew from marketing on a channel by telling this product, and not the shop."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from churn.errors import ConfigError
from churn.files.ledger import Ledger

__all__ = ["Withdrawal", "record_withdrawal", "withdrawals"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Withdrawal:
    """One customer's withdrawal from one channel, in UTC: first at `withdrawn_at`, last `again_at`.

    `source` says by what it was told, such as "one-click".
    """

    customer_id: str
    channel: str
    withdrawn_at: datetime
    source: str
    again_at: datetime


def record_withdrawal(
    ledger: Ledger, customer_id: str, channel: str, *, source: str, at: datetime | None = None
) -> bool:
    """Whether it is new: of a withdrawal that was told before, the first moment stays.

    `at` is now unless it is given, with its zone. A later one is kept beside the first, for a
    customer may have agreed anew in between.
    """
    moment = ledger.moment() if at is None else _utc(at).isoformat()
    values = (customer_id, _word(channel), moment, source, moment)
    with ledger.changing() as connection:
        new = connection.execute("INSERT OR IGNORE INTO withdrawals VALUES (?, ?, ?, ?, ?)", values)
        connection.execute(
            "UPDATE withdrawals SET again_at = max(again_at, ?) "
            "WHERE customer_id = ? AND channel = ?",
            (moment, *values[:2]),
        )
    return new.rowcount == 1


def withdrawals(ledger: Ledger) -> list[Withdrawal]:
    """Every withdrawal on record, by customer and channel."""
    with ledger.reading() as connection:
        found = connection.execute(
            "SELECT customer_id, channel, withdrawn_at, source, again_at FROM withdrawals "
            "ORDER BY customer_id, channel"
        )
        return [_withdrawal(*row) for row in found]


def _withdrawal(
    customer_id: str, channel: str, withdrawn_at: str, source: str, again_at: str
) -> Withdrawal:
    return Withdrawal(
        customer_id=customer_id,
        channel=channel,
        withdrawn_at=datetime.fromisoformat(withdrawn_at),
        source=source,
        again_at=datetime.fromisoformat(again_at),
    )


def _word(channel: str) -> str:
    """The channel without case and surrounding space, as consents are compared."""
    word = channel.strip().lower()
    if not word:
        rule = "a withdrawal must name its channel"
        raise ConfigError(rule, got=repr(channel), fix='Pass e.g. "email".')
    return word


def _utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        rule = "the moment of a withdrawal must carry its zone"
        raise ConfigError(rule, got=moment, fix="Pass e.g. datetime.now(UTC).")
    return moment.astimezone(UTC)
