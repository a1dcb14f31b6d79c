"""The session of a command: settings, tables, the resolved date, and a run in the ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from churn.campaigns.delivery.consents import ConsentRecords
from churn.config import Settings, load_settings
from churn.data.databases import address_of
from churn.data.days import as_date
from churn.data.sources import files_of
from churn.data.tables import Snapshot, Tables
from churn.errors import BusyError, ConfigError, ModelError
from churn.features.clock import FeatureClock
from churn.features.plugins import load_own_features
from churn.modeling.manifest import CHAMPION, read_manifest
from churn.modeling.panel import Panel, resolve_panel
from churn.offers.catalogue import Offers
from churn.results.output import RowWriter, TableWriter, writing_result, writing_table
from churn.storage.erasures import Erased, remembered
from churn.storage.files import check_name
from churn.storage.ledger import Ledger
from churn.storage.ledger_file import check_kept
from churn.storage.objections import objections
from churn.storage.postgres.address import Place, TableAddress
from churn.storage.postgres.layout import Layout

Progress = Callable[[str], None]
Writer = TypeVar("Writer")


def silent(_: str) -> None:
    """Discards progress."""


@dataclass
class Session:
    """One run of one command; its `facts` are recorded in the ledger."""

    command: str
    run_id: str
    settings: Settings
    tables: Tables
    as_of: date
    ledger: Ledger
    erased: Erased | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    progress: Progress = silent

    @property
    def snapshot(self) -> Snapshot:
        """The tables as of the session's date."""
        return self.tables.as_of(self.as_of)

    @property
    def catalogue(self) -> Path:
        """The file of the offers."""
        return self.settings.path(self.settings.offers.catalogue)

    @cached_property
    def offers(self) -> Offers:
        """The offers of the configured catalogue."""
        return Offers.load(self.catalogue)

    @property
    def consents(self) -> ConsentRecords:
        """The tables and the ledger as records of consent."""
        return ConsentRecords(
            tables=self.tables,
            ledger=self.ledger,
            same_customer=self.settings.same_customer,
            consent=self.settings.offers.consent,
            catalogue=self.catalogue,
            erased=self.erased,
        )

    @property
    def segments_file(self) -> Path:
        """The file of the frozen bounds of the segments."""
        return self.settings.path("segments.json")

    @property
    def signing_key(self) -> str | None:
        """The key that signs models and estimated effects; None without one."""
        return self.settings.model.signing_key

    def writing(
        self, out: Path, *, keep: Iterable[Place] = (), option: str = "--out"
    ) -> AbstractContextManager[TableWriter]:
        """`writing_table`, recorded in the ledger, so that `churn forget` finds the rows."""
        writing = writing_table(out, keep=keep, option=option)
        return self._remembered(writing, out)

    def writing_result(
        self, out: Place, layout: Layout, *, keep: Iterable[Place] = (), option: str = "--out"
    ) -> AbstractContextManager[RowWriter]:
        """`writing_result`, recorded likewise; database addresses without user and password."""
        writing = writing_result(out, layout, keep=keep, option=option)
        return self._remembered(writing, out)

    def check_erased(self) -> None:
        """Raises BusyError if customers were erased since the tables were read, because the result
        may contain them.
        """
        if len(self.settings.erased() or ()) != len(self.erased or ()):
            rule = "no customers may be erased while a result is being written"
            raise BusyError(rule, fix="Run it again; it excludes them.")

    @contextmanager
    def _remembered(self, writing: AbstractContextManager[Writer], out: Place) -> Iterator[Writer]:
        with remembered(writing, self.ledger, out, command=self.command) as writer:
            yield writer
            self.check_erased()


def inputs(config: Path) -> list[Place]:
    """The files and tables of a configuration: itself, its tables, its catalogue, its ledger."""
    settings = load_settings(config)
    tables: list[Place] = []
    for table, source in settings.data.sources().items():
        address = address_of(source, table=table, folder=settings.folder)
        if address is None:
            tables += files_of(source, table=table, folder=settings.folder)
        elif isinstance(address, TableAddress):  # nothing is written to other databases
            tables.append(address)
    return [config, *tables, settings.path(settings.offers.catalogue), settings.ledger_path]


