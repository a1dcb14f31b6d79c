"""`churn export`: a plan's offers as a list for a campaign tool, with consent checked again."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa

from churn.campaigns.delivery.audiences import ADS, Audience, audience, hashed_audience
from churn.campaigns.delivery.coupon_codes import code_files, with_codes
from churn.campaigns.delivery.deliverable import LEFT_OUT, Deliverable, offered
from churn.campaigns.delivery.no_recipients import why_nothing_goes_out
from churn.campaigns.delivery.planned import Planned, digest_of
from churn.campaigns.delivery.transports import TRANSPORTS
from churn.commands.delivery.notes import UNKNOWN_CONSENT, consent_notes
from churn.commands.delivery.plan_on_record import (
    LIST,
    asked_date,
    check_offer,
    check_on_record,
    delivery_date,
    plan_table,
    transport_notes,
)
from churn.commands.previous_results import LISTS
from churn.commands.session import Progress, Session, inputs, open_session, silent
from churn.config import load_settings
from churn.data.people import addresses
from churn.results.job_result import JobResult, Table
from churn.results.output import check_out, guard_notes, outputs
from churn.results.workbook import by_money
from churn.storage.exports import Export, record_export
from churn.storage.postgres.address import Place, place_of


def export(  # noqa: PLR0913 - the options of the command, each by its own name
    config: Path,
    *,
    plan: Place | str,
    out: Place | str,
    audience_name: str | None = None,
    offer: str | None = None,
    on: str | None = None,
    replace: bool = False,
    run_id: str | None = None,
    plan_run_id: str | None = None,
    by: str | None = None,
    progress: Progress = silent,
) -> JobResult:
    """The plan's offers that may be sent on a date, as a list or as an audience of hashes.

    The plan and a list are files or tables, `postgresql://…#table`; an audience is a file.
    The date defaults to the end of the data, or the plan's own where that is later. The plan has to
    be the one on record for its campaign and date, and of the run `plan_run_id` if that is given;
    what was exported is remembered in the ledger, with who asked for it, `by`.
    """
    kind = None if audience_name is None else audience(audience_name)
    target, given, asked = place_of(out), place_of(plan), asked_date(on)
    settings = load_settings(config)
    catalogue = settings.path(settings.offers.catalogue)
    kept = [*inputs(config), given, *code_files(catalogue)]
    check_out(target, LISTS if kind is None else None, keep=kept, option="--to")
    with (
        open_session(
            "export", config, as_of=asked, progress=progress, beyond_data=True, run_id=run_id
        ) as session,
        session.writing_result(target, LISTS, keep=kept, option="--to") as writer,
    ):
        session.facts |= {} if by is None else {"by": by}
        table = plan_table(given)
        planned = Planned.read(table)
        check_offer(offer, planned)
        when = delivery_date(session, planned, asked=on is not None)
        check_on_record(session, planned, given, plan_run_id=plan_run_id)
        progress("checking consent")
        sent = _sendable(session, table, kind, offer=offer, on=when)
        rows = sent.table
        if kind is None:
            rows = with_codes(by_money(rows), catalogue, session.ledger)
        facts = _facts(planned, table, sent, kind, offer=offer, on=when)
        writer.write(rows, {**facts, "run_id": session.run_id})
        earlier = _remember(session, planned, rows, facts, replace=replace)
        session.facts |= facts
        notes = (*_notes(session, facts, sent, earlier), *guard_notes(writer))
    return _result(session, when, facts, outputs(target, writer), notes=notes)


def _sendable(
    session: Session, plan: pa.Table, kind: Audience | None, *, offer: str | None, on: date
) -> Deliverable:
    channel = ADS if kind else None
    sent = session.consents.deliverable(plan, on=on, offer=offer, channel=channel)
    if kind is None:
        return sent
    region = session.settings.offers.phone_region
    return hashed_audience(sent, addresses(session.tables), kind, phone_region=region)


def _facts(
    planned: Planned | None,
    plan: pa.Table,
    sent: Deliverable,
    kind: Audience | None,
    *,
    offer: str | None,
    on: date,
) -> dict[str, Any]:
    """What the manifest, the ledger and `--json` tell of the export besides its rows."""
    return {
        "plan_run_id": None if planned is None else planned.run_id,
        "campaign_id": None if planned is None else planned.campaign_id,
        "plan_as_of": None if planned is None else str(planned.as_of),
        "audience": LIST if kind is None else kind.name,
        "offer_id": offer,
        "exported_on": str(on),
        "plan_rows": plan.num_rows,
        "offered": offered(plan).num_rows,
        "exported": sent.table.num_rows,
        "left_out": sent.left_out,
    }


def _remember(
    session: Session,
    planned: Planned | None,
    rows: pa.Table,
    facts: dict[str, Any],
    *,
    replace: bool,
) -> tuple[Export, bool] | None:
    """The earlier export of the same, with whether it held the same rows; None where it is new."""
    if planned is None or not rows.num_rows:  # an empty list contacts nobody
        return None
    same = [name for name in rows.column_names if name != "run_id"]  # a plan made again has another
    digest = digest_of(rows.select(same))
    record = Export(
        run_id=session.run_id,
        campaign_id=planned.campaign_id,
        as_of=planned.as_of,
        plan_digest=planned.digest,
        audience=facts["audience"],
        offer_id=facts["offer_id"],
        exported_on=date.fromisoformat(facts["exported_on"]),
        rows=rows.num_rows,
        list_digest=digest,
    )
    earlier = record_export(session.ledger, record, plan_run_id=planned.run_id, replace=replace)
    return None if earlier is None else (earlier, earlier.list_digest == digest)


def _result(
    session: Session,
    on: date,
    facts: dict[str, Any],
    files: dict[Path | str, str],
    *,
    notes: tuple[str, ...],
) -> JobResult:
    return JobResult(
        command="export",
        run_id=session.run_id,
        as_of=on,
        resolved={"consent": session.settings.offers.consent, "audience": facts["audience"]},
        rows={"plan": facts["plan_rows"], "exported": facts["exported"]},
        audits=session.tables.audits,
        metrics=facts,
        files=files,
        warnings=notes,
        tables=(_shown(facts),),
    )


def _shown(facts: dict[str, Any]) -> Table:
    told = [
        ("offers in the plan", f"{facts['offered']:,}", ""),
        *(("left out: " + c, f"{facts['left_out'][c]:,}", LEFT_OUT[c]) for c in facts["left_out"]),
        ("exported", f"{facts['exported']:,}", ""),
    ]
    return Table("Export", ("", "customers", "why"), tuple(told))


def _notes(
    session: Session,
    facts: dict[str, Any],
    sent: Deliverable,
    earlier: tuple[Export, bool] | None,
) -> tuple[str, ...]:
    notes = consent_notes(session, unknown=UNKNOWN_CONSENT)
    if not facts["exported"]:
        notes.append(why_nothing_goes_out(facts["offered"], facts["left_out"]))
    if facts["audience"] != LIST and facts["left_out"].get("other_channel"):
        notes.append(f"audiences hold offers of the channel {ADS!r} alone")
    if facts["audience"] == LIST:
        notes += transport_notes(session, facts, others=TRANSPORTS)
    if earlier is not None:
        notes.append(_told_again(*earlier, rows=facts["exported"]))
    return tuple(notes)


def _told_again(earlier: Export, same: bool, *, rows: int) -> str:
    before = f"exported before, in run {earlier.run_id} on {earlier.exported_on}"
    if same:
        return f"{before}: the same rows again, so whoever got that list needs no second one"
    return f"{before}, with {earlier.rows:,} rows and now {rows:,}: put this list in its place"
