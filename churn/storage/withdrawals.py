"""Withdrawals from marketing per channel that were received here rather than by the shop."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from churn.errors import ConfigError
from churn.storage.database import Record
from churn.storage.ledger import Ledger

_MOMENTS = (
    *(("runs", "started_at"), ("runs", "finished_at"), ("exports", "exported_at")),
    *(("withdrawals", "again_at"), ("newest_grant", "moment")),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Withdrawal(Record):
    """One customer's withdrawal from one channel, in UTC: first at `withdrawn_at`, last `again_at`.

    `source` is how it was received, such as "one-click". If the clock cannot have been right
    (`in_doubt`), the moment is unknown, and the withdrawal overrides every consent.
    `told` numbers withdrawals as they arrived.
    """

    customer_id: str
    channel: str
    withdrawn_at: datetime
    source: str
    again_at: datetime
    in_doubt: bool = False
    told: int = field(default=0, compare=False)


def record_withdrawal(
    ledger: Ledger,
    customer_id: str,
    channel: str,
    *,
    source: str,
    at: datetime | None = None,
    token: str | None = None,
) -> bool:
    """Returns whether it is new: of a repeated withdrawal, the first moment is kept.

    `at` defaults to now, and must have a zone. A later moment is kept besides the first, since
    the customer may have agreed again in between. Now cannot be before the newest moment in the
    ledger, nor before the message of that `token`: else the clock is wrong and the moment in doubt.
    """
    word = _word(channel)
    given = None if at is None else _utc(at).isoformat()
    with ledger.changing() as connection:
        now = given or ledger.moment()
        known = now if given else _newest_moment(connection, token)
        values = (max(now, known), now < known, last_told(ledger) + 1)
        changed = connection.execute(
            "UPDATE withdrawals SET again_at = max(again_at, ?), in_doubt = max(in_doubt, ?), "
            "told = ? WHERE customer_id = ? AND channel = ?",
            (*values, customer_id, word),
        )
        if changed.rowcount:
            return False
        moment, in_doubt, told = values
        connection.execute(
            "INSERT INTO withdrawals (customer_id, channel, withdrawn_at, source, again_at, told, "
            "in_doubt) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (customer_id, word, moment, source, moment, told, in_doubt),
        )
    return True


def last_told(ledger: Ledger) -> int:
    """The number of the latest withdrawal: they are numbered as they arrive."""
    with ledger.reading() as connection:
        (last,) = connection.execute("SELECT max(told) FROM withdrawals").fetchone()
    return last or 0


def withdrawals(ledger: Ledger) -> list[Withdrawal]:
    """Every withdrawal on record, by customer and channel."""
    with ledger.reading() as connection:
        found = connection.execute(
            f"SELECT {Withdrawal.columns()} FROM withdrawals ORDER BY customer_id, channel"  # noqa: S608
        )
        return [Withdrawal.from_row(row) for row in found]


def withdrawals_of(ledger: Ledger, customer_id: str) -> list[Withdrawal]:
    """The withdrawals of one customer, by channel."""
    with ledger.reading() as connection:
        found = connection.execute(
            f"SELECT {Withdrawal.columns()} FROM withdrawals WHERE customer_id = ? "  # noqa: S608
            "ORDER BY channel",
            (customer_id,),
        )
        return [Withdrawal.from_row(row) for row in found]


def settle_doubts(ledger: Ledger, settled: Iterable[Withdrawal]) -> None:
    """Records since when withdrawals apply that arrived under a wrong clock; those repeated in the
    meantime are unchanged.
    """
    with ledger.changing() as connection:
        connection.executemany(
            "UPDATE withdrawals SET withdrawn_at = min(withdrawn_at, ?), again_at = ?, "
            "in_doubt = 0 WHERE customer_id = ? AND channel = ? AND told = ?",
            [
                (moment, moment, one.customer_id, one.channel, one.told)
                for one in settled
                if (moment := one.again_at.isoformat())
            ],
        )


def remember_grant(ledger: Ledger, moment: datetime) -> None:
    """Remembers the newest grant that was read: a later withdrawal cannot be older."""
    with ledger.changing() as connection:
        connection.execute(
            "INSERT INTO newest_grant VALUES (1, ?) ON CONFLICT DO UPDATE "
            "SET moment = max(moment, excluded.moment)",
            (_utc(moment).isoformat(),),
        )


def _newest_moment(connection: sqlite3.Connection, token: str | None) -> str:
    """The newest moment known to the ledger: of runs, exports, withdrawals and grants, and of the
    message of that token and its plan, which may be dated a day ahead.
    """
    message = connection.execute(
        "SELECT max(at, date(as_of, '-2 days')) FROM messages WHERE token = ?", (token,)
    )
    moments: list[str | None] = [row[0] for row in message]
    for table, column in _MOMENTS:
        found = connection.execute(f"SELECT max({column}) FROM {table}")  # noqa: S608 - ours
        moments.append(found.fetchone()[0])
    return max(moment for moment in (*moments, "") if moment is not None)


def _word(channel: str) -> str:
    """The channel in lower case and stripped, as consents are compared."""
    word = channel.strip().lower()
    if not word:
        rule = "a withdrawal must name its channel"
        raise ConfigError(rule, got=repr(channel), fix='Pass e.g. "email".')
    return word


def _utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        rule = "the moment of a withdrawal must have a time zone"
        raise ConfigError(rule, got=moment, fix="Pass e.g. datetime.now(UTC).")
    return moment.astimezone(UTC)
