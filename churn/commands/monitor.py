"""`churn monitor`: whether the champion can still be trusted, and alerts if it cannot."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from churn.analytics.analysis import Analysis
from churn.analytics.cells import Cell
from churn.commands.analyses import run_analysis
from churn.commands.score import load_named_model
from churn.commands.session import Progress, Session, inputs, silent
from churn.data.calendar import OrderDays
from churn.data.freshness import freshness
from churn.errors import ConfigError, GateError, StorageError
from churn.modeling.model import ChurnModel
from churn.monitoring.alerts import alerts, prometheus_text
from churn.monitoring.monitor import MonitorOptions
from churn.monitoring.monitor import monitor as run_monitor
from churn.results.job_result import JobResult, hashed
from churn.storage.files import canonical_json
from churn.storage.postgres.address import Place
from churn.storage.publish import publish_file

MEASUREMENTS = 100


def monitor(
    config: Path,
    *,
    out: Place | str | None = None,
    as_of: str | None = None,
    model: str | None = None,
    strict: bool = False,
    progress: Progress = silent,
) -> JobResult:
    """The checks of every layer, as tables, and the retrain signal; `out` gets one row per check.

    The alerts go where `[monitor]` says: a JSON file, a file for Prometheus, the webhook of
    `[delivery.webhook]`. Exit code 4 if `strict` and there is an alarm, 7 if an alert could not be
    delivered.
    """
    found: list[tuple[Analysis, tuple[Path, ...], str | None]] = []

    def analyse(session: Session) -> Analysis:
        analysis = monitored(session, load_named_model(session, model))
        files, failure = _alerted(session, analysis, kept=inputs(config))
        found.append((analysis, files, failure))
        return analysis

    result = run_analysis(
        "monitor",
        config,
        analyse,
        _no_lists,
        out=out,
        customers=None,
        as_of=as_of,
        progress=progress,
    )
    analysis, files, failure = found[0]
    alarms = int(analysis.resolved["alarms"])
    code = GateError.exit_code if strict and alarms else 0
    return replace(
        result,
        model_id=analysis.resolved["model_id"],
        files={**result.files, **hashed(*files)},
        exit_code=code if failure is None else StorageError.exit_code,
        failure=failure,
    )


def _no_lists(_: Session, cell: Cell) -> pa.Table:
    raise ConfigError("monitoring lists no customers", got=str(cell), fix="Use `churn metrics`.")


def monitored(session: Session, fitted: ChurnModel) -> Analysis:
    """The analysis of a session, with its facts on record."""
    settings = session.settings
    limits = freshness(
        OrderDays.of(session.tables.engine),
        session.as_of,
        warn_after_days=settings.data.warn_after_days,
        error_after_days=settings.data.error_after_days,
    )
    session.progress("comparing predictions with what came")
    analysis = run_monitor(
        fitted,
        session.snapshot,
        planned=_planned(session, fitted),
        campaigns=_measured(session),
        options=MonitorOptions(
            error_after_days=limits.error_after_days,
            most_rows=settings.model.most_rows,
        ),
    )
    session.facts |= {
        "model_id": analysis.resolved["model_id"],
        "alarms": analysis.resolved["alarms"],
        "signal": analysis.table("signal").to_pylist()[0],
    }
    return analysis


def _planned(session: Session, fitted: ChurnModel) -> list[tuple[str, date]]:
    """Customer and date of every offer by the ledger that may reach into an open horizon."""
    since = session.as_of - timedelta(days=3 * fitted.cutoffs_.closing_days)
    contacts = session.ledger.contacts_since(since, session.as_of, excluding=("", date.min))
    same = session.settings.same_customer
    return [(same(contact.customer_id), contact.as_of) for contact in contacts]


def _measured(session: Session) -> list[dict[str, Any]]:
    """The newest measurement of each plan, oldest plan first."""
    newest: dict[tuple[str, str], dict[str, Any]] = {}
    for run in session.ledger.runs("measure", limit=MEASUREMENTS):
        key = (str(run.facts.get("campaign_id")), str(run.facts.get("plan_as_of")))
        if run.status == "done" and "campaign_id" in run.facts:
            newest.setdefault(key, run.facts)
    return [newest[key] for key in sorted(newest, key=lambda key: (key[1], key[0]))]


def _alerted(
    session: Session, found: Analysis, *, kept: list[Place]
) -> tuple[tuple[Path, ...], str | None]:
    """The files of the alerts, and why one could not be delivered."""
    settings, now = session.settings.monitor, datetime.now(UTC)
    files = []
    payload = alerts(found, at=now)
    if settings.alerts is not None:
        text = json.dumps(payload, ensure_ascii=False, indent=1)
        files.append(_written(session, settings.alerts, f"{text}\n", kept))
    if settings.textfile is not None:
        files.append(_written(session, settings.textfile, prometheus_text(found, at=now), kept))
    failure = None
    if settings.webhook and payload["data"]["alarms"]:
        failure = _posted(session, payload)
    return tuple(files), failure


def _written(session: Session, name: str, text: str, kept: list[Place]) -> Path:
    path = session.settings.path(name)
    if path in kept:
        rule = "[monitor] must not name a file that is read"
        raise ConfigError(rule, got=path.name, fix="Choose another name.")
    with publish_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


def _posted(session: Session, payload: dict[str, Any]) -> str | None:
    """Posts the alerts; why they did not arrive, None if they did."""
    from churn.campaigns.delivery.webhook import WebhookConnection

    webhook = session.settings.delivery.webhook
    if webhook is None:
        rule = "[monitor] webhook needs the section [delivery.webhook]"
        raise ConfigError(rule, fix="Name its url and secret, or set webhook = false.")
    digest = hashlib.sha256(canonical_json(payload["data"])).hexdigest()[:16]
    body = json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
    connection = WebhookConnection(webhook)
    try:
        outcome = connection.post(f"monitor-{session.as_of}-{digest}", body)
    finally:
        connection.close()
    if outcome.state == "sent":
        return None
    return f"the alerts were not delivered to the webhook ({outcome.cause or outcome.state})"
