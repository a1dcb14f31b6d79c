"""`churn publish`: everything that is known as of a date, in one file for pages and reports."""

from __future__ import annotations

from contextlib import AbstractContextManager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from churn.commands.published_parts import Parts, gather, rows_to_measure, scores_base
from churn.commands.session import Progress, Session, inputs, open_session, silent
from churn.data.days import date_of
from churn.data.people import known_orders
from churn.errors import ConfigError
from churn.reporting.page_tables import Page, earlier_history, plain, write_page
from churn.reporting.published import PublishedRow
from churn.reporting.timeline import timeline
from churn.reporting.views import views_sql
from churn.results.job_result import JobResult, Table, hashed
from churn.storage.erasures import remembered
from churn.storage.manifests import publish_with_manifest
from churn.storage.postgres.address import Place, place_of
from churn.storage.publish import check_writable, publish_file

ENDING = ".duckdb"


def publish(
    config: Path,
    *,
    out: Path | str | None = None,
    scores: Place | str | None = None,
    plan: Place | str | None = None,
    monitored: Path | None = None,
    as_of: str | None = None,
    progress: Progress = silent,
) -> JobResult:
    """Writes `out`, by default `[serving] published`, and `views.sql` next to it.

    `scores` and `plan` are files or tables of the same date; without them, the newest on record.
    Without scores on record the champion scores; a plan is never made here, because a plan
    on record starts cooldowns. `monitored` holds the checks of `churn monitor` for that date, which
    are computed without it. What cannot be computed is listed with its reason.
    """
    given = None if scores is None else place_of(scores)
    planned = None if plan is None else place_of(plan)
    kept = inputs(config)
    read_at = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
    with open_session("publish", config, as_of=as_of, progress=progress) as session:
        settings = session.settings
        target = settings.path(settings.serving.published) if out is None else Path(out).absolute()
        _check_target(target, [place for place in kept if isinstance(place, Path)])
        parts = gather(session, scores=given, plan=planned, checks=monitored)
        row = _row(session, parts, read_at)
        documents = _documents(parts)
        progress("writing the page")
        with _writing(session, target, row) as temporary:
            counts = write_page(temporary, _page(session, parts, row, documents, target))
            session.check_erased()
        with publish_file(target.with_name("views.sql")) as temporary:
            temporary.write_text(views_sql(), encoding="utf-8")
        session.facts |= {"rows": counts, "missing": sorted(parts.missing)}
    return _result(session, parts, counts, target)


def _check_target(target: Path, kept: list[Path]) -> None:
    if target.suffix != ENDING:
        rule = f"the published file must end in {ENDING}"
        raise ConfigError(rule, got=target.name, fix='Name it e.g. "out/page.duckdb".')
    if target.resolve() in {place.resolve() for place in kept}:
        rule = "the published file must not be one that the command reads"
        raise ConfigError(rule, got=target.name, fix="Pass another file.")
    check_writable(target)


def _writing(session: Session, target: Path, row: PublishedRow) -> AbstractContextManager[Path]:
    facts = {"run_id": row.run_id, "as_of": str(row.as_of), "version": row.version}
    return remembered(
        publish_with_manifest(target, facts), session.ledger, target, command="publish"
    )


def _row(session: Session, parts: Parts, read_at: datetime) -> PublishedRow:
    email = session.settings.delivery.email
    return PublishedRow(
        run_id=session.run_id,
        as_of=session.as_of,
        published_at=datetime.now(UTC).replace(tzinfo=None, microsecond=0),
        orders_until=_orders_until(session),
        orders_read_at=read_at,
        model_id=parts.model_id,
        model_as_of=parts.model_as_of,
        currency=session.settings.data.currency,
        shop="" if email is None else email.shop,
        language=session.settings.scoring.language,
    )


def _orders_until(session: Session) -> date | None:
    """The date of the last order before the session's date."""
    known = known_orders(session.snapshot)
    sql = f"SELECT max(local_day) AS day FROM orders WHERE {known}"  # noqa: S608 - our names
    (found,) = session.tables.engine.rows(sql)
    return None if found["day"] is None else date_of(int(str(found["day"])))


def _documents(parts: Parts) -> dict[str, Any]:
    named = {name: plain(document) for name, document in parts.documents.items()}
    return {**named, "missing": parts.missing, "notes": parts.notes}


def _page(
    session: Session, parts: Parts, row: PublishedRow, documents: dict[str, Any], target: Path
) -> Page:
    measures = rows_to_measure(session)
    base = measures if parts.scores is None else scores_base(parts.scores)
    return Page(
        row=row,
        documents=documents,
        base=base,
        measures=None if parts.scores is None else measures.drop_columns(["status"]),
        plan=parts.plan,
        consents=session.consents.to_send(session.as_of),
        timeline=timeline(session.snapshot, session.ledger),
        history=earlier_history(target, row, base.num_rows),
        curve=documents.get("plan", {}).get("value_curve", ()),
        day_timezone=session.settings.data.day_timezone,
    )


def _result(session: Session, parts: Parts, counts: dict[str, int], target: Path) -> JobResult:
    absent = tuple(
        f"published without {name}: {reason}" for name, reason in sorted(parts.missing.items())
    )
    shown = tuple((name.replace("_", " "), f"{count:,}") for name, count in counts.items())
    return JobResult(
        command="publish",
        run_id=session.run_id,
        as_of=session.as_of,
        rows=counts,
        audits=session.tables.audits,
        model_id=parts.model_id,
        metrics={"documents": sorted(parts.documents), "missing": parts.missing},
        files=hashed(target, target.with_name("views.sql")),
        warnings=(*absent, *(note for notes in _own(parts) for note in notes)),
        tables=(Table(f"Published as of {session.as_of}", ("table", "rows"), shown),),
    )


def _own(parts: Parts) -> list[list[str]]:
    """Notes of the parts, without those of the tables, which every command shows."""
    return [notes for name, notes in parts.notes.items() if name in ("score", "plan")]
