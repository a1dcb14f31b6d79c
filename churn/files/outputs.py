"""Where the product wrote customers' rows to, so that an erasure finds them there."""

from __future__ import annotations

from pathlib import Path

from churn.files.ledger import Ledger
from churn.files.postgres.address import Place

__all__ = ["forget_output", "outputs", "remember_output"]


def remember_output(ledger: Ledger, target: Place, *, command: str) -> None:
    """Puts a target on record before it is written: a run that is killed may have left rows.

    A file is kept by its absolute path, a table of a database without user and password.
    """
    named = str(target.absolute()) if isinstance(target, Path) else str(target)
    with ledger.changing() as connection:
        connection.execute(
            "INSERT OR REPLACE INTO outputs VALUES (?, ?, ?)", (named, command, ledger.moment())
        )


def outputs(ledger: Ledger) -> dict[str, str]:
    """Every target on record, and the command that wrote there last."""
    with ledger.reading() as connection:
        return dict(connection.execute("SELECT target, command FROM outputs ORDER BY target"))


def forget_output(ledger: Ledger, target: Path) -> None:
    """Takes a file off the record that is not there any more."""
    with ledger.changing() as connection:
        connection.execute("DELETE FROM outputs WHERE target = ?", (str(target.absolute()),))
