"""The night that `churn run` works on: its date, its data, and what its steps depend on."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

from churn.commands.session import Progress
from churn.config import Settings
from churn.data.calendar import OrderDays
from churn.data.databases import address_of
from churn.data.days import as_date, zone
from churn.data.freshness import Freshness, freshness
from churn.data.lineage import lineage_of
from churn.data.tables import Tables
from churn.errors import ChurnError, DataError
from churn.storage.files import canonical_json, sha256_of
from churn.storage.ledger import Ledger
from churn.storage.nights import StepDone, finished_step, record_step
from churn.storage.publish import read_pointer
from churn.storage.withdrawals import last_told

FRESHNESS = "freshness"


@dataclass(frozen=True, kw_only=True)
class Night:
    """One night: `data` is the fingerprint of its tables, `late` a note if the newest orders are
    older than is usual.
    """

    config: Path
    settings: Settings
    ledger: Ledger
    run_id: str
    as_of: date
    data: str
    progress: Progress
    late: str | None = None

    @property
    def directory(self) -> Path:
        """The folder of the results."""
        return self.settings.path(self.settings.run.directory)

    def out(self, name: str) -> Path:
        """The path of a result."""
        return self.directory / name

    @property
    def models(self) -> Path:
        """The configured folder of models."""
        return self.settings.path(self.settings.model.directory)

    @property
    def champion(self) -> str | None:
        """The champion now; a training of this night may have moved it."""
        return read_pointer(self.models / "champion")

    def inputs(self, step: str, given: Mapping[str, str], *, ignores: Collection[str] = ()) -> str:
        """The hash of what a step depends on besides the data: the settings but for the sections
        that it `ignores`, the catalogue, the champion, withdrawals and erasures, and the results
        of earlier steps.
        """
        champion = self.champion
        bundle = None if champion is None else _hash_of(self.models / champion / "manifest.json")
        facts = {
            "step": step,
            "settings": settings_digest(self.settings, ignores=ignores),
            "directory": self.settings.run.directory,
            "catalogue": None if "offers" in ignores else self._catalogue,
            "champion": [champion, bundle],
            "withdrawals": last_told(self.ledger),
            "erased": len(self.settings.erased() or ()),
            "given": dict(given),
        }
        return hashlib.sha256(canonical_json(facts)).hexdigest()

    @cached_property
    def _catalogue(self) -> str | None:
        return _hash_of(self.settings.path(self.settings.offers.catalogue))

    def name(self, step: str, inputs: str) -> str:
        """The run_id of a step, the same whenever it is made again from the same."""
        return f"night-{self.as_of}-{self.data[:8]}-{inputs[:8]}-{step}"


def settings_digest(settings: Settings, *, ignores: Collection[str] = ()) -> str:
    """A hash of the sections of the configuration, without secrets, and of the release."""
    left_out = {"folder", *ignores}
    sections = {name: value for name, value in vars(settings).items() if name not in left_out}
    return hashlib.sha256(repr((sections, version("churnwise"))).encode()).hexdigest()


def _hash_of(path: Path) -> str | None:
    try:
        return sha256_of(path)
    except ChurnError:
        return None


def local_date(settings: Settings, now: datetime) -> date:
    """The date in the shop's zone, at whose midnight the night's data end.

    >>> from datetime import UTC, datetime
    >>> from zoneinfo import ZoneInfo
    >>> datetime(2024, 3, 30, 23, 30, tzinfo=UTC).astimezone(ZoneInfo("Europe/Berlin")).date()
    datetime.date(2024, 3, 31)
    """
    return now.astimezone(zone(settings.data.day_timezone)).date()


def find_night(
    config: Path,
    settings: Settings,
    ledger: Ledger,
    run_id: str,
    *,
    as_of: str | None,
    now: datetime,
    progress: Progress,
    record: bool = True,
) -> Night:
    """The night to work on. DataError if its newest orders are too old.

    The date is `as_of`, else `[data] until`, else today in the shop's zone, at most the day after
    the last order. If these data were found fresh today already, no table is read.
    """
    today = local_date(settings, now)
    asked = settings.data.until if as_of is None else as_date(as_of, name="as_of")
    common: dict[str, Any] = {"config": config, "settings": settings, "ledger": ledger}
    common |= {"run_id": run_id, "progress": progress}
    others = vars(settings).keys() - {"data"}
    digest = settings_digest(settings, ignores=others) + f" {asked}"
    in_files = _in_files(settings)
    data = lineage_of(settings.data, settings.folder)["fingerprint"] if in_files else None
    done = None if data is None else finished_step(ledger, today, data, FRESHNESS, digest)
    if done is not None and data is not None:
        when, late = date.fromisoformat(done.facts["as_of"]), done.facts["late"]
        return Night(**common, as_of=when, data=data, late=late)
    progress("checking how fresh the data are")
    tables = Tables.from_settings(settings.data, folder=settings.folder, erased=settings.erased())
    try:
        when, found = _dated(tables, settings, asked, today)
        if data is None:
            data = lineage_of(settings.data, settings.folder, tables.fetched)["fingerprint"]
    finally:
        tables.close()
    if found.is_stale:
        raise _stale(found)
    late = found.sentence() if found.is_late else None
    if record:
        facts: dict[str, Any] = {"as_of": str(when), "late": late}
        record_step(
            ledger,
            StepDone(
                as_of=today, data=data, step=FRESHNESS, inputs=digest, run_id=run_id, facts=facts
            ),
        )
    return Night(**common, as_of=when, data=data, late=late)


def _stale(found: Freshness) -> DataError:
    last = found.last_day
    return DataError(
        f"at most {found.error_after_days} days may pass without an order",
        got="no orders" if last is None else f"{found.quiet_days:,}: orders end on {last}",
        fix="Nothing was changed, the last results stand. Load newer orders, or raise [data] "
        "error_after_days.",
    )


def _in_files(settings: Settings) -> bool:
    """Whether every table is in files, whose hashes need no import."""
    places = settings.data.sources().items()
    return all(
        address_of(source, table=table, folder=settings.folder) is None for table, source in places
    )


def _dated(
    tables: Tables, settings: Settings, asked: date | None, today: date
) -> tuple[date, Freshness]:
    """The date of the night, and the freshness of the data at the moment it is for."""
    days = OrderDays.of(tables.engine)
    limits = (settings.data.warn_after_days, settings.data.error_after_days)
    found = freshness(days, asked or today, warn_after_days=limits[0], error_after_days=limits[1])
    if found.last_day is None:
        return asked or today, found
    when = min(today, tables.limit()) if asked is None else tables.within(asked)
    return when, found
