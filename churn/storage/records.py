"""Row types of the ledger: runs, plans, exports, promotions."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

from churn.storage.database import Migration

Status = Literal["running", "done", "failed"]
Cause = Literal["training", "promotion", "rollback"]

# What counts as a contact: an offer that is to be sent. The partial index serves this condition.
TREATED = "arm IN ('treatment', 'explore') AND offer_id <> 'none'"

CONTACTS = f"""SELECT customer_id, offer_id, campaign_id, as_of FROM plans WHERE {TREATED}
    UNION ALL SELECT customer_id, offer_id, campaign_id, as_of FROM messages
    WHERE state IN ('sending', 'sent', 'unknown')"""  # noqa: S608
"""Contacts by plans, and by messages, whatever became of the plan they were created from."""

APPLICATION_ID = 0x6368726E
"""Written by SQLite to the header of a ledger, so that no other file is mistaken for one."""

MIGRATIONS: tuple[Migration, ...] = (
    (
        """CREATE TABLE runs (
            run_id TEXT PRIMARY KEY, command TEXT NOT NULL,
            started_at TEXT NOT NULL, finished_at TEXT,
            status TEXT NOT NULL CHECK (status IN ('running', 'done', 'failed')),
            as_of TEXT, model_id TEXT, facts TEXT NOT NULL,
            pid INTEGER NOT NULL, pid_started INTEGER NOT NULL
        ) WITHOUT ROWID""",
        """CREATE TABLE plans (
            run_id TEXT NOT NULL, customer_id TEXT NOT NULL,
            campaign_id TEXT NOT NULL, as_of TEXT NOT NULL,
            offer_id TEXT NOT NULL, channel TEXT, arm TEXT NOT NULL,
            propensity REAL NOT NULL, expected_cost REAL NOT NULL,
            PRIMARY KEY (run_id, customer_id)
        ) WITHOUT ROWID""",
        f"""CREATE INDEX contacts ON plans (customer_id, offer_id, as_of, campaign_id)
            WHERE {TREATED}""",
        """CREATE TABLE planned (
            campaign_id TEXT NOT NULL, as_of TEXT NOT NULL, run_id TEXT NOT NULL,
            PRIMARY KEY (campaign_id, as_of, run_id)
        ) WITHOUT ROWID""",
        """CREATE TABLE holdout (
            experiment TEXT NOT NULL, customer_id TEXT NOT NULL,
            member INTEGER NOT NULL, assigned_on TEXT NOT NULL,
            PRIMARY KEY (experiment, customer_id)
        ) WITHOUT ROWID""",
    ),
    (
        """CREATE TABLE promotions (
            number INTEGER PRIMARY KEY, run_id TEXT NOT NULL, directory TEXT NOT NULL,
            model_id TEXT NOT NULL, previous TEXT,
            cause TEXT NOT NULL CHECK (cause IN ('training', 'promotion', 'rollback')),
            reason TEXT, promoted_at TEXT NOT NULL
        )""",
    ),
    (
        """CREATE TABLE exports (
            number INTEGER PRIMARY KEY, run_id TEXT NOT NULL,
            campaign_id TEXT NOT NULL, as_of TEXT NOT NULL, plan_digest TEXT NOT NULL,
            audience TEXT NOT NULL, offer_id TEXT, exported_on TEXT NOT NULL,
            rows INTEGER NOT NULL, list_digest TEXT NOT NULL,
            exported_at TEXT NOT NULL, replaced_by TEXT
        )""",
        "CREATE INDEX exported ON exports (campaign_id, as_of, audience)",
    ),
    (
        """CREATE TABLE withdrawals (
            customer_id TEXT NOT NULL, channel TEXT NOT NULL,
            withdrawn_at TEXT NOT NULL, source TEXT NOT NULL, again_at TEXT NOT NULL,
            PRIMARY KEY (customer_id, channel)
        ) WITHOUT ROWID""",
    ),
    (
        """CREATE TABLE messages (
            campaign_id TEXT NOT NULL, as_of TEXT NOT NULL, customer_id TEXT NOT NULL,
            through TEXT NOT NULL, offer_id TEXT NOT NULL, channel TEXT NOT NULL,
            token TEXT NOT NULL, parcel TEXT NOT NULL, run_id TEXT NOT NULL,
            state TEXT NOT NULL
                CHECK (state IN ('waiting', 'sending', 'sent', 'failed', 'unknown')),
            cause TEXT, at TEXT NOT NULL,
            PRIMARY KEY (campaign_id, as_of, customer_id, through)
        ) WITHOUT ROWID""",
        "CREATE UNIQUE INDEX tokens ON messages (token)",
    ),
    (
        """CREATE TABLE exported_plans (
            campaign_id TEXT NOT NULL, as_of TEXT NOT NULL, run_id TEXT NOT NULL,
            PRIMARY KEY (campaign_id, as_of, run_id)
        ) WITHOUT ROWID""",
    ),
    (
        "CREATE TABLE erased (hash TEXT PRIMARY KEY, erased_on TEXT NOT NULL) WITHOUT ROWID",
        """CREATE TABLE erasure_key (
            only_one INTEGER PRIMARY KEY CHECK (only_one = 1), check_value TEXT NOT NULL
        )""",
        """CREATE TABLE outputs (
            target TEXT PRIMARY KEY, command TEXT NOT NULL, written_at TEXT NOT NULL
        ) WITHOUT ROWID""",
    ),
    (
        """CREATE TABLE codes (
            folded TEXT PRIMARY KEY, code TEXT NOT NULL,
            campaign_id TEXT NOT NULL, as_of TEXT NOT NULL, offer_id TEXT NOT NULL,
            given_at TEXT NOT NULL
        ) WITHOUT ROWID""",
        """CREATE TABLE code_holders (
            campaign_id TEXT NOT NULL, as_of TEXT NOT NULL, offer_id TEXT NOT NULL,
            customer_id TEXT NOT NULL, code TEXT NOT NULL,
            PRIMARY KEY (campaign_id, as_of, offer_id, customer_id)
        ) WITHOUT ROWID""",
    ),
    (
        f"PRAGMA application_id = {APPLICATION_ID}",
        "CREATE TABLE ledger_id (id TEXT NOT NULL)",
        "INSERT INTO ledger_id VALUES (lower(hex(randomblob(16))))",
    ),
    (
        "ALTER TABLE withdrawals ADD COLUMN told INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE withdrawals ADD COLUMN in_doubt INTEGER NOT NULL DEFAULT 0",
        "CREATE INDEX told ON withdrawals (told)",
        """CREATE TABLE newest_grant (
            only_one INTEGER PRIMARY KEY CHECK (only_one = 1), moment TEXT NOT NULL
        )""",
    ),
)

EXPORTED = "SELECT run_id FROM exported_plans WHERE campaign_id = ? AND as_of = ?"
"""The runs whose plans of a campaign and date were exported."""
_PLAN = "campaign_id = ? AND as_of = ?"
_REACHED = "state IN ('sending', 'sent', 'unknown')"


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run of a command; `finished_at` is None while it is running."""

    run_id: str
    command: str
    status: Status
    started_at: datetime
    finished_at: datetime | None
    as_of: date | None
    model_id: str | None
    facts: dict[str, Any]

    @classmethod
    def from_values(
        cls,
        run_id: str,
        command: str,
        status: Status,
        started_at: str,
        finished_at: str | None,
        as_of: str | None,
        model_id: str | None,
        facts: str,
    ) -> Run:
        """The run of a row of the table, whose times and facts are text."""
        return cls(
            run_id=run_id,
            command=command,
            status=status,
            started_at=datetime.fromisoformat(started_at),
            finished_at=datetime.fromisoformat(finished_at) if finished_at else None,
            as_of=date.fromisoformat(as_of) if as_of else None,
            model_id=model_id,
            facts=json.loads(facts),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanRow:
    """What a plan decided for one customer; `expected_cost` is in the currency of the plan."""

    customer_id: str
    campaign_id: str
    as_of: date
    offer_id: str
    channel: str | None
    arm: str
    propensity: float
    expected_cost: float

    @classmethod
    def from_values(cls, customer_id: str, campaign_id: str, as_of: str, *rest: Any) -> PlanRow:
        """The row from its columns, in their order, without the run's id."""
        offer_id, channel, arm, propensity, expected_cost = rest
        return cls(
            customer_id=customer_id,
            campaign_id=campaign_id,
            as_of=date.fromisoformat(as_of),
            offer_id=offer_id,
            channel=channel,
            arm=arm,
            propensity=propensity,
            expected_cost=expected_cost,
        )

    def values(self, run_id: str) -> tuple[object, ...]:
        """The row of the table, in the order of its columns."""
        return (
            run_id,
            self.customer_id,
            self.campaign_id,
            self.as_of.isoformat(),
            self.offer_id,
            self.channel,
            self.arm,
            self.propensity,
            self.expected_cost,
        )


@dataclass(frozen=True, slots=True)
class Contact:
    """The latest plan that had an offer sent to a customer."""

    customer_id: str
    offer_id: str
    as_of: date
    campaign_id: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Promotion:
    """One move of the pointer to the champion in a folder of models: to whom, from whom, and why.

    `reason` is what a person wrote about it; `promoted_at` is None until it is on record.
    """

    run_id: str
    directory: str
    model_id: str
    previous: str | None
    cause: Cause
    reason: str | None = None
    promoted_at: datetime | None = None

    @classmethod
    def from_values(
        cls,
        run_id: str,
        directory: str,
        model_id: str,
        previous: str | None,
        cause: Cause,
        reason: str | None,
        promoted_at: str,
    ) -> Promotion:
        """The promotion of a row of the table, whose time is text."""
        return cls(
            run_id=run_id,
            directory=directory,
            model_id=model_id,
            previous=previous,
            cause=cause,
            reason=reason,
            promoted_at=datetime.fromisoformat(promoted_at),
        )

    def values(self) -> tuple[object, ...]:
        """The row of the table without the time, in the order of its columns."""
        return (
            self.run_id,
            self.directory,
            self.model_id,
            self.previous,
            self.cause,
            self.reason,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Export:
    """One list that was made of a plan, for one audience, as of the date `exported_on`.

    `plan_digest` is the same for plans that offer the same to the same customers, `list_digest` for
    lists of the same rows. `offer_id` is None where the list was not cut to one offer.
    """

    run_id: str
    campaign_id: str
    as_of: date
    plan_digest: str
    audience: str
    offer_id: str | None
    exported_on: date
    rows: int
    list_digest: str

    @classmethod
    def from_values(cls, *values: Any) -> Export:
        """The export of a row of the table, whose dates are text."""
        named = dict(zip(EXPORT_COLUMNS, values, strict=True))
        dates = {name: date.fromisoformat(named[name]) for name in ("as_of", "exported_on")}
        return cls(**{**named, **dates})

    def values(self) -> tuple[object, ...]:
        """The row of the table, in the order of `EXPORT_COLUMNS`."""
        found = (getattr(self, name) for name in EXPORT_COLUMNS)
        return tuple(one.isoformat() if isinstance(one, date) else one for one in found)


EXPORT_COLUMNS = tuple(Export.__slots__)


def keep_as_contacts(connection: sqlite3.Connection, campaign_id: str, as_of: str) -> None:
    """Notes that the plan on record was exported.

    Another one of that campaign and date is forgotten once nothing stands that was made of it, but
    for customers who have a message of the campaign, or may have it.
    """
    plan = (campaign_id, as_of)
    connection.execute(
        f"INSERT OR IGNORE INTO exported_plans SELECT * FROM planned WHERE {_PLAN}",  # noqa: S608
        plan,
    )
    standing = connection.execute(
        "SELECT count(DISTINCT plan_digest) FROM exports "  # noqa: S608
        f"WHERE {_PLAN} AND replaced_by IS NULL",
        plan,
    )
    if standing.fetchone() == (1,):
        other = f"{_PLAN} AND run_id NOT IN (SELECT run_id FROM planned WHERE {_PLAN})"  # noqa: S608
        reached = f"SELECT customer_id FROM messages WHERE {_PLAN} AND {_REACHED}"  # noqa: S608
        connection.execute(
            f"DELETE FROM plans WHERE {other} AND customer_id NOT IN ({reached})",  # noqa: S608
            plan * 3,
        )
        connection.execute(f"DELETE FROM exported_plans WHERE {other}", plan * 2)  # noqa: S608


def ways_out(connection: sqlite3.Connection, campaign_id: str, as_of: str) -> dict[str, str]:
    """The audiences to which a campaign's plan of that date stands as exported or sent, each with
    the run that did it last.
    """
    found = connection.execute(
        f"SELECT audience, run_id FROM exports WHERE {_PLAN} AND rows > 0 AND replaced_by IS NULL "  # noqa: S608
        "ORDER BY number",
        (campaign_id, as_of),
    )
    return dict(found.fetchall())
