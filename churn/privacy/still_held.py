"""Data still held on erased customers, and the report of an erasure."""

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
    """Number of erased customers by table, their ids, and their e-mail addresses and phone numbers.

    `addresses` is None if no customer of the list is in the table; `failure` is why the tables
    could not be read.
    """

    tables: dict[str, int] = field(default_factory=dict)
    names: frozenset[str] = field(default=frozenset(), repr=False)
    addresses: list[tuple[str | None, str | None]] | None = field(default=None, repr=False)
    failure: str | None = None


def still_held(settings: Settings, erased: Erased) -> StillHeld:
    """The erased customers who are still in the connected tables."""
    try:
        tables = Tables.from_settings(settings.data, folder=settings.folder)
    except ChurnError as failure:
        return StillHeld(failure=str(failure))
    try:
        names_by_table = {
            table: erased_in(tables.engine, table, erased)
            for table in tables.audits
            if "customer_id" in tables.columns(table)
        }
        addresses = _addresses(tables, names_by_table.get("customers", []))
        counts = {table: len(names) for table, names in names_by_table.items() if names}
        return StillHeld(counts, frozenset().union(*names_by_table.values()), addresses)
    finally:
        tables.close()


def _addresses(tables: Tables, names: list[str]) -> list[tuple[str | None, str | None]] | None:
    """E-mail address and phone number of each of these customers; None if there are none."""
    available = tables.columns("customers") if names else ()
    columns = [name for name in ("email", "phone") if name in available]
    if not columns:
        return None
    frame = tables.frame("customers").filter(nw.col("customer_id").is_in(names)).select(*columns)
    rows = tables.engine.collect(frame).to_pylist()
    return [(row.get("email"), row.get("phone")) for row in rows] or None


def forget_tables(facts: Mapping[str, Any]) -> tuple[Table, ...]:
    """Erased rows by place, and the exported lists to remove the customers from by hand."""
    places = [
        *((f"ledger, {table}", f"{count:,}") for table, count in facts["ledger"].items()),
        *((place, f"{count:,}") for place, count in facts["files"].items()),
    ]
    title = "Would be erased" if facts["dry_run"] else "Erased"
    counts = [("customers on the list", f"{facts['customers']:,}"), *places]
    exports = [
        tuple("" if row[name] is None else str(row[name]) for name in TAKE_OFF)
        for row in facts["take_off"]
    ]
    header = ("exported", "to", "campaign", "plan as of", "offer")
    return (
        Table(title, ("place", "rows"), tuple(counts)),
        Table("Remove them from these lists wherever they are used", header, tuple(exports)),
    )


def shown_place(place: Place) -> str:
    """The name of a place, except for answers of `churn access`, whose names contain the id."""
    return ANSWERS if isinstance(place, Path) and place.suffix == ".json" else str(place)


def notes(facts: Mapping[str, Any], held: StillHeld) -> Iterator[str]:
    """What remains to be done by hand, and what could not be searched."""
    if facts["dry_run"]:
        yield "dry run: nothing was changed"
    if held.tables:
        yield still_in_your_tables(held.tables)
    if held.failure is not None:
        yield f"your tables could not be read: {held.failure}"
    unknown = facts["not_in_your_tables"]
    if unknown:
        yield (
            f"{unknown:,} of the customers named {'is' if unknown == 1 else 'are'} in none of your "
            "tables: check the spelling, unless you deleted them there already"
        )
    for failure in facts["unread"]:
        yield f"not erased: {failure}"
    for path in facts["audiences_not_seen"]:
        yield (
            f"{path} cannot be searched: none of the erased customers is in your table "
            "'customers', so their addresses cannot be hashed; export it again and remove the old "
            "file"
        )
    if facts["outputs_not_there"]:
        yield _missing(facts["missing_outputs"])


def still_in_your_tables(tables: Mapping[str, int]) -> str:
    """A note on the shop's own tables that contain erased customers."""
    listed = ", ".join(f"{table} ({count:,})" for table, count in tables.items())
    several = len(tables) > 1
    return (
        f"your table{'s' if several else ''} still contain{'' if several else 's'} erased "
        f"customers: {listed}; delete the rows there, until then every import excludes them"
    )


