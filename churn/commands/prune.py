"""`churn prune`: removes what has been kept for longer than `[privacy] keep_days`."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from churn.commands.model_store import ModelStore, challenger_of
from churn.commands.session import Progress, Session, inputs, open_session, resolve_clock, silent
from churn.data.consent import longest_cap_days, preference_state
from churn.errors import BusyError, ChurnError, ConfigError, ModelError
from churn.modeling.manifest import read_unverified
from churn.offers.catalogue import Offers
from churn.results.job_result import JobResult, Table
from churn.storage.erasures import compact, forget_output, outputs
from churn.storage.ledger import Ledger
from churn.storage.locks import exclusive, lock_beside
from churn.storage.manifests import sidecar_of, verify_file
from churn.storage.postgres.address import Place, is_address
from churn.storage.retention import Limits, expired_rows, remove_expired

LEAST_MESSAGE_DAYS = 60
"""A message is kept for so long at least: its unsubscribe link works no longer than that."""
LEAST_HORIZONS = 2
"""A plan is kept until it can be measured."""
LEFTOVER = ".pruned"


@dataclass(frozen=True)
class Expired:
    """What goes: rows of the ledger by table, files, models; and what stays although it is old."""

    limits: Limits
    rows: dict[str, int]
    files: tuple[Path, ...]
    models: tuple[str, ...]
    notes: tuple[str, ...]

    def facts(self, folder: Path, *, dry_run: bool) -> dict[str, Any]:
        """For the ledger and `--json`: names and numbers, no customers."""
        return {
            "rows": dict(self.rows),
            "files": [str(_relative(path, folder)) for path in self.files],
            "models": list(self.models),
            "plans_before": str(self.limits.plans),
            "contacts_before": str(self.limits.contacts),
            "messages_before": str(self.limits.messages),
            "dry_run": dry_run,
        }


def prune(
    config: Path,
    *,
    dry_run: bool = False,
    now: datetime | None = None,
    progress: Progress = silent,
) -> JobResult:
    """Removes plans, messages, results and models older than `[privacy] keep_days`, and records in
    the ledger what went. A `dry_run` only counts.

    Consents, withdrawals, erasures, holdouts and contacts that a cap or cooldown counts stay, and
    so do the champion, the challenger and the previous champion. ConfigError without `keep_days`.
    """
    today = (now or datetime.now(UTC)).date()
    with (
        open_session("prune", config, as_of=None, progress=progress) as session,
        exclusive(lock_beside(session.settings.path("prune")), what="pruning"),
    ):
        found = _expired(session, today, kept=inputs(config))
        facts = found.facts(session.settings.folder, dry_run=dry_run)
        session.facts |= facts
        if not dry_run:
            progress("removing what has expired")
            _remove(session, found, facts)
    return JobResult(
        command="prune",
        run_id=session.run_id,
        as_of=today,
        resolved={"keep_days": session.settings.privacy.keep_days},
        rows={**found.rows, "files": len(found.files), "models": len(found.models)},
        metrics=facts,
        warnings=(*found.notes, *(("dry run: nothing was removed",) if dry_run else ())),
        tables=(_shown(found),),
    )


def _expired(session: Session, today: date, *, kept: list[Place]) -> Expired:
    keep = session.settings.privacy.keep_days
    if keep is None:
        rule = "[privacy] keep_days must say how long results are kept"
        raise ConfigError(rule, fix="Write e.g. keep_days = 365.")
    limits = _limits(session, today, keep)
    files, notes = _old_files(session, kept, before=today - timedelta(days=keep))
    models = tuple(_old_models(session, before=today - timedelta(days=keep)))
    return Expired(limits, expired_rows(session.ledger, limits), files, models, notes)


def _limits(session: Session, today: date, keep: int) -> Limits:
    """The dates before which rows go. Each is counted from today, and from the end of the data for
    what a later plan or measurement may still need.
    """
    needed = LEAST_HORIZONS * resolve_clock(session).horizon_days
    end = min(today, session.as_of)
    plans = min(today - timedelta(days=keep), end - timedelta(days=needed))
    contacts = min(plans, end - timedelta(days=_counted_days(session)))
    messages = min(
        today - timedelta(days=max(keep, LEAST_MESSAGE_DAYS)),
        end - timedelta(days=_counted_days(session)),
    )
    return Limits(plans=plans, contacts=contacts, messages=messages)


def _counted_days(session: Session) -> int:
    """The longest period in which a cap or a cooldown counts contacts, in days."""
    cap = session.settings.offers.frequency_cap
    days = [longest_cap_days(preference_state(session.snapshot)), cap.cap_days if cap else 0]
    if session.catalogue.is_file():
        offers: Offers = session.offers
        days += [offer.cooldown_days for offer in offers]
    return max(days)


def _old_files(
    session: Session, kept: list[Place], *, before: date
) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """Result files written before a date and unchanged since, and notes on what stays."""
    written = _written(session.ledger)
    found: list[Path] = []
    notes: list[str] = []
    for target in outputs(session.ledger):
        if written[target] >= before:
            continue
        if is_address(target):
            notes.append("old rows of tables in databases are not removed: delete them there")
        elif (path := Path(target)).is_file() and path not in kept:
            if _is_ours(path):
                found.append(path)
            else:
                notes.append(f"{path.name} was changed or has no manifest: it is not removed")
    return tuple(found), tuple(dict.fromkeys(notes))


def _written(ledger: Ledger) -> dict[str, date]:
    """When each recorded target was last written."""
    folder = ledger.path.absolute().parent
    with ledger.reading() as connection:
        rows = connection.execute("SELECT target, written_at FROM outputs").fetchall()
    return {
        name if is_address(name) else str(folder / name): datetime.fromisoformat(at).date()
        for name, at in rows
    }


def _is_ours(path: Path) -> bool:
    """Whether the file is still what was written there."""
    try:
        return verify_file(path) is not None
    except (ChurnError, OSError):
        return False


def _old_models(session: Session, *, before: date) -> Iterator[str]:
    """Models created before a date, without those that are in use or may be again."""
    store = ModelStore.of(session.settings)
    kept = {store.champion, challenger_of(store, session.ledger)}
    with suppress(ModelError):  # there is no previous champion
        kept.add(store.former(session.ledger))
    for name in store.bundles():
        if name not in kept and _created(store.directory / name) < before:
            yield name


def _created(bundle: Path) -> date:
    try:
        return datetime.fromisoformat(str(read_unverified(bundle)["created_at"])).date()
    except (ModelError, KeyError, ValueError):
        return date.max  # what cannot be read is not removed


def _remove(session: Session, found: Expired, facts: dict[str, Any]) -> None:
    """Rows first, together with the record of what goes; then files and models, which a killed run
    leaves to the next one.
    """
    remove_expired(session.ledger, found.limits, run_id=session.run_id, facts=facts)
    for path in found.files:
        path.unlink(missing_ok=True)
        sidecar_of(path).unlink(missing_ok=True)
        forget_output(session.ledger, path)
    directory = ModelStore.of(session.settings).directory
    for name in found.models:
        gone = directory / f".{name}{LEFTOVER}"
        (directory / name).rename(gone)
    for gone in directory.glob(f".*{LEFTOVER}"):
        shutil.rmtree(gone, ignore_errors=True)
    with suppress(BusyError):  # another run is writing: freed pages were overwritten already
        compact(session.ledger)


def _shown(found: Expired) -> Table:
    limits = found.limits
    dates = {
        "plans": f"before {limits.plans}; contacts before {limits.contacts}",
        "messages": f"before {limits.messages}",
        "code_holders": f"before {limits.contacts}",
        "decisions": f"before {limits.contacts}",
        "steps": f"before {limits.plans}",
    }
    rows = [(name, f"{count:,}", dates[name]) for name, count in found.rows.items()]
    rows.append(("files", f"{len(found.files):,}", _listed(path.name for path in found.files)))
    rows.append(("models", f"{len(found.models):,}", _listed(found.models)))
    return Table("Expired", ("", "removed", ""), tuple(rows))


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)


def _relative(path: Path, folder: Path) -> Path:
    return path.relative_to(folder) if path.is_relative_to(folder) else path
