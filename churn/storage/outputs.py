"""Records where customers' rows were written, so that an erasure finds them there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from churn.errors import StorageError
from churn.storage.ledger import Ledger
from churn.storage.postgres.address import Place, is_address

Writer = TypeVar("Writer")


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