@contextmanager
def open_session(
    command: str,
    config: Path,
    *,
    as_of: date | str | None,
    progress: Progress,
    beyond_data: bool = False,
    run_id: str | None = None,
) -> Iterator[Session]:
    """A session that is recorded as running, and as done or failed when the block ends.

    `as_of` defaults to the end of the data, and may only be later with `beyond_data`. `run_id` is
    the name of the run; the default is a new one. Runs of dead processes are marked as failed.
    """
    settings = load_settings(config)
    if run_id is not None:
        check_name(run_id, what="run_id")
    when = None if as_of is None else as_date(as_of, name="as_of")
    if settings.features.module is not None:
        load_own_features(settings.path(settings.features.module))
    facts: dict[str, Any] = {}
    with on_record(command, settings, facts, as_of=when, run_id=run_id) as (ledger, run):
        progress("reading the tables")
        erased = settings.erased()  # read while on record: `churn forget` waits, or is noticed
        tables = Tables.from_settings(settings.data, folder=settings.folder, erased=erased)
        tables = replace(tables, objecting=recorded_objectors(settings, ledger))
        try:
            resolved = when if beyond_data and when is not None else _resolved(tables, when)
            if tables.audits["orders"].rows_kept:
                tables = tables.noting_quiet_days(resolved)
            ledger.date_run(run, resolved)
            yield Session(command, run, settings, tables, resolved, ledger, erased, facts, progress)
        finally:
            tables.close()


def recorded_objectors(settings: Settings, ledger: Ledger) -> frozenset[str]:
    """The customers whose objection to profiling is on record in the ledger."""
    return frozenset(map(settings.same_customer, objections(ledger)))


@contextmanager
def on_record(
    command: str,
    settings: Settings,
    facts: dict[str, Any],
    *,
    as_of: date | None = None,
    run_id: str | None = None,
) -> Iterator[tuple[Ledger, str]]:
    """The ledger and the id of a run in it, which is done or failed when the block ends.

    The contents of `facts` at that time are recorded. Runs of dead processes are marked as failed.
    """
    check_kept(settings.ledger_path)
    with Ledger(settings.ledger_path) as ledger:
        ledger.mark_dead_runs_failed()
        run_id = ledger.start_run(command, run_id=run_id, as_of=as_of)
        try:
            yield ledger, run_id
        except BaseException as failure:
            facts = {**facts, "cause": type(failure).__name__}
            ledger.finish_run(run_id, status="failed", facts=facts)
            raise
        ledger.finish_run(run_id, status="done", facts=facts, model_id=facts.get("model_id"))


def _resolved(tables: Tables, asked: date | None) -> date:
    """The given date, else the end of the data, or today if there are no orders.

    ConfigError if the date is after the end of the data.
    """
    if not tables.audits["orders"].rows_kept:
        return asked or tables.settings.until or datetime.now(UTC).date()
    return tables.end() if asked is None else tables.within(asked)


def resolve_from_settings(session: Session) -> Panel:
    """The configured panel at the session's date."""
    settings = session.settings
    if settings.churn.mode == "contractual" and not session.tables.has("subscriptions"):
        raise ConfigError(
            '[churn] mode = "contractual" requires the table of subscriptions',
            got="no [data.subscriptions]",
            fix='Connect it, or set mode = "purchases".',
        )
    return resolve_panel(
        session.tables,
        session.as_of,
        horizon_days=settings.churn.horizon_days,
        lookback_days=settings.churn.lookback_days,
        min_tenure_days=settings.churn.min_tenure_days,
        lead_days=settings.churn.lead_days,
        every_days=settings.panel.every_days,
        count=settings.panel.cutoffs,
        mode=settings.churn.mode,
        grace_days=settings.churn.grace_days,
    )


def resolve_clock(session: Session) -> FeatureClock:
    """The horizon and lookback of the champion; without one, those that training would use."""
    settings = session.settings
    try:
        champion = settings.path(settings.model.directory) / CHAMPION
        manifest = read_manifest(champion, signing_key=session.signing_key)
    except ModelError:
        stated = settings.churn
        if stated.horizon_days == "auto" or stated.lookback_days == "auto":
            return resolve_from_settings(session).clock
        return FeatureClock(
            horizon_days=stated.horizon_days,
            lookback_days=stated.lookback_days,
            min_tenure_days=stated.min_tenure_days,
            lead_days=stated.lead_days,
            mode=stated.mode,
        )
    return FeatureClock(**manifest["clock"])
