"""What the pages can do, done by the commands: plan, send and export, on record with who asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from churn.campaigns.delivery.audiences import AUDIENCES
from churn.campaigns.delivery.transports import TRANSPORTS
from churn.commands.delivery.notes import cause_of_end
from churn.commands.delivery.plan_on_record import LIST
from churn.config import Settings
from churn.errors import ChurnError
from churn.offers.catalogue import NO_OFFER
from churn.serving.dashboard.acts import Act, Acts, Kind, Outcome
from churn.storage.erasures import outputs
from churn.storage.ledger import Ledger
from churn.storage.manifests import verify_file

if TYPE_CHECKING:
    from churn.storage.records import Run

PLAN_FILE = "out/plan.parquet"
ACTS_SHOWN = 50
RUNS_READ = 1_000
COMMANDS = ("plan", "send", "export")


def acts_of(config: Path, settings: Settings) -> Acts:
    """The acts of the pages of that shop."""
    plan_file = _plan_file(settings)
    return Acts(
        Commands(config, plan_file),
        ActsOnRecord(settings.ledger_path),
        plan_file=plan_file,
        plan_run_id=lambda: _plan_run_id(plan_file),
        transports=[name for name in TRANSPORTS if _is_ready(settings, name)],
        audiences=[LIST, *AUDIENCES],
    )


class Commands:
    """The acts as commands, with the configuration of the service."""

    def __init__(self, config: Path, plan_file: Path) -> None:
        self._config = config
        self._plan_file = plan_file

    def __call__(self, act: Act, *, progress: Callable[[str], None]) -> Outcome:
        """Does what was asked for. Raises a ChurnError if it could not be done."""
        if act.kind == "plan":
            return self._plan(act, progress)
        if act.kind == "export":
            return self._export(act, progress)
        return self._send(act, progress)

    def _plan(self, act: Act, progress: Callable[[str], None]) -> Outcome:
        from churn.commands.plan import plan
        from churn.commands.publish import publish

        out = self._plan_file
        out.parent.mkdir(parents=True, exist_ok=True)
        made = plan(
            self._config,
            out=out,
            budget=act.budget,
            run_id=act.run_id,
            by=act.by,
            progress=progress,
        )
        publish(self._config, plan=out, progress=progress)
        return Outcome(plan_totals(made.metrics), made.warnings)

    def _send(self, act: Act, progress: Callable[[str], None]) -> Outcome:
        from churn.commands.send import send

        done = send(
            self._config,
            plan=self._plan_file,
            through=act.to,
            dry_run=act.kind == "check",
            run_id=act.run_id,
            plan_run_id=act.plan_run_id,
            by=act.by,
            progress=progress,
        )
        return Outcome(done.metrics, done.warnings, done.failure or "")

    def _export(self, act: Act, progress: Callable[[str], None]) -> Outcome:
        from churn.commands.export import export

        done = export(
            self._config,
            plan=self._plan_file,
            out=self._plan_file.with_name(f"{self._plan_file.stem}-{act.to}.csv"),
            audience_name=None if act.to == LIST else act.to,
            run_id=act.run_id,
            plan_run_id=act.plan_run_id,
            by=act.by,
            progress=progress,
        )
        return Outcome(done.metrics, done.warnings)


def plan_totals(summary: Mapping[str, Any]) -> dict[str, Any]:
    """The summary of a plan, with the number of customers who get an offer."""
    with_offer = summary["customers"] - summary["offers"].get(NO_OFFER, 0)
    return {**summary, "customers_with_offer": with_offer}


class ActsOnRecord:
    """The acts in a ledger: runs with who asked for them."""

    def __init__(self, ledger_path: Path) -> None:
        self._path = ledger_path

    def find(self, key: str) -> Act | None:
        """The act with that key; None if there is none."""
        if not self._path.is_file():
            return None
        with Ledger(self._path) as ledger:
            run = ledger.run(f"page-{key}")
        return None if run is None or run.command not in COMMANDS else _act(run, key)

    def newest(self) -> Sequence[Mapping[str, Any]]:
        """The acts, newest first: who did what, when, and what it came to."""
        with Ledger(self._path) as ledger:
            runs = [run for name in COMMANDS for run in ledger.runs(name, limit=RUNS_READ)]
        found = sorted((run for run in runs if "by" in run.facts), key=_when, reverse=True)
        return [_shown(run) for run in found[:ACTS_SHOWN]]


def _when(run: Run) -> tuple[Any, str]:
    return run.started_at, run.run_id


def _act(run: Run, key: str) -> Act:
    facts = run.facts
    ended = cause_of_end(facts) if facts.get("stopped") else None
    failure = str(facts.get("cause", "")) if run.status == "failed" else ended or ""
    plan = facts.get("summary")
    return Act(
        key=key,
        kind=_kind(run),
        by=str(facts.get("by", "")),
        budget=None if plan is None else plan.get("budget"),
        to=str(facts.get("through") or facts.get("audience") or ""),
        plan_run_id=facts.get("plan_run_id"),
        state="failed" if failure else run.status,
        result=facts if plan is None else plan_totals(plan),
        failure=failure,
    )


def _kind(run: Run) -> Kind:
    if run.command == "send":
        return "check" if run.facts.get("dry_run") else "send"
    return "export" if run.command == "export" else "plan"


def _shown(run: Run) -> dict[str, Any]:
    act = _act(run, run.run_id)
    counts = {"check": "to_send", "send": "sent", "export": "exported"}
    count = "customers_with_offer" if act.kind == "plan" else counts[act.kind]
    return {
        "run_id": run.run_id,
        "started_at": run.started_at,
        "by": act.by,
        "kind": act.kind,
        "to": act.to,
        "status": act.state,
        "budget": act.budget,
        "customers": act.result.get(count),
    }


def _is_ready(settings: Settings, name: str) -> bool:
    """Whether messages can be sent through the transport: its section is there, with a server."""
    section = getattr(settings.delivery, name)
    return section is not None and getattr(section, "host", "") is not None


def _plan_file(settings: Settings) -> Path:
    """Where plans are written: the newest plan's file on record, else a default."""
    if settings.ledger_path.is_file():
        with Ledger(settings.ledger_path) as ledger:
            found = [
                Path(target)
                for target, command in outputs(ledger).items()
                if command == "plan" and target.endswith(".parquet") and Path(target).is_file()
            ]
        if found:
            return max(found, key=lambda path: path.stat().st_mtime_ns)
    return settings.path(PLAN_FILE)


def _plan_run_id(path: Path) -> str | None:
    """The run that made the plan in that file; None without a plan that can be trusted."""
    try:
        status = path.stat()
    except OSError:
        return None
    return _run_id_in(path, status.st_ino, status.st_mtime_ns)


@lru_cache(maxsize=4)
def _run_id_in(path: Path, *_: int) -> str | None:
    try:
        facts = verify_file(path)
    except ChurnError:
        return None
    return None if facts is None else facts.get("run_id")
