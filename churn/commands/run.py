"""`churn run`: the nightly run, from fresh data to results, resumable at every step."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from churn.commands.night import Night, find_night
from churn.commands.night_steps import STEPS, Done, Step
from churn.commands.ping import START, ping
from churn.commands.session import Progress, on_record, silent
from churn.config import Settings, load_settings
from churn.errors import ChurnError
from churn.results.job_result import JobResult, Table
from churn.storage.ledger import Ledger
from churn.storage.locks import exclusive, lock_beside
from churn.storage.nights import StepDone, finished_step, record_step
from churn.storage.publish import check_writable

DONE, BEFORE, LEFT_OUT, FAILED, TO_DO = "done", "done before", "left out", "failed", "to do"
GOOD = (DONE, BEFORE)


@dataclass(frozen=True)
class Outcome:
    """What became of a step; `outputs` are the hashes of its files by their relative names."""

    step: str
    state: str
    why: str = ""
    exit_code: int = 0
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
    outputs: dict[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """For the ledger and `--json`."""
        return {
            "step": self.step,
            "state": self.state,
            "why": self.why,
            "exit_code": self.exit_code,
            "notes": list(self.notes),
            "outputs": self.outputs,
        }


def run(
    config: Path,
    *,
    as_of: str | None = None,
    dry_run: bool = False,
    now: datetime | None = None,
    progress: Progress = silent,
) -> JobResult:
    """Does the steps of a night that have not been done, and records each when it has finished.

    A step that has finished on the same data with the same inputs, and whose files are untouched,
    is not done again, so a run that was killed goes on where it stopped. The exit code is that of
    the first step that failed; 3, with nothing changed, if the newest orders are too old. A
    `dry_run` only lists the steps.
    """
    settings = load_settings(config)
    moment = now or datetime.now(UTC)
    if dry_run:
        return _looked_at(config, settings, as_of=as_of, now=moment, progress=progress)
    with exclusive(lock_beside(settings.path("run")), what="the nightly run"):
        notes = _pinged(settings, START)
        try:
            result = _run(config, settings, as_of=as_of, now=moment, progress=progress)
        except BaseException as failure:
            code = failure.exit_code if isinstance(failure, ChurnError) else 1
            _pinged(settings, str(code), str(failure))
            raise
        notes += _pinged(settings, str(result.exit_code), _summary(result))
    return _with_notes(result, notes)


def _pinged(settings: Settings, event: str, text: str = "") -> tuple[str, ...]:
    """A note if the health check could not be told."""
    address = settings.run.ping
    failure = None if address is None else ping(address, event, text)
    return () if failure is None else (failure,)


def _summary(result: JobResult) -> str:
    lines = [f"{row[0]}: {row[1]}" for row in result.tables[0].rows]
    return "\n".join([*lines, *result.warnings, *([result.failure] if result.failure else [])])


def _with_notes(result: JobResult, notes: tuple[str, ...]) -> JobResult:
    from dataclasses import replace

    return replace(result, warnings=(*result.warnings, *dict.fromkeys(notes)))


def _run(
    config: Path, settings: Settings, *, as_of: str | None, now: datetime, progress: Progress
) -> JobResult:
    facts: dict[str, Any] = {}
    with on_record("run", settings, facts) as (ledger, run_id):
        night = find_night(
            config, settings, ledger, run_id, as_of=as_of, now=now, progress=progress
        )
        ledger.date_run(run_id, night.as_of)
        check_writable(night.out("scores.parquet"))
        outcomes: list[Outcome] = []
        for step in STEPS:
            outcomes.append(_step(night, step, outcomes))
            facts["steps"] = [outcome.to_dict() for outcome in outcomes]
        facts["data"] = night.data
    return _result(night, outcomes)


def _step(night: Night, step: Step, before: Sequence[Outcome]) -> Outcome:
    """The outcome of one step, which is on record if it finished."""
    lacking = _lacking(step, before)
    if lacking is not None:
        return Outcome(step.name, LEFT_OUT, lacking)
    begun = time.perf_counter()
    try:
        why = step.due(night)
        if why is not None:
            return Outcome(step.name, LEFT_OUT, why)
        inputs = _inputs(night, step, before)
        known = _known(night, step, inputs)
        if known is not None:
            return known
        night.progress(step.name)
        done = step.run(night, night.name(step.name, inputs))
    except ChurnError as failure:
        return Outcome(step.name, FAILED, str(failure), failure.exit_code, _since(begun))
    outputs = _hashes(night, done)
    if done.exit_code:
        why = "; ".join(done.notes) or f"exit code {done.exit_code}"
        return Outcome(step.name, FAILED, why, done.exit_code, _since(begun), outputs=outputs)
    record_step(
        night.ledger,
        StepDone(
            as_of=night.as_of,
            data=night.data,
            step=step.name,
            inputs=inputs,
            run_id=night.run_id,
            outputs=outputs,
            facts={"notes": list(done.notes), **done.facts},
        ),
    )
    return Outcome(step.name, DONE, "", 0, _since(begun), done.notes, outputs)


def _lacking(step: Step, before: Sequence[Outcome]) -> str | None:
    """The step without whose result this one cannot be done; None if there is none.

    After a vital step has failed, nothing is done that depends on the scores of this night.
    """
    failed = [one.step for one in before if one.state not in GOOD and one.step in step.needs]
    vital = {one.name for one in STEPS if one.vital}
    failed += [one.step for one in before if one.state == FAILED and one.step in vital]
    return f"{failed[0]} was not done" if failed else None


def _inputs(night: Night, step: Step, before: Sequence[Outcome]) -> str:
    """The hash of what a step depends on, the results that it reads among it."""
    given = {
        name: sha
        for one in before
        if one.step in (*step.needs, *step.reads)
        for name, sha in one.outputs.items()
    }
    return night.inputs(step.name, given, ignores=step.ignores)


def _known(night: Night, step: Step, inputs: str) -> Outcome | None:
    """The outcome of a step that has finished before and whose files are untouched."""
    found = finished_step(night.ledger, night.as_of, night.data, step.name, inputs)
    if found is None or not found.stands(night.settings.folder):
        return None
    notes = tuple(found.facts.get("notes", ()))
    return Outcome(step.name, BEFORE, notes=notes, outputs=dict(found.outputs))


def _hashes(night: Night, done: Done) -> dict[str, str]:
    import os

    from churn.storage.files import sha256_of

    folder = night.settings.folder
    return {Path(os.path.relpath(path, folder)).as_posix(): sha256_of(path) for path in done.files}


def _since(begun: float) -> float:
    return time.perf_counter() - begun


def _looked_at(
    config: Path, settings: Settings, *, as_of: str | None, now: datetime, progress: Progress
) -> JobResult:
    """The steps and whether each would be done; nothing is written."""
    with Ledger(settings.ledger_path) as ledger:
        night = find_night(
            config, settings, ledger, "", as_of=as_of, now=now, progress=progress, record=False
        )
        outcomes: list[Outcome] = []
        for step in STEPS:
            outcomes.append(_forecast(night, step, outcomes))
    return _result(night, outcomes, dry_run=True)


def _forecast(night: Night, step: Step, before: Sequence[Outcome]) -> Outcome:
    """What would become of a step. Steps after one that is to be done are to be done as well."""
    try:
        why = step.due(night)
    except ChurnError:  # there is no model yet
        why = "it depends on the model" if night.champion is None else None
    if why is not None:
        return Outcome(step.name, LEFT_OUT, why)
    waiting = [
        one.step for one in before if one.state == TO_DO and one.step in (*step.needs, *step.reads)
    ]
    if not waiting:
        known = _known(night, step, _inputs(night, step, before))
        if known is not None:
            return known
    return Outcome(step.name, TO_DO)


def _result(night: Night, outcomes: Sequence[Outcome], *, dry_run: bool = False) -> JobResult:
    failed = [one for one in outcomes if one.state == FAILED]
    late = () if night.late is None else (night.late,)
    notes = tuple(f"{one.step}: {note}" for one in outcomes for note in one.notes)
    rows = tuple((one.step, one.state, _shown(one)) for one in outcomes)
    title = "Steps that would be done" if dry_run else "Steps"
    return JobResult(
        command="run",
        run_id=night.run_id or None,
        as_of=night.as_of,
        resolved={"data": night.data, "directory": night.settings.run.directory},
        model_id=night.champion,
        metrics={"steps": [one.to_dict() for one in outcomes]},
        files={
            night.settings.folder / name: sha
            for one in outcomes
            for name, sha in one.outputs.items()
        },
        warnings=(*late, *notes),
        tables=(Table(title, ("step", "", ""), rows),),
        exit_code=failed[0].exit_code if failed else 0,
        failure=f"{failed[0].step}: {failed[0].why}" if failed else None,
    )


def _shown(one: Outcome) -> str:
    if one.why:
        return one.why
    return f"{one.seconds:.1f} s" if one.seconds else ""