def _missing(paths: Sequence[str]) -> str:
    listed = [*sorted(paths)[:PATHS_SHOWN]]
    if len(paths) > PATHS_SHOWN:
        listed.append(f"and {len(paths) - PATHS_SHOWN:,} more")
    return (
        f"no longer in the place where earlier runs wrote them: {', '.join(listed)}; "
        "if you moved or copied them, name the folder with --in to have it searched"
    )


def access_of_erased(
    settings: Settings, ledger: Ledger, erased: Erased, customer: str, day: date
) -> JobResult:
    """The answer of `churn access` for an erased customer: rows still held, by place, of the ledger
    and of recorded files. Places that could not be searched, and the shop's own tables, are
    reported separately.
    """
    single = Erased(erased.key, {hashed(erased.key, customer): day}, erased.canonical)
    in_tables = still_held(settings, single)
    rows = {f"ledger, {name}": n for name, n in erase_rows(ledger, single, dry_run=True).items()}
    region = settings.offers.phone_region
    eraser = FileEraser(ledger, single, AudienceRows(in_tables.addresses, region), dry_run=True)
    files, unsearched = _in_files(outputs(ledger), eraser, proved=_was_finished(ledger))
    held = {**rows, **files}
    summary = _summary(day, held, unsearched)
    metrics = {
        "schema": SCHEMA,
        "held": bool(held),
        "erased_on": str(day),
        "told": summary,
        "still_held": held,
        "not_looked_into": unsearched,
        "still_in_your_tables": in_tables.tables,
    }
    counts = tuple((place, f"{count:,}") for place, count in held.items())
    return JobResult(
        command="access",
        rows={"ledger": sum(rows.values()), "files": sum(files.values())},
        metrics=metrics,
        warnings=(summary, *_notes(unsearched, in_tables)),
        tables=(Table("Still held", ("place", "rows"), counts),),
    )


def _was_finished(ledger: Ledger) -> bool:
    """Whether the newest erasure was complete; each one also completes those before it."""
    runs = [run for run in ledger.runs("forget", limit=RUNS_SEEN) if not run.facts.get("dry_run")]
    return bool(runs) and runs[0].facts.get("incomplete") is False


def _in_files(
    targets: Iterable[str], eraser: FileEraser, *, proved: bool
) -> tuple[dict[str, int], list[str]]:
    """Rows by file, and the places that could not be searched.

    Database tables, and audiences of customers with unknown addresses, are such places unless an
    erasure `proved` that nothing is left there.
    """
    counts: Counter[str] = Counter()
    unsearched = []
    for target in targets:
        path = Path(target)
        if is_address(target):
            unsearched += [] if proved else [target]
        elif path.is_file():
            try:
                counts[shown_place(path)] += eraser.erase(path)
            except AddressesUnknownError:
                unsearched += [] if proved else [target]
            except ChurnError:
                unsearched.append(shown_place(path))
    return {place: count for place, count in counts.items() if count}, unsearched


def _summary(day: date, held: dict[str, int], unsearched: list[str]) -> str:
    if held:
        listed = ", ".join(f"{place} ({count:,})" for place, count in held.items())
        return (
            f"the erasure started on {day} is incomplete: run `churn forget` again; "
            f"rows still held: {listed}"
        )
    if unsearched:
        return (
            f"the erasure started on {day} may be incomplete: run `churn forget` again; "
            "nothing is held in the places that could be searched"
        )
    return f"erased on {day}: only a keyed hash and this date are kept"


def _notes(unsearched: list[str], in_tables: StillHeld) -> Iterator[str]:
    if unsearched:
        fix = "pass database tables, with their password, to `churn forget` with --in"
        yield f"not searched: {', '.join(unsearched)}; {fix}"
    if in_tables.tables:
        yield still_in_your_tables(in_tables.tables)
    if in_tables.failure is not None:
        yield f"your tables could not be read: {in_tables.failure}"
