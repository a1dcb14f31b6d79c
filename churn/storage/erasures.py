"""The list of erased customers under a keyed hash, their erasure from the ledger, and the record
of where customers' rows were written, so that an erasure finds them there.
"""

from __future__ import annotations

import hmac
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import TypeVar

from churn.errors import BusyError, ConfigError, StorageError
from churn.storage.ledger import Ledger
from churn.storage.ledger_file import KEY_VARIABLE, check_kept, stored_key
from churn.storage.postgres.address import Place, is_address
from churn.storage.records import TREATED

Rows = list[tuple[str, str]]
CHECKED = b"\0the key of the erased"  # no customer has this id: a NUL is refused in ids

_EXPORTED = f"""
    SELECT e.exported_on, e.audience, e.campaign_id, e.as_of, p.offer_id
    FROM exports AS e JOIN (SELECT * FROM plans WHERE customer_id = ? AND {TREATED}) AS p
    ON p.campaign_id = e.campaign_id AND p.as_of = e.as_of
    WHERE (e.offer_id IS NULL OR e.offer_id = p.offer_id)
    AND (e.audience = 'list' OR p.channel = 'ads')
"""  # noqa: S608
Writer = TypeVar("Writer")


@dataclass(frozen=True)
class Erased:
    """The hashes of erased customers with the dates of their erasure, and the key of the hashes.

    A customer is recognised by the id as written and by its `canonical` form, in which ids are
    compared.

    >>> erased = Erased(b"k" * 32, {hashed(b"k" * 32, "anna"): date(2024, 5, 1)})
    >>> erased.among(["anna", "ben"]), erased.date_of("anna"), erased.date_of("ben")
    (['anna'], datetime.date(2024, 5, 1), None)
    """

    key: bytes = field(repr=False)
    dates: Mapping[bytes, date] = field(repr=False)
    canonical: Callable[[str], str] = field(default=str, repr=False)

    def __len__(self) -> int:
        return len(self.dates)

    def among(self, customer_ids: Iterable[str]) -> list[str]:
        """Those of the customers who were erased, in their order."""
        return [name for name in customer_ids if self.date_of(name) is not None]

    def date_of(self, customer_id: str) -> date | None:
        """When the customer was erased; None if they were not."""
        found = self.dates.get(hashed(self.key, customer_id))
        plain = self.canonical(customer_id)
        if found is not None or plain == customer_id:
            return found
        return self.dates.get(hashed(self.key, plain))


def hashed(key: bytes, customer_id: str) -> bytes:
    """The keyed hash of a customer, 32 bytes."""
    return hmac.digest(key, customer_id.encode("utf-8", "surrogateescape"), "sha256")


def read_erased(
    ledger_path: Path, given: str | None, *, canonical: Callable[[str], str] = str
) -> Erased | None:
    """The erased customers recorded in a ledger; None without a ledger, or if nobody was erased.

    `given` is the key of the settings, else that of the file next to the ledger. ConfigError if it
    is missing, or is not the key that the customers were hashed with; StorageError if the list
    itself is lost.
    """
    check_kept(ledger_path)
    if not ledger_path.exists():
        return None
    with Ledger(ledger_path) as ledger:
        rows, check = _on_record(ledger)
    if not rows:
        return None
    erased = _erased(rows, check, stored_key(ledger_path, given))
    return replace(erased, canonical=canonical)


def record_erased(
    ledger: Ledger, key: bytes, customer_ids: Iterable[str], *, on: date
) -> tuple[Erased, int]:
    """Everyone erased so far including those customers, and how many of them are new.

    Customers erased earlier keep their date.
    """
    rows = [(hashed(key, name).hex(), on.isoformat()) for name in customer_ids]
    with ledger.changing() as connection:
        _check_key(connection.execute("SELECT check_value FROM erasure_key").fetchone(), key)
        connection.execute("INSERT OR IGNORE INTO erasure_key VALUES (1, ?)", (_check(key),))
        new = connection.executemany("INSERT OR IGNORE INTO erased VALUES (?, ?)", rows).rowcount
    return _erased(*_on_record(ledger), key), max(new, 0)


def _on_record(ledger: Ledger) -> tuple[Rows, tuple[str] | None]:
    with ledger.reading() as connection:
        rows = connection.execute("SELECT hash, erased_on FROM erased").fetchall()
        return rows, connection.execute("SELECT check_value FROM erasure_key").fetchone()


def _erased(rows: Rows, check: tuple[str] | None, key: bytes | None) -> Erased:
    if key is None:
        rule = "the list of erased customers can only be read with its key, which is missing"
        fix = f"Restore erasure.key next to the ledger, or set {KEY_VARIABLE}."
        raise ConfigError(rule, fix=fix)
    _check_key(check, key)
    return Erased(key, {bytes.fromhex(code): date.fromisoformat(day) for code, day in rows})


def _check(key: bytes) -> str:
    return hmac.digest(key, CHECKED, "sha256").hex()


def _check_key(check: tuple[str] | None, key: bytes) -> None:
    """Raises ConfigError if the erased customers were hashed with another key."""
    if check is not None and not hmac.compare_digest(check[0], _check(key)):
        rule = "the erasure key must be the one that the customers were hashed with"
        fix = f"Restore this ledger's erasure.key, or set {KEY_VARIABLE} to its key."
        raise ConfigError(rule, got="another", fix=fix)


def tables_of_customers(ledger: Ledger) -> list[str]:
    """The tables of the ledger that have a column customer_id, whoever created them."""
    with ledger.reading() as connection:
        return _tables(connection)


