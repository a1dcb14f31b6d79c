"""The steps of `churn run`: what each needs, when it is due, and the command that does it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from churn.commands.night import Night
from churn.errors import ChurnError, GateError
from churn.results.job_result import JobResult
from churn.storage.files import canonical_json
from churn.storage.publish import publish_file

SCORES, PLAN, LIST = "scores.parquet", "plan.parquet", "list.csv"
MEASURED, MONITOR = "measured.parquet", "monitor.json"
REPORT, DIGEST = "report.html", "digest.txt"


@dataclass(frozen=True)
class Done:
    """What a step did: its exit code, the files it wrote, and what a person should know."""

    exit_code: int = 0
    files: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """One step. `due` says why it is left out, None if it is due; `needs` are the steps without
    which it cannot be done, `reads` those whose results it also takes in. Its result does not
    depend on the sections of the settings that it `ignores`. A step that is not `vital` may fail
    while the night goes on.
    """

    name: str
    run: Callable[[Night, str], Done]
    due: Callable[[Night], str | None] = lambda _: None
    needs: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    ignores: tuple[str, ...] = ()
    vital: bool = False


def _check(night: Night, _: str) -> Done:
    from churn.commands.check import check

    return _done(check(night.config, as_of=str(night.as_of), progress=night.progress))


def _train(night: Night, _: str) -> Done:
    """A training whose model the gate rejects is a warning while a champion stands."""
    from churn.commands.train import train

    standing = night.champion
    try:
        result = train(night.config, as_of=str(night.as_of), progress=night.progress)
    except GateError as failure:
        if standing is None:
            raise
        return Done(notes=(f"no new model: {failure} The champion {standing} stands.",))
    facts = {"model_id": result.model_id, "champion": night.champion}
    if result.exit_code == GateError.exit_code and standing is not None:
        text = f"the new model {result.model_id} did not pass the gate: the champion {standing} "
        return Done(notes=(f"{text}stands.",), facts=facts)
    return Done(exit_code=result.exit_code, facts=facts)


def _training_due(night: Night) -> str | None:
    if night.champion is None:
        return None
    limit = night.settings.run.retrain_after_days
    if limit is None:
        return "[run] retrain_after_days is not set"
    newest = _newest_model(night)
    if newest is None or (night.as_of - newest).days >= limit:
        return None
    return f"the newest model is of {newest}"


def _newest_model(night: Night) -> date | None:
    """The date of the newest model, champion or not: a rejected one is not made again at once."""
    from churn.modeling.manifest import read_unverified

    found = []
    for folder in night.models.glob("churn-*"):
        try:
            found.append(date.fromisoformat(str(read_unverified(folder)["as_of"])))
        except (ChurnError, KeyError, ValueError):
            continue
    return max(found, default=None)


def _score(night: Night, run_id: str) -> Done:
    from churn.commands.score import score

    out = night.out(SCORES)
    result = score(
        night.config, out=out, as_of=str(night.as_of), run_id=run_id, progress=night.progress
    )
    return _done(result, out)


def _plan(night: Night, run_id: str) -> Done:
    from churn.commands.plan import plan

    out = night.out(PLAN)
    result = plan(
        night.config,
        out=out,
        as_of=str(night.as_of),
        scores=night.out(SCORES),
        run_id=run_id,
        progress=night.progress,
    )
    return _done(result, out)


def _offers_there(night: Night) -> str | None:
    catalogue = night.settings.path(night.settings.offers.catalogue)
    return None if catalogue.is_file() else f"there are no offers in {catalogue.name}"


def _publish(night: Night, _: str) -> Done:
    from churn.commands.publish import publish

    plan, checks = night.out(PLAN), night.out(MONITOR)
    result = publish(
        night.config,
        scores=night.out(SCORES),
        plan=plan if _offers_there(night) is None and plan.is_file() else None,
        monitored=checks if checks.is_file() else None,
        as_of=str(night.as_of),
        progress=night.progress,
    )
    return _done(result, *(path for path in result.files if isinstance(path, Path)))


def _deliver(night: Night, _: str) -> Done:
    """An export of the list, or the messages."""
    if night.settings.run.deliver == "export":
        from churn.commands.export import export

        out = night.out(LIST)
        result = export(
            night.config,
            plan=night.out(PLAN),
            out=out,
            on=str(night.as_of),
            progress=night.progress,
        )
        return _done(result, out)
    from churn.commands.send import send

    sent = send(
        night.config,
        plan=night.out(PLAN),
        through=night.settings.run.through,
        on=str(night.as_of),
        progress=night.progress,
    )
    return _done(sent)


def _delivery_due(night: Night) -> str | None:
    if night.settings.run.deliver == "none":
        return '[run] deliver = "none"'
    return _offers_there(night)


def _measure(night: Night, _: str) -> Done:
    from churn.commands.measure import measure

    out, before = night.out(MEASURED), _matured_before(night)
    result = measure(
        night.config,
        out=out,
        as_of=str(night.as_of),
        planned_before=before,
        progress=night.progress,
    )
    notes: tuple[str, ...] = ()
    if result.exit_code:
        notes = ("the groups of the campaign are not those that were planned: see `churn measure`",)
    return Done(files=(out,), notes=notes, facts={"plan_as_of": result.metrics["plan_as_of"]})


def _measurement_due(night: Night) -> str | None:
    from churn.offers.catalogue import Offers

    missing = _offers_there(night)
    if missing is not None:
        return missing
    offers = Offers.load(night.settings.path(night.settings.offers.catalogue))
    last = night.ledger.last_plan(offers.campaign_id, _matured_before(night))
    return None if last is not None else "no plan has matured"


def _matured_before(night: Night) -> date:
    """Plans dated before this have a closed horizon."""
    from churn.modeling.manifest import CHAMPION, read_unverified, resolve_bundle

    folder = resolve_bundle(night.models / CHAMPION)
    clock, cutoffs = (read_unverified(folder)[name] for name in ("clock", "cutoffs"))
    days = int(clock["horizon_days"]) + int(cutoffs["arrival_lag_days"])
    return night.as_of - timedelta(days=days - 1)


def _monitor(night: Night, _: str) -> Done:
    """The checks as a file; none is left if they failed, or the old ones would be published."""
    from churn.commands.monitor import monitor
    from churn.reporting.page_tables import plain

    out = night.out(MONITOR)
    try:
        result = monitor(night.config, as_of=str(night.as_of), progress=night.progress)
    except ChurnError:
        out.unlink(missing_ok=True)
        raise
    with publish_file(out) as temporary:
        document = {**result.metrics, "notes": list(result.warnings)}
        temporary.write_bytes(canonical_json(plain(document)) + b"\n")
    signal = str(result.resolved["signal"])
    alarms = int(result.resolved["alarms"])
    done = _done(result, out)
    return Done(done.exit_code, done.files, (signal,) if alarms else (), {"alarms": alarms})


def _report(night: Night, _: str) -> Done:
    from churn.commands.report import report

    out = night.out(REPORT)
    return _done(report(night.config, out=out), out)


def _digest(night: Night, _: str) -> Done:
    """The digest as a file, and as a message if somebody is named."""
    from churn.commands.digest import digest

    settings, out = night.settings, night.out(DIGEST)
    posted = settings.digest.through == "webhook" and settings.delivery.webhook is not None
    result = digest(night.config, send=bool(settings.digest.to) or posted)
    with publish_file(out) as temporary:
        lines = (str(result.metrics["subject"]), "", *result.metrics["lines"])
        temporary.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return _done(result, out)


def _done(result: JobResult, *files: Path) -> Done:
    notes = () if result.failure is None else (result.failure,)
    return Done(result.exit_code, files, notes)


FACES = ("delivery", "digest", "monitor", "recommend", "run", "serving")
"""Sections that say where results go and how they look."""

STEPS = (
    Step("check", _check, ignores=(*FACES, "tracking")),
    Step("train", _train, due=_training_due, ignores=(*FACES, "offers"), vital=True),
    Step("score", _score, ignores=(*FACES, "offers", "tracking"), vital=True),
    Step("plan", _plan, due=_offers_there, needs=("score",), ignores=(*FACES, "tracking")),
    Step("measure", _measure, due=_measurement_due, ignores=(*FACES, "tracking")),
    Step(
        "monitor",
        _monitor,
        reads=("measure",),
        ignores=("digest", "offers", "recommend", "run", "serving", "tracking"),
    ),
    Step(
        "publish",
        _publish,
        needs=("score",),
        reads=("plan", "measure", "monitor"),
        ignores=("digest", "monitor", "recommend", "run", "tracking"),
    ),
    Step("report", _report, needs=("publish",), ignores=("digest", "recommend", "run", "tracking")),
    Step("deliver", _deliver, due=_delivery_due, needs=("plan",)),
    Step("digest", _digest, needs=("publish",), ignores=("recommend", "run", "tracking")),
)
"""In the order in which they are done."""
