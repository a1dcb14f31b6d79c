"""Tables of the ledger, and the records of runs, plans and promotions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

from churn.storage.database import Migration, Record

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
    ("ALTER TABLE plans ADD COLUMN intended_offer_id TEXT",),
    (
        """CREATE TABLE steps (
            as_of TEXT NOT NULL, data TEXT NOT NULL, step TEXT NOT NULL, inputs TEXT NOT NULL,
            run_id TEXT NOT NULL, exit_code INTEGER NOT NULL,
            outputs TEXT NOT NULL, facts TEXT NOT NULL, finished_at TEXT NOT NULL,
            PRIMARY KEY (as_of, data, step, inputs)
        ) WITHOUT ROWID""",
    ),
    (
        """CREATE TABLE api_keys (
            prefix TEXT PRIMARY KEY, hash TEXT NOT NULL, name TEXT NOT NULL,
            created_at TEXT NOT NULL, last_used_at TEXT, revoked_at TEXT
        ) WITHOUT ROWID""",
        """CREATE TABLE decisions (
            key_hash TEXT PRIMARY KEY, customer_id TEXT NOT NULL,
            request_hash TEXT NOT NULL, answer TEXT NOT NULL, decided_at TEXT NOT NULL
        ) WITHOUT ROWID""",
        """CREATE TABLE objections (
            customer_id TEXT PRIMARY KEY, objected_at TEXT NOT NULL, source TEXT NOT NULL
        ) WITHOUT ROWID""",
    ),
    ("ALTER TABLE plans ADD COLUMN lot TEXT",),
)

EXPORTED = "SELECT run_id FROM exported_plans WHERE campaign_id = ? AND as_of = ?"
"""The runs whose plans of a campaign and date were exported."""


@dataclass(frozen=True, kw_only=True)
class Run(Record):
    """One run of a command; `finished_at` is None while it is running."""

    run_id: str
    command: str
    status: Status
    started_at: datetime
    finished_at: datetime | None
    as_of: date | None
    model_id: str | None
    facts: dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanRow(Record):
    """What a plan decided for one customer; `expected_cost` is in the currency of the plan.

    `intended_offer_id` is the offer without any randomisation, `lot` the choice set, None without a
    random draw; both are None in plans of earlier releases.
    """

    customer_id: str
    campaign_id: str
    as_of: date
    offer_id: str
    channel: str | None
    arm: str
    propensity: float
    expected_cost: float
    intended_offer_id: str | None = None
    lot: str | None = None


@dataclass(frozen=True, slots=True)
class Contact:
    """The latest plan that had an offer sent to a customer."""

    customer_id: str
    offer_id: str
    as_of: date
    campaign_id: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Promotion(Record):
    """One move of the pointer to the champion in a folder of models, and its cause.

    `reason` is what a person wrote about it; `promoted_at` is None until it is on record.
    """

    run_id: str
    directory: str
    model_id: str
    previous: str | None
    cause: Cause
    reason: str | None = None
    promoted_at: datetime | None = None
