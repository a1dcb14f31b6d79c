"""What a person sees of an erasure: what is gone, and what is left for them to do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from churn.files.postgres.address import Place
from churn.jobs.result import ShownTable
from churn.jobs.still_held import StillHeld

__all__ = ["forget_tables", "notes", "shown_place", "still_in_your_tables"]

ANSWERS = "answers of churn access"


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


PATHS_SHOWN = 10
TAKE_OFF = ("exported_on", "audience", "campaign_id", "as_of", "offer_id")


def shown_place(place: Place) -> str:
    """Its name; not that of an answer, for who names such a file names the customer."""
    return ANSWERS if isinstance(place, Path) and place.suffix == ".json" else str(place)


def notes(facts: Mapping[str, Any], held: StillHeld) -> Iterator[str]:
    """What is left for people, and what could not be seen."""
    if facts["dry_run"]:
        yield "a dry run: nothing was changed"
    if held.tables:
        yield still_in_your_tables(held.tables)
    if held.failure is not None:
        yield f"your tables could not be looked into: {held.failure}"
    unknown = facts["not_in_your_tables"]
    if unknown:
        yield (
            f"{unknown:,} of the customers named {'is' if unknown == 1 else 'are'} in none of your "
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
        yield _not_there(facts["missing_outputs"])


def still_in_your_tables(tables: Mapping[str, int]) -> str:
    """The shop's own tables that hold erased customers, and how many."""
    listed = ", ".join(f"{table} ({count:,})" for table, count in tables.items())
    several = len(tables) > 1
    return (
        f"your table{'s' if several else ''} still hold{'' if several else 's'} erased customers: "
        f"{listed}; delete the rows there, until then they are left out at every reading"
    )


def _not_there(paths: Sequence[str]) -> str:
    listed = [*sorted(paths)[:PATHS_SHOWN]]
    if len(paths) > PATHS_SHOWN:
        listed.append(f"and {len(paths) - PATHS_SHOWN:,} more")
    return (
        f"not there any more, where earlier runs wrote: {', '.join(listed)}; "
        "what you moved or copied is looked through where its folder is named by --in"
    )
