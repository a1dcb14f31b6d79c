"""What is still held on an erased customer, and where."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import narwhals as nw

from churn.config import Settings
from churn.data.erased import erased_in
from churn.data.tables import Tables
from churn.errors import ChurnError
from churn.privacy.erase_files import AddressesUnknownError, AudienceRows, FileEraser
from churn.results.job_result import JobResult, Table
from churn.storage.erasures import Erased, erase_rows, hashed, outputs
from churn.storage.ledger import Ledger
from churn.storage.postgres.address import Place, is_address

ANSWERS = "answers of churn access"
PATHS_SHOWN = 10
TAKE_OFF = ("exported_on", "audience", "campaign_id", "as_of", "offer_id")
SCHEMA = 1
RUNS_SEEN = 1_000


@dataclass(frozen=True)
class StillHeld:
    """Erased customers by table, who they are, and the e-mail and phone of those listed.

    `addresses` is None where none of them is known there; `failure` says why nothing was read.
    """

    tables: dict[str, int] = field(default_factory=dict)
    names: frozenset[str] = field(default=frozenset(), repr=False)
    addresses: list[tuple[str | None, str | None]] | None = field(default=None, repr=False)
    failure: str | None = None


def still_held(settings: Settings, erased: Erased) -> StillHeld:
    """The connected tables as they are, with the erased in them."""
    try:
        tables = Tables.from_settings(settings.data, folder=settings.folder)
    except ChurnError as failure:
        return StillHeld(failure=str(failure))
    try:
        found = {
            table: erased_in(tables.engine, table, erased)
            for table in tables.audits
            if "customer_id" in tables.columns(table)
        }
        known = _addresses(tables, found.get("customers", []))
        counts = {table: len(names) for table, names in found.items() if names}
        return StillHeld(counts, frozenset().union(*found.values()), known)
    finally:
        tables.close()


def _addresses(tables: Tables, names: list[str]) -> list[tuple[str | None, str | None]] | None:
    """Every e-mail and phone that stands beside one of those customers."""
    there = tables.columns("customers") if names else ()
    columns = [name for name in ("email", "phone") if name in there]
    if not columns:
        return None
    rows = tables.frame("customers").filter(nw.col("customer_id").is_in(names)).select(*columns)
    found = tables.engine.collect(rows).to_pylist()
    return [(row.get("email"), row.get("phone")) for row in found] or None


def forget_tables(facts: Mapping[str, Any]) -> tuple[Table, ...]:
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
        Table(title, ("where", "rows"), tuple(gone)),
        Table("Take them off these lists, where they are used", header, tuple(exports)),
    )


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


def told_of_erased(
    settings: Settings, ledger: Ledger, erased: Erased, customer: str, day: date
) -> JobResult:
    """Rows that are still held by place, of the ledger and of the files on record; where none is,
    that nothing is held. What could not be looked into, and the shop's own tables, are told apart.
    """
    alone = Erased(erased.key, {hashed(erased.key, customer): day}, erased.canonical)
    theirs = still_held(settings, alone)
    rows = {f"ledger, {name}": n for name, n in erase_rows(ledger, alone, dry_run=True).items()}
    region = settings.offers.phone_region
    eraser = FileEraser(ledger, alone, AudienceRows(theirs.addresses, region), dry_run=True)
    files, unseen = _in_files(outputs(ledger), eraser, proved=_was_finished(ledger))
    held = {**rows, **files}
    told = _told(day, held, unseen)
    metrics = {
        "schema": SCHEMA,
        "held": bool(held),
        "erased_on": str(day),
        "told": told,
        "still_held": held,
        "not_looked_into": unseen,
        "still_in_your_tables": theirs.tables,
    }
    counts = tuple((place, f"{count:,}") for place, count in held.items())
    return JobResult(
        command="access",
        rows={"ledger": sum(rows.values()), "files": sum(files.values())},
        metrics=metrics,
        warnings=(told, *_notes(unseen, theirs)),
        tables=(Table("Still held", ("where", "rows"), counts),),
    )


def _was_finished(ledger: Ledger) -> bool:
    """Whether the newest erasure left nothing, for each also completes those before it."""
    done = [run for run in ledger.runs("forget", limit=RUNS_SEEN) if not run.facts.get("dry_run")]
    return bool(done) and done[0].facts.get("incomplete") is False


def _in_files(
    targets: Iterable[str], eraser: FileEraser, *, proved: bool
) -> tuple[dict[str, int], list[str]]:
    """Rows by file, and the places that could not be looked into.

    Tables of a database, and audiences whose addresses nobody knows, are such places unless an
    erasure `proved` that nothing is left there.
    """
    found: Counter[str] = Counter()
    unseen = []
    for target in targets:
        path = Path(target)
        if is_address(target):
            unseen += [] if proved else [target]
        elif path.is_file():
            try:
                found[shown_place(path)] += eraser.erase(path)
            except AddressesUnknownError:
                unseen += [] if proved else [target]
            except ChurnError:
                unseen.append(shown_place(path))
    return {place: count for place, count in found.items() if count}, unseen


def _told(day: date, held: dict[str, int], unseen: list[str]) -> str:
    if held:
        listed = ", ".join(f"{place} ({count:,})" for place, count in held.items())
        return (
            f"erasure begun on {day} is not finished: run `churn forget` again; "
            f"rows still held: {listed}"
        )
    if unseen:
        rule = f"erasure begun on {day} may not be finished: run `churn forget` again"
        return f"{rule}; where it could be looked, nothing is held"
    return f"erased on {day}: nothing is held but a keyed hash and that date"


def _notes(unseen: list[str], theirs: StillHeld) -> Iterator[str]:
    if unseen:
        fix = "name a table of a database, with its password, to `churn forget` by --in"
        yield f"not looked into: {', '.join(unseen)}; {fix}"
    if theirs.tables:
        yield still_in_your_tables(theirs.tables)
    if theirs.failure is not None:
        yield f"your tables could not be looked into: {theirs.failure}"
