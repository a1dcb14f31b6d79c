"""What is told of an erased customer: nothing is held, or what is left of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path

from churn.config import Settings
from churn.errors import ChurnError
from churn.files.erase_rows import erase_rows
from churn.files.erasures import Erased, hashed
from churn.files.ledger import Ledger
from churn.files.outputs import outputs
from churn.files.postgres.address import is_address
from churn.jobs.erase_audiences import AddressesUnknownError, AudienceRows
from churn.jobs.erase_files import FileEraser
from churn.jobs.forget_tables import shown_place, still_in_your_tables
from churn.jobs.result import JobResult
from churn.jobs.still_held import StillHeld, still_held

__all__ = ["told_of_erased"]

SCHEMA = 1
RUNS_SEEN = 1_000


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
        tables=(("Still held", ("where", "rows"), counts),),
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
