"""`churn forget`: customers erased from everything that churn stores, and from later imports.

The list of erased customers is written first, and everything is erased by that list: a killed run
is completed by the next one, whichever customers that is for.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from churn.commands.previous_results import LISTS, PLANS, SCORES
from churn.commands.session import Progress, inputs, on_record, silent
from churn.config import Settings, load_settings
from churn.data.engines.duck import remove_dead_spills
from churn.errors import BusyError, ChurnError, ConfigError
from churn.privacy.erase_files import (
    AddressesUnknownError,
    AudienceRows,
    FileEraser,
    files_below,
    update_plan_digest,
)
from churn.privacy.still_held import StillHeld, forget_tables, notes, shown_place, still_held
from churn.results.job_result import JobResult
from churn.storage.erasures import (
    Erased,
    check_alone,
    compact,
    erase_rows,
    exports_to,
    forget_output,
    hashed,
    outputs,
    record_erased,
)
from churn.storage.ledger import Ledger
from churn.storage.ledger_file import made_key, stored_key
from churn.storage.locks import exclusive, lock_beside
from churn.storage.manifests import sidecar_of
from churn.storage.postgres.address import Place, TableAddress, is_address, place_of
from churn.storage.postgres.erase import erase_from_table
from churn.storage.publish import remove_leftovers

INCOMPLETE = 3
INCOMPLETE_CAUSE = (
    "the erasure is incomplete: rows may be left in what could not be read or searched. Fix what "
    "the notes list, and run the same command again."
)
LAYOUTS = (SCORES, PLANS, LISTS)


@dataclass
class Forgotten:
    """What was erased: rows by table of the ledger and by file, and what is left to do by hand."""

    customers: int
    new: int
    tables: dict[str, int] = field(default_factory=dict)
    files: dict[str, int] = field(default_factory=dict)
    take_off: list[dict[str, object]] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unknown: int = 0
    held: StillHeld = field(default_factory=StillHeld)

    @property
    def is_incomplete(self) -> bool:
        """Whether rows may be left in a file: one that was not read, or an audience that cannot be
        searched although it may contain an offer of an erased customer.
        """
        hidden = any(row["audience"] != "list" for row in self.take_off)
        return bool(self.unread or (self.unseen and hidden))

    def facts(self) -> dict[str, Any]:
        """For the ledger and `--json`: counts and places, no customer ids."""
        return {
            "customers": self.customers,
            "new": self.new,
            "ledger": self.tables,
            "files": self.files,
            "take_off": self.take_off,
            "unread": self.unread,
            "audiences_not_seen": self.unseen,
            "incomplete": self.is_incomplete,
            "outputs_not_there": len(self.missing),
            "missing_outputs": self.missing,
            "still_in_your_tables": self.held.tables,
            "not_in_your_tables": self.unknown,
        }


def forget(
    config: Path,
    *,
    customers: Iterable[str],
    places: Iterable[Path | str] = (),
    dry_run: bool = False,
    progress: Progress = silent,
) -> JobResult:
    """Erases customers from the ledger and from everything that churn wrote: the outputs on record,
    and the folders (with subfolders) and tables, `postgresql://…#table`, in `places`.

    A keyed hash of each customer stays on the list of the erased, which every later import leaves
    out. Exit code 3 if a file could not be searched. BusyError while other runs are active. A dry
    run changes nothing.
    """
    settings = load_settings(config)
    asked = list(dict.fromkeys(map(settings.same_customer, customers)))
    named = [_place(place) for place in places]
    facts: dict[str, Any] = {}
    with (
        exclusive(lock_beside(settings.path("erasure.key")), what="forgetting customers"),
        on_record("forget", settings, facts) as (ledger, run_id),
    ):
        erased, done = _listed(settings, ledger, asked, dry_run=dry_run)
        if not dry_run:
            check_alone(ledger, run_id)
        progress("searching your tables")
        done.held = still_held(settings, erased)
        done.unknown = 0 if done.held.failure else len(set(asked) - done.held.names)
        done.take_off = exports_to(ledger, erased)
        progress("searching written files")
        _erase_results(config, settings, ledger, erased, done, places=named, dry_run=dry_run)
        progress("searching the ledger")
        done.tables = erase_rows(ledger, erased, dry_run=dry_run)
        facts |= {**done.facts(), "dry_run": dry_run}
        if not dry_run:
            compact(ledger)
            remove_dead_spills()
    return JobResult(
        command="forget",
        run_id=run_id,
        rows={"ledger": sum(done.tables.values()), "files": sum(done.files.values())},
        metrics=facts,
        warnings=tuple(notes(facts, done.held)),
        tables=forget_tables(facts),
        exit_code=INCOMPLETE if done.is_incomplete else 0,
        failure=INCOMPLETE_CAUSE if done.is_incomplete else None,
    )


def _listed(
    settings: Settings, ledger: Ledger, asked: list[str], *, dry_run: bool
) -> tuple[Erased, Forgotten]:
    """All erased customers including the new ones, which are recorded unless it is a dry run."""
    path, given = settings.ledger_path, settings.privacy.key
    today = datetime.now(UTC).date()
    if not dry_run:
        erased, new = record_erased(ledger, made_key(path, given), asked, on=today)
        return replace(erased, canonical=settings.same_customer), Forgotten(len(asked), new)
    before = settings.erased() or Erased(stored_key(path, given) or secrets.token_bytes(32), {})
    more = {hashed(before.key, name): today for name in asked}
    everyone = Erased(before.key, {**more, **before.dates}, settings.same_customer)
    return everyone, Forgotten(len(asked), len(more.keys() - before.dates.keys()))


def _erase_results(
    config: Path,
    settings: Settings,
    ledger: Ledger,
    erased: Erased,
    done: Forgotten,
    *,
    places: list[Place],
    dry_run: bool,
) -> None:
    """Erases from every place in turn; a place that cannot be searched is noted."""
    region = settings.offers.phone_region
    files = FileEraser(ledger, erased, AudienceRows(done.held.addresses, region), dry_run)
    keep = {str(place) for place in inputs(config)}
    if not dry_run:
        _remove_leftovers(ledger)
    for place in _targets(ledger, places, done):
        if str(place) in keep:
            continue
        try:
            count = files.erase(place) if isinstance(place, Path) else _from_table(place, files)
        except AddressesUnknownError:
            done.unseen.append(str(place))
            continue
        except ChurnError as failure:
            if isinstance(failure, BusyError):
                raise
            done.unread.append(str(failure))
            continue
        if count:
            shown = shown_place(place)
            done.files[shown] = done.files.get(shown, 0) + count
        if isinstance(place, Path) and not dry_run and not place.exists():
            forget_output(ledger, place)


def _remove_leftovers(ledger: Ledger) -> None:
    """Removes what killed runs left next to each file on record, even if the file itself was never
    written: the leftovers contain the rows that were to be written.
    """
    for target in outputs(ledger):
        if not is_address(target):
            remove_leftovers(Path(target))
            remove_leftovers(sidecar_of(Path(target)))


def _from_table(address: TableAddress, files: FileEraser) -> int:
    return erase_from_table(
        replace(address, run_id=None),
        LAYOUTS,
        files.erased,
        follow=partial(update_plan_digest, files.ledger),
        dry_run=files.dry_run,
    )


def _targets(ledger: Ledger, places: list[Place], done: Forgotten) -> list[Place]:
    """The places to search, each once: existing outputs on record, and the given places."""
    named = {str(place): place for place in places if isinstance(place, TableAddress)}
    folders = [place for place in places if isinstance(place, Path)]
    written = outputs(ledger)
    for target in written:
        if is_address(target) and target not in named:
            done.unread.append(f"{target} requires its user and password: pass it with --in")
    paths = [Path(target) for target in written if not is_address(target)]
    existing = [path for path in paths if path.is_file()]
    done.missing = [shown_place(path) for path in paths if path not in set(existing)]
    files = dict.fromkeys(path.absolute() for path in [*existing, *files_below(folders)])
    return [*files, *named.values()]


def _place(named: Path | str) -> Place:
    """A folder or a database table; ConfigError if it is neither."""
    place = place_of(named)
    if isinstance(place, Path) and not place.is_dir():
        rule = "--in must be an existing folder or a table, postgresql://…#table"
        raise ConfigError(rule, got=place.name, fix="Check the path.")
    return place