def rows_of(ledger: Ledger, customer_id: str) -> dict[str, list[dict[str, object]]]:
    """All of the ledger's rows on a customer, by table; tables without any are left out."""
    found = {}
    with ledger.reading() as connection:
        for table in _tables(connection):
            asked = f'SELECT * FROM "{table}" WHERE customer_id = ?'  # noqa: S608
            rows = connection.execute(asked, (customer_id,))
            names = [column[0] for column in rows.description]
            found[table] = [dict(zip(names, row, strict=True)) for row in rows]
    return {table: rows for table, rows in found.items() if rows}


def erase_rows(ledger: Ledger, erased: Erased, *, dry_run: bool = False) -> dict[str, int]:
    """Deletes the erased customers' rows, unless it is a dry run; returns their number by table,
    without zeros.

    Deleted data is overwritten, not only marked as free.
    """
    with ledger.reading() as connection:
        connection.execute("PRAGMA secure_delete = ON")
    with ledger.changing() as connection:
        counts = {name: _erase(connection, name, erased, dry_run) for name in _tables(connection)}
    return {table: count for table, count in counts.items() if count}


def compact(ledger: Ledger) -> None:
    """Rewrites the ledger without freed pages, in which earlier changes left old rows."""
    with ledger.reading() as connection:
        connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def check_alone(ledger: Ledger, run_id: str) -> None:
    """Raises BusyError while other runs are in progress: they may have read the tables before, and
    write what they read when they end. `serve` reads the ledger at each request.
    """
    with ledger.reading() as connection:
        found = connection.execute(
            "SELECT DISTINCT command FROM runs WHERE status = 'running' AND run_id <> ? "
            "AND command <> 'serve' ORDER BY command",
            (run_id,),
        ).fetchall()
    if found:
        rule = "erasure must wait for runs that began before it"
        got = ", ".join(f"churn {command}" for (command,) in found)
        fix = "The customers are on the list, so later runs leave them out: repeat it then."
        raise BusyError(rule, got=got, fix=fix)


def exports_to(ledger: Ledger, erased: Erased) -> list[dict[str, object]]:
    """The exports of plans in which the erased customers had an offer: audience, campaign_id,
    as_of, offer_id and date, oldest first. Consent may have kept them out of the list itself.
    """
    found: set[tuple[object, ...]] = set()
    with ledger.reading() as connection:
        ids = connection.execute("SELECT DISTINCT customer_id FROM plans")
        for name in erased.among(row[0] for row in ids.fetchall()):
            found |= set(connection.execute(_EXPORTED, (name,)))
    names = ("exported_on", "audience", "campaign_id", "as_of", "offer_id")
    rows = sorted(found, key=lambda row: tuple(map(str, row)))
    return [dict(zip(names, row, strict=True)) for row in rows]


def _tables(connection: sqlite3.Connection) -> list[str]:
    found = connection.execute(
        "SELECT m.name FROM sqlite_master AS m JOIN pragma_table_info(m.name) AS c "
        "WHERE m.type = 'table' AND c.name = 'customer_id' ORDER BY m.name"
    )
    return [name for (name,) in found]


def _erase(connection: sqlite3.Connection, table: str, erased: Erased, dry_run: bool) -> int:
    ids = connection.execute(f'SELECT DISTINCT customer_id FROM "{table}"')  # noqa: S608
    names = [(name,) for name in erased.among(str(row[0]) for row in ids.fetchall())]
    if dry_run:
        counted = f'SELECT count(*) FROM "{table}" WHERE customer_id = ?'  # noqa: S608
        return sum(connection.execute(counted, name).fetchone()[0] for name in names)
    deleted = f'DELETE FROM "{table}" WHERE customer_id = ?'  # noqa: S608
    return max(connection.executemany(deleted, names).rowcount, 0) if names else 0


@contextmanager
def remembered(
    writing: AbstractContextManager[Writer], ledger: Ledger, target: Place, *, command: str
) -> Iterator[Writer]:
    """The result of `writing`, with the target recorded once it can be written and before anything
    is. A file that a failed run did not create is removed from the record, unless it was there
    before.
    """
    new = _shown(target) not in outputs(ledger)
    try:
        with writing as writer:
            remember_output(ledger, target, command=command)
            yield writer
    except BaseException:
        if new and isinstance(target, Path) and not target.exists():
            with suppress(StorageError):  # the error itself must be reported
                forget_output(ledger, target)
        raise


def remember_output(ledger: Ledger, target: Place, *, command: str) -> None:
    """Records a target before it is written: a run that is killed may have left rows.

    A file below the ledger's folder is recorded by its relative path, so that a copied folder
    refers to its own files; else by its absolute path. A database table is recorded without user
    and password.
    """
    values = (_named(target, ledger), command, ledger.moment())
    with ledger.changing() as connection:
        connection.execute("INSERT OR REPLACE INTO outputs VALUES (?, ?, ?)", values)


def outputs(ledger: Ledger) -> dict[str, str]:
    """Every recorded target, and the command that wrote there last."""
    with ledger.reading() as connection:
        found = connection.execute("SELECT target, command FROM outputs ORDER BY target").fetchall()
    folder = ledger.path.absolute().parent
    return {name if is_address(name) else str(folder / name): command for name, command in found}


def forget_output(ledger: Ledger, target: Path) -> None:
    """Removes a file that no longer exists from the record."""
    names = (_named(target, ledger), _shown(target))
    with ledger.changing() as connection:
        connection.execute("DELETE FROM outputs WHERE target IN (?, ?)", names)


def _named(target: Place, ledger: Ledger) -> str:
    folder = ledger.path.absolute().parent
    if isinstance(target, Path) and target.absolute().is_relative_to(folder):
        return str(target.absolute().relative_to(folder))
    return _shown(target)


def _shown(target: Place) -> str:
    return str(target.absolute()) if isinstance(target, Path) else str(target)
