"""`churn send`: the offers of a plan as messages, each once, with consent checked again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace as replaced
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from churn.campaigns.delivery.deliverable import LEFT_OUT, UNSENT, offered
from churn.campaigns.delivery.dispatch import Dispatch, Tally, batches
from churn.campaigns.delivery.outbox import Outbox, SendRequest, fill_outbox, reachable_customers
from churn.campaigns.delivery.planned import Planned, digest_of, product_names
from churn.campaigns.delivery.quiet_hours import QuietHours
from churn.campaigns.delivery.transport import Clock, Recipient, Setup, Transport
from churn.campaigns.delivery.transports import check_messages, configured, write_preview
from churn.commands.delivery.notes import cause_of_end, local_time, sending_notes
from churn.commands.delivery.plan_on_record import (
    asked_date,
    check_offer,
    check_on_record,
    delivery_date,
    plan_table,
)
from churn.commands.session import Progress, Session, open_session, recorded_objectors, silent
from churn.config import Settings, load_settings
from churn.data.tables import Tables
from churn.errors import ConfigError, StorageError
from churn.recommendations.recommender import RECOMMENDED_SCHEMA
from churn.results.job_result import JobResult, Table, hashed
from churn.results.output import read_table
from churn.storage.exports import Export, check_export, record_export
from churn.storage.locks import exclusive, lock_beside
from churn.storage.messages import enqueue
from churn.storage.postgres.address import Place, place_of
from churn.storage.withdrawals import last_told

BECAME = {
    "sent": "taken by the other side",
    "withdrawn": "withdrew while this was running",
    "failed": "refused for good",
    "unknown": "went out, and no answer came",
    "waiting": "not sent yet",
}
"""The states of messages after a run, with their meaning."""


def send(  # noqa: PLR0913 - the options of the command, each by its own name
    config: Path,
    *,
    plan: Place | str,
    through: str = "email",
    offer: str | None = None,
    on: str | None = None,
    products: Path | None = None,
    dry_run: bool = False,
    preview: Path | None = None,
    limit: int | None = None,
    replace: bool = False,
    retry_unknown: bool = False,
    wait: bool = False,
    run_id: str | None = None,
    plan_run_id: str | None = None,
    by: str | None = None,
    clock: Clock | None = None,
    progress: Progress = silent,
) -> JobResult:
    """Sends a plan's offers to customers who may receive them on a date and have not yet.

    The plan is a file or a table, `postgresql://…#table`.
    The date is that of `churn export`. A `dry_run` counts, a `preview` also writes one message of
    each offer into a folder; neither sends anything. At most `limit` messages are sent. Exit code 7
    if the other side fails: the next run sends the rest. With `plan_run_id`, the plan has to be of
    that run. `by` is who asked for it, which the ledger records.
    """
    settings = load_settings(config)
    looks = dry_run or preview is not None
    request = SendRequest(
        transport=_transport(through, settings, dry_run=looks),
        offer=offer,
        limit=limit,
        replace=replace,
        retry_unknown=retry_unknown,
        wait=wait,
        dry_run=looks,
        clock=clock or Clock(),
    )
    given, asked = place_of(plan), asked_date(on)
    table = plan_table(given)
    _wait_for_opening(settings.quiet_hours, request, progress)
    with (
        exclusive(lock_beside(settings.path("send")), what="sending"),
        open_session(
            "send", config, as_of=asked, progress=progress, beyond_data=True, run_id=run_id
        ) as session,
    ):
        session.facts |= {"dry_run": looks, **({} if by is None else {"by": by})}
        since = last_told(session.ledger)
        planned = Planned.read(table)
        check_offer(offer, planned)
        when = delivery_date(session, planned, asked=on is not None)
        check_on_record(session, planned, given, plan_run_id=plan_run_id)
        picked = _picked(products, table)
        outbox = _outbox(session, table, planned, request, picked, on=when)
        if planned is not None and outbox.outgoing:
            _remember(session, planned, outbox, request, on=when)
        files = (
            () if preview is None else write_preview(preview, request.transport, outbox.outgoing)
        )
        tally = _sent(session, table, planned, outbox, request, on=when, since=since)
        facts = _facts(planned, table, outbox, tally, request, on=when)
        session.facts |= facts
        notes = sending_notes(session, facts, request, outbox, picked)
        failure = cause_of_end(facts)
    return JobResult(
        command="send",
        run_id=session.run_id,
        as_of=when,
        resolved={"consent": settings.offers.consent, "through": through},
        rows={"plan": table.num_rows, "to_send": len(outbox.outgoing), "sent": facts["sent"]},
        audits=session.tables.audits,
        metrics=facts,
        files=hashed(*files),
        warnings=notes,
        tables=(_shown(facts, request.transport.recipient),),
        exit_code=0 if failure is None else StorageError.exit_code,
        failure=failure,
    )


def _transport(name: str, settings: Settings, *, dry_run: bool) -> Transport:
    setup = Setup(
        settings=settings.delivery,
        folder=settings.folder,
        catalogue=settings.path(settings.offers.catalogue),
        agreed=settings.offers.consent == "required",
        phone_region=settings.offers.phone_region,
        dry_run=dry_run,
    )
    return configured(name, setup)


def _wait_for_opening(quiet: QuietHours | None, request: SendRequest, progress: Progress) -> None:
    """Waits for the end of the quiet hours before anything is read, if that was requested."""
    if quiet is None or not request.wait or request.dry_run:
        return
    opens = quiet.opens_at(request.clock.now())
    progress(f"waiting until {local_time(opens, quiet)}")
    request.clock.wait_until(opens)


def _outbox(
    session: Session,
    table: pa.Table,
    planned: Planned | None,
    request: SendRequest,
    picked: Mapping[str, tuple[str, ...]],
    *,
    on: date,
) -> Outbox:
    """The messages to send; one of each offer is rendered to check that it can be."""
    session.progress("checking consent")
    run_id = session.run_id
    outbox = fill_outbox(
        session.consents, table, planned, request, on=on, run_id=run_id, picked=picked
    )
    check_messages(request.transport, outbox.outgoing)
    return outbox


def _still_reachable(
    session: Session, table: pa.Table, planned: Planned, request: SendRequest, *, on: date
) -> set[str]:
    """The customers who may be sent a message according to the shop's tables as they are now."""
    settings = session.settings
    erased = settings.erased()  # includes customers erased in the meantime
    tables = Tables.from_settings(settings.data, folder=settings.folder, erased=erased)
    tables = replaced(tables, objecting=recorded_objectors(settings, session.ledger))
    try:
        consents = replaced(session.consents, tables=tables, erased=erased)
        return reachable_customers(consents, table, planned, request, on=on)
    finally:
        tables.close()


