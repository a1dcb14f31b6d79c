"""What a person sees of an erasure: what is gone, and what is left for them to do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from churn.jobs.result import ShownTable
from churn.jobs.still_held import StillHeld

__all__ = ["forget_tables", "notes"]


def forget_tables(facts: Mapping[str, Any]) -> tuple[ShownTable, ...]:
    """Rows by place, and the exports that a person has to follow."""
    places = [
        *((f"ledger, {table}", f"{count:,}") for table, count in facts["ledger"].items()),
        *((place, f"{count:,}") for place, count in facts["files"].items()),
    ]
    title = "Would be erased" if facts["dry_run"] else "Erased"
    gone = [("customers on the list", f"{facts['customers']:,}"), *places]
    exports = [
        tuple("" if row[name] is None else str(row[name]) for name in TAKE_OFF)
        for row in facts["take_off"]
    ]
    header = ("exported", "to", "campaign", "plan as of", "offer")
    return (
        (title, ("where", "rows"), tuple(gone)),
        ("Take them off these lists, where they are used", header, tuple(exports)),
    )


TAKE_OFF = ("exported_on", "audience", "campaign_id", "as_of", "offer_id")


def notes(facts: Mapping[str, Any], held: StillHeld) -> Iterator[str]:
    """What is left for people, and what could not be seen."""
    if facts["dry_run"]:
        yield "a dry run: nothing was changed"
    for table, count in held.tables.items():
        yield (
            f"your table {table!r} still holds {count:,} erased "
            f"customer{'s' if count > 1 else ''}: delete the rows there; until then they are "
            "left out whenever it is read"
        )
    if held.failure is not None:
        yield f"your tables could not be looked into: {held.failure}"
    if facts["not_in_your_tables"]:
        strange = facts["not_in_your_tables"]
        yield (
            f"{strange:,} of the customers named {'is' if strange == 1 else 'are'} in none of your "
            "tables: check the spelling, unless you deleted them there before"
        )
    for failure in facts["unread"]:
        yield f"not erased: {failure}"
    for path in facts["audiences_not_seen"]:
        yield (
            f"{path} cannot be looked through: none of the erased is in your table 'customers', so "
            "their addresses cannot be hashed; export it anew and remove the old one"
        )
    if facts["outputs_not_there"]:
        gone = facts["outputs_not_there"]
        told = (
            "1 file of earlier runs is not where it was"
            if gone == 1
            else (f"{gone:,} files of earlier runs are not where they were")
        )
        yield f"{told} written: where you moved or copied them, name the folder by --in"
