"""The ledger: runs, plans, holdouts and promotions of a shop, in one SQLite file.

Cooldown, reruns that must not contact anyone twice, and measurement rely on it.
"""

import secrets
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Literal

from churn.errors import BusyError, ConfigError, DataError
from churn.storage.database import database_errors, transaction
from churn.storage.files import canonical_json, check_name
from churn.storage.ledger_file import open_ledger_file
from churn.storage.locks import Process
from churn.storage.records import (
    CONTACTS,
    EXPORTED,
    Contact,
    PlanRow,
    Promotion,
    Run,
)


class Ledger:
    """The ledger at `path`, created if there is none; used in a `with` block.

    `now` returns the time, with its zone; `wait_seconds` is how long to wait for another writer.

    >>> with Ledger(Path(":memory:")) as ledger:
    ...     run_id = ledger.start_run("score", run_id="nightly-1")
    ...     ledger.finish_run(run_id, status="done", facts={"rows": 12})
    ...     [(run.run_id, run.status, run.facts) for run in ledger.runs()]
    [('nightly-1', 'done', {'rows': 12})]
    """

    def __init__(
        self,
        path: Path,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        wait_seconds: float = 30.0,
    ):
        self.path = path
        self.now = now
        self.wait_seconds = wait_seconds
        self._connection: sqlite3.Connection | None = None

    def __enter__(self) -> "Ledger":
        self._connection = open_ledger_file(self.path, wait_seconds=self.wait_seconds)
        return self

    def __exit__(self, *_: object) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def start_run(
        self, command: str, *, run_id: str | None = None, as_of: date | None = None
    ) -> str:
        """The id of a new run, such as `20261123t231501-3f9a2c`: ids sort by time.

        A `run_id` that was used before restarts that run; BusyError while its process is alive,
        ConfigError if it is a run of another command, whose facts would be lost.
        """
        moment = self.now().astimezone(UTC)
        run_id = check_name(run_id or _new_run_id(moment), what="run_id")
        process = Process.current()
        values = (run_id, command, moment.isoformat(), _iso(as_of), process.pid, process.started)
        with self.changing() as connection:
            if run_id in _running(connection, alive=True):
                rule = f"run {run_id} must have ended before it starts again"
                raise BusyError(rule, fix="Wait until it has, or choose another run_id.")
            _check_same_command(connection, run_id, command)
            connection.execute(
                "INSERT OR REPLACE INTO runs (run_id, command, started_at, as_of, pid, "
                "pid_started, status, facts) VALUES (?, ?, ?, ?, ?, ?, 'running', '{}')",
                values,
            )
        return run_id

    def date_run(self, run_id: str, as_of: date) -> None:
        """Records the date that a started run is for, once it is known."""
        with self.changing() as connection:
            check_started(connection, run_id)
            connection.execute("UPDATE runs SET as_of = ? WHERE run_id = ?", (_iso(as_of), run_id))

    def finish_run(
        self,
        run_id: str,
        *,
        status: Literal["done", "failed"],
        facts: dict[str, Any] | None = None,
        model_id: str | None = None,
    ) -> None:
        """Records how a started run ended, with facts to remember (JSON values)."""
        with self.changing() as connection:
            check_started(connection, run_id)
            connection.execute(
                "UPDATE runs SET status = ?, finished_at = ?, facts = ?, model_id = ? "
                "WHERE run_id = ?",
                (status, self.moment(), canonical_json(facts or {}).decode(), model_id, run_id),
            )

    def mark_dead_runs_failed(self) -> list[str]:
        """Marks runs as failed whose process has ended without a result; returns their ids."""
        with self.changing() as connection:
            dead = _running(connection, alive=False)
            connection.executemany(
                "UPDATE runs SET status = 'failed', finished_at = ?, facts = json_patch(facts, ?) "
                "WHERE run_id = ?",
                [(self.moment(), '{"cause":"its process died"}', run_id) for run_id in dead],
            )
        return dead

    def runs(self, command: str | None = None, *, limit: int = 100) -> list[Run]:
        """The runs of one command or of all, newest first."""
        with self.reading() as connection:
            found = connection.execute(
                f"SELECT {Run.columns()} FROM runs WHERE command = coalesce(?, command) "  # noqa: S608
                "ORDER BY started_at DESC, run_id DESC LIMIT ?",
                (command, limit),
            )
            return [Run.from_row(row) for row in found]

    def run(self, run_id: str) -> Run | None:
        """The run with that id; None if it is not on record."""
        with self.reading() as connection:
            return _run(connection, run_id)

    def record_plan(
        self, run_id: str, rows: Iterable[PlanRow], *, facts: dict[str, Any] | None = None
    ) -> int:
        """Records all rows or none, with the facts of the run that belong to them; returns their
        number.

        A customer's row of the same run is replaced, and so is every plan of another run for the
        same campaign and as_of: making the same plan twice contacts nobody twice. The rows of an
        exported plan remain as contacts, because something may have been sent.
        """
        plans: set[tuple[str, date]] = set()
        with self.changing() as connection:
            check_started(connection, run_id)
            count = connection.executemany(
                f"INSERT OR REPLACE INTO plans VALUES (?, {PlanRow.marks()})",  # noqa: S608
                ((run_id, *row.row()) for row in _noting_plans(rows, plans)),
            ).rowcount
            if facts is not None:
                text = canonical_json(facts).decode()
                connection.execute("UPDATE runs SET facts = ? WHERE run_id = ?", (text, run_id))
            for campaign_id, as_of in sorted(plans):
                _replace_others(connection, run_id, campaign_id, as_of.isoformat())
        return max(count, 0)

    def last_contacts(
        self, before: date, *, excluding: tuple[str, date] | None = None
    ) -> Iterator[Contact]:
        """The latest contact per customer and offer, from plans dated strictly before `before`.

        `excluding` leaves out one plan by its campaign and as_of: the one being made again.
        Held-out customers, controls and the offer "none" are not contacts.
        """
        campaign_id, as_of = excluding or ("", date.min)
        with self.reading() as connection:
            found = connection.execute(
                f"SELECT customer_id, offer_id, max(as_of) FROM ({CONTACTS}) "  # noqa: S608
                "WHERE as_of < ? AND NOT (campaign_id = ? AND as_of = ?) "
                "GROUP BY customer_id, offer_id",
                (before.isoformat(), campaign_id, as_of.isoformat()),
            )
            for customer_id, offer_id, latest in found:
                yield Contact(customer_id, offer_id, date.fromisoformat(latest))

    def contacts_since(
        self, since: date, before: date, *, excluding: tuple[str, date]
    ) -> Iterator[Contact]:
        """Every contact from plans dated from `since` to strictly before `before`, as above; one
        per campaign and date, however often it was planned.
        """
        campaign_id, as_of = excluding
        with self.reading() as connection:
            found = connection.execute(
                f"SELECT customer_id, max(offer_id), as_of, campaign_id FROM ({CONTACTS}) "  # noqa: S608
                "WHERE as_of >= ? AND as_of < ? AND NOT (campaign_id = ? AND as_of = ?) "
                "GROUP BY customer_id, campaign_id, as_of",
                (since.isoformat(), before.isoformat(), campaign_id, as_of.isoformat()),
            )
            for customer_id, offer_id, day, campaign in found:
                yield Contact(customer_id, offer_id, date.fromisoformat(day), campaign)

    def is_planned(self, run_id: str, *, campaign_id: str, as_of: date) -> bool:
        """Whether that run's plan is the current one for the campaign and date."""
        with self.reading() as connection:
            found = connection.execute(
                "SELECT 1 FROM planned WHERE run_id = ? AND campaign_id = ? AND as_of = ?",
                (run_id, campaign_id, as_of.isoformat()),
            )
            return found.fetchone() is not None

    def check_planned(
        self, run_id: str, *, campaign_id: str, as_of: date, what: str = "the plan"
    ) -> None:
        """Raises DataError unless that run's plan is current for the campaign and date."""
        if self.is_planned(run_id, campaign_id=campaign_id, as_of=as_of):
            return
        raise DataError(
            f"{what} must be the plan on record for campaign {campaign_id!r} as of {as_of}",
            got="a dry run, a plan replaced by a later one, or a plan of another ledger",
            fix="Use the latest plan, or plan again without --dry-run.",
        )

    def last_plan(self, campaign_id: str, before: date) -> tuple[Run, list[PlanRow]] | None:
        """The run and the rows of the campaign's newest plan dated strictly before `before`."""
        with self.reading() as connection:
            newest = connection.execute(
                "SELECT run_id, as_of FROM planned WHERE campaign_id = ? AND as_of < ? "
                "ORDER BY as_of DESC LIMIT 1",
                (campaign_id, before.isoformat()),
            ).fetchone()
            if newest is None:
                return None
            found = connection.execute(
                f"SELECT {PlanRow.columns()} FROM plans "  # noqa: S608
                "WHERE run_id = ? AND campaign_id = ? AND as_of = ? ORDER BY customer_id",
                (newest[0], campaign_id, newest[1]),
            )
            run = _run(connection, newest[0])
            return None if run is None else (run, [PlanRow.from_row(row) for row in found])

    def remember_holdout(
        self, experiment: str, members: Iterable[tuple[str, bool]], *, assigned_on: date
    ) -> int:
        """Assigns customers to (True) or outside (False) the holdout; returns how many are new.

        Customers assigned before keep their assignment.
        """
        check_name(experiment, what="experiment")
        day = assigned_on.isoformat()
        with self.changing() as connection:
            count = connection.executemany(
                "INSERT OR IGNORE INTO holdout VALUES (?, ?, ?, ?)",
                ((experiment, customer_id, bool(member), day) for customer_id, member in members),
            ).rowcount
        return max(count, 0)

    def holdout_members(self, experiment: str) -> set[str]:
        """The customers in the holdout of an experiment."""
        with self.reading() as connection:
            found = connection.execute(
                "SELECT customer_id FROM holdout WHERE experiment = ? AND member", (experiment,)
            )
            return {customer_id for (customer_id,) in found}

    @contextmanager
    def promoting(self, promotion: Promotion) -> Iterator[None]:
        """A block that moves the pointer; the promotion is on record if it succeeds.

        It is recorded beforehand: a run that is killed may have moved the pointer, and its reason
        must not be lost. The record of a run that was killed before moving it is removed.
        """
        with self.changing() as connection:
            check_started(connection, promotion.run_id)
            _take_off_unmoved(connection, promotion)
            number = connection.execute(
                f"INSERT INTO promotions ({Promotion.columns()}) "  # noqa: S608
                f"VALUES ({Promotion.marks()})",
                replace(promotion, promoted_at=self.now().astimezone(UTC)).row(),
            ).lastrowid
        try:
            yield
        except BaseException:
            with self.changing() as connection:
                connection.execute("DELETE FROM promotions WHERE number = ?", (number,))
            raise

    def promotions(self, directory: str) -> list[Promotion]:
        """Every promotion in a folder of models, oldest first, each with its time; the last may be
        one that was killed before it moved the pointer.
        """
        with self.reading() as connection:
            found = connection.execute(
                f"SELECT {Promotion.columns()} FROM promotions "  # noqa: S608
                "WHERE directory = ? ORDER BY number",
                (directory,),
            )
            return [Promotion.from_row(row) for row in found]

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The connection, for modules that keep tables of their own in the same file."""
        if self._connection is None:
            raise ConfigError("a Ledger must be open", fix="Use it inside `with Ledger(path):`.")
        with database_errors(self.path):
            yield self._connection

    @contextmanager
    def changing(self) -> Iterator[sqlite3.Connection]:
        """The same within a transaction: changes are kept completely or not at all.

        A nested block belongs to the outer transaction.
        """
        with self.reading() as connection:
            if connection.in_transaction:
                yield connection
                return
            with transaction(connection):
                yield connection

    def moment(self) -> str:
        """Now, in UTC, in the format of the tables."""
        return self.now().astimezone(UTC).isoformat()


def _new_run_id(moment: datetime) -> str:
    return f"{moment:%Y%m%dt%H%M%S}-{secrets.token_hex(3)}"


def _iso(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


def _run(connection: sqlite3.Connection, run_id: str) -> Run | None:
    asked = f"SELECT {Run.columns()} FROM runs WHERE run_id = ?"  # noqa: S608
    row = connection.execute(asked, (run_id,)).fetchone()
    return None if row is None else Run.from_row(row)


def _running(connection: sqlite3.Connection, *, alive: bool) -> list[str]:
    found = connection.execute(
        "SELECT run_id, pid, pid_started FROM runs WHERE status = 'running' ORDER BY run_id"
    )
    return [run_id for run_id, *process in found if Process(*process).is_alive == alive]


def _check_same_command(connection: sqlite3.Connection, run_id: str, command: str) -> None:
    found = connection.execute(
        "SELECT command FROM runs WHERE run_id = ? AND command <> ?", (run_id, command)
    ).fetchone()
    if found is not None:
        rule = f"a run_id names one run of one command; {run_id} belongs to `churn {found[0]}`"
        raise ConfigError(rule, got=f"churn {command}", fix=f"Use e.g. {command}-{run_id}.")


def _take_off_unmoved(connection: sqlite3.Connection, promotion: Promotion) -> None:
    """Removes the newest promotions of dead runs that left the same champion in place."""
    alive = _running(connection, alive=True)
    newest = (
        "SELECT number, run_id, previous, model_id FROM promotions WHERE directory = ? "
        "ORDER BY number DESC LIMIT 1"
    )
    while found := connection.execute(newest, (promotion.directory,)).fetchone():
        number, run_id, previous, model_id = found
        moved = previous != promotion.previous or model_id == promotion.previous
        if moved or run_id in alive:
            return
        connection.execute("DELETE FROM promotions WHERE number = ?", (number,))


def check_started(connection: sqlite3.Connection, run_id: str) -> None:
    """Raises ConfigError unless a run of that id was started."""
    found = connection.execute("SELECT 1 FROM runs WHERE run_id = ?", (run_id,)).fetchone()
    if found is None:
        fix = "Call start_run first, and pass what it returns."
        raise ConfigError("run_id must be of a started run", got=repr(run_id), fix=fix)


def _noting_plans(rows: Iterable[PlanRow], plans: set[tuple[str, date]]) -> Iterator[PlanRow]:
    for row in rows:
        plans.add((row.campaign_id, row.as_of))
        yield row


def _replace_others(
    connection: sqlite3.Connection, run_id: str, campaign_id: str, as_of: str
) -> None:
    plan = (campaign_id, as_of, run_id)
    connection.execute(
        "DELETE FROM plans WHERE campaign_id = ? AND as_of = ? AND run_id IN "  # noqa: S608
        "(SELECT run_id FROM planned WHERE campaign_id = ? AND as_of = ? AND run_id <> ?) "
        f"AND run_id NOT IN ({EXPORTED})",
        (campaign_id, as_of, *plan, campaign_id, as_of),
    )
    connection.execute(
        "DELETE FROM planned WHERE campaign_id = ? AND as_of = ? AND run_id <> ?", plan
    )
    connection.execute("INSERT OR IGNORE INTO planned VALUES (?, ?, ?)", plan)