def _picked(products: Path | None, plan: pa.Table) -> Mapping[str, tuple[str, ...]]:
    if products is None:
        return {}
    found = read_table(
        products, what="recommendations", command="recommend", schema=RECOMMENDED_SCHEMA
    )
    return product_names(found, set(plan["customer_id"].to_pylist()))


def _sent(
    session: Session,
    table: pa.Table,
    planned: Planned | None,
    outbox: Outbox,
    request: SendRequest,
    *,
    on: date,
    since: int,
) -> Tally:
    """What became of the messages; nothing where it was a dry run or there are none."""
    if request.dry_run or planned is None or not outbox.outgoing:
        return Tally()
    enqueue(session.ledger, [one.message for one in outbox.outgoing])
    total = len(outbox.outgoing)
    dispatch = Dispatch(
        session.ledger,
        request.transport.connect(request.clock),
        since=since,
        clock=request.clock,
        quiet=session.settings.quiet_hours,
        wait=request.wait,
        attempts=request.transport.attempts,
        per_minute=request.transport.per_minute,
        progress=lambda done: session.progress(f"sending: {done:,} of {total:,}"),
        ask_again=partial(_still_reachable, session, table, planned, request, on=on),
    )
    try:
        return dispatch.send(batches(outbox.outgoing))
    except KeyboardInterrupt:
        cause = "interrupted; what was sent is on record, and the same command sends the rest"
        raise KeyboardInterrupt(cause) from None


def _remember(
    session: Session, planned: Planned, outbox: Outbox, request: SendRequest, *, on: date
) -> None:
    """Records that the plan was sent through the transport; ConfigError if another plan of its
    campaign and date was.

    A dry run only checks.
    """
    record = Export(
        run_id=session.run_id,
        campaign_id=planned.campaign_id,
        as_of=planned.as_of,
        plan_digest=planned.digest,
        audience=request.transport.name,
        offer_id=request.offer,
        exported_on=on,
        rows=outbox.rows.num_rows,
        list_digest=digest_of(outbox.rows.drop_columns(["run_id"])),
    )
    put = check_export if request.dry_run else partial(record_export, plan_run_id=planned.run_id)
    try:
        put(session.ledger, record, replace=request.replace)
    except ConfigError as other:
        rule = (
            f"one plan of campaign {planned.campaign_id!r} as of {planned.as_of} may be sent "
            f"through {request.transport.name!r}"
        )
        fix = "Send that plan; or pass --replace: customers with a message get no second one."
        raise ConfigError(rule, got=other.got, fix=fix) from None


def _facts(
    planned: Planned | None,
    table: pa.Table,
    outbox: Outbox,
    tally: Tally,
    request: SendRequest,
    *,
    on: date,
) -> dict[str, Any]:
    """The facts of the sending for the ledger and `--json`."""
    return {
        "plan_run_id": None if planned is None else planned.run_id,
        "campaign_id": None if planned is None else planned.campaign_id,
        "plan_as_of": None if planned is None else str(planned.as_of),
        "through": request.transport.name,
        "offer_id": request.offer,
        "sent_on": str(on),
        "dry_run": request.dry_run,
        "plan_rows": table.num_rows,
        "offered": offered(table).num_rows,
        "left_out": dict(outbox.left_out),
        "to_send": len(outbox.outgoing),
        **{state: tally.of(state) for state in BECAME},
        "causes": _causes(tally),
        "stopped": tally.stopped,
    }


def _shown(facts: dict[str, Any], recipient: Recipient | None) -> Table:
    left, meaning = facts["left_out"], LEFT_OUT | UNSENT
    if recipient is not None:
        meaning = {code: recipient.worded(text) for code, text in meaning.items()}
    rows = [
        ("offers in the plan", f"{facts['offered']:,}", ""),
        *(("left out: " + code, f"{left[code]:,}", meaning[code]) for code in left),
        ("to send", f"{facts['to_send']:,}", "a dry run: nothing was sent" * facts["dry_run"]),
        *((state, f"{facts[state]:,}", _why(state, facts)) for state in BECAME if facts[state]),
    ]
    return Table("Sending", ("", "customers", "why"), tuple(rows))


def _why(state: str, facts: dict[str, Any]) -> str:
    """The meaning of the state, with the causes."""
    causes = facts["causes"].get(state, {})
    listed = ", ".join(f"{number:,} x {cause}" for cause, number in causes.items())
    return f"{BECAME[state]} ({listed})" if listed else BECAME[state]


def _causes(tally: Tally) -> dict[str, dict[str, int]]:
    """The number of messages by state and cause; without those that have no cause."""
    found: dict[str, dict[str, int]] = {}
    for (state, cause), number in sorted(tally.counts.items(), key=str):
        if cause is not None and number:
            found.setdefault(state, {})[cause] = number
    return found
