"""`churn measure`: what a campaign earned, told from those who were kept without it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from decimal import Decimal
from pathlib import Path
from typing import Any

from churn.files.postgres.address import Place, place_of
from churn.jobs.codes import known_codes
from churn.jobs.measure_tables import measure_tables
from churn.jobs.measured_plan import MadePlan, made_plan, probabilities
from churn.jobs.output import TableWriter, check_out, file_of
from churn.jobs.resolve import resolve_clock
from churn.jobs.result import JobResult, hashed
from churn.jobs.session import Progress, Session, inputs, open_session, silent
from churn.retention.measurement.money import money_of
from churn.retention.measurement.reading import Reading, read
from churn.retention.measurement.rows import Measured, measured_rows
from churn.retention.offers import Offers

__all__ = ["measure"]

UNKNOWN_RUN = (
    "the ledger does not know the run that made this plan: its shares are those of its manifest"
)
REFUSED = 4


def measure(
    config: Path,
    *,
    plan: Place | str | None = None,
    scores: Place | str | None = None,
    out: Path | str | None = None,
    as_of: str | None = None,
    progress: Progress = silent,
) -> JobResult:
    """The effect of a plan on retained customers, orders and margin, its cost and what it earned.

    `plan` is a file or a table, `postgresql://…#table`; without one the newest of the catalogue's
    campaign in the ledger. `scores` are those of the plan's date, for CUPED. `out` gets one row per
    customer, and in its manifest the money whose sums are those of the rows. Exit code 4 where the
    groups are not those that were planned.
    """
    given, scored = (None if one is None else place_of(one) for one in (plan, scores))
    kept = [*inputs(config), *(place for place in (given, scored) if place is not None)]
    file = None if out is None else file_of(out)
    if file is not None:
        check_out(file, keep=kept)
    with (
        open_session("measure", config, as_of=as_of, progress=progress) as session,
        _writing(session, file, kept) as writer,
    ):
        offers = Offers.load(session.settings.path(session.settings.offers.catalogue))
        made = made_plan(session, given, offers)
        progress("counting what came of the plan")
        measured = measured_rows(
            made.rows,
            session.tables.as_of(session.as_of),
            offers,
            horizon_days=resolve_clock(session).horizon_days,
            margin_rate=session.settings.value.margin_rate,
            probability=probabilities(scored, made),
            codes=known_codes(session, offers),
        )
        reading = read(measured, made.shares)
        told = _metrics(session, made, measured, reading)
        session.facts |= told
        if writer is not None:
            writer.write(measured.table, told)
    return _result(session, made, measured, reading, told, file)


def _writing(
    session: Session, out: Path | None, keep: list[Place]
) -> AbstractContextManager[TableWriter | None]:
    return nullcontext() if out is None else session.writing(out, keep=keep)


def _metrics(
    session: Session, made: MadePlan, measured: Measured, reading: Reading
) -> dict[str, Any]:
    """Plain JSON; money is text, so that it stays exact."""
    ratio = reading.ratio
    answers = measured.frame["answer"].value_counts()
    return {
        "plan_run_id": made.run_id,
        "campaign_id": str(measured.frame["campaign_id"].iloc[0]),
        "plan_as_of": str(measured.plan_as_of),
        "closes": str(measured.closes),
        "closed": measured.closed,
        "horizon_days": measured.horizon_days,
        "margin_rate": session.settings.value.margin_rate,
        "currency": session.tables.settings.currency,
        "costs": "redeemed" if measured.redemptions_known else "expected",
        "sent": "contacts" if measured.contacts_known else "planned",
        "sample_ratio": None
        if ratio is None
        else {**ratio.counts, "planned_kept": ratio.planned["kept"], "p_value": ratio.p_value},
        "why_not": reading.why_not,
        "effects": {name: effect.to_dict() for name, effect in reading.effects.items()},
        "money": _plain(money_of(measured, reading)),
        "answers": {str(name): int(count) for name, count in answers.items()},
    }


def _plain(money: dict[str, Any]) -> dict[str, Any]:
    """Decimals as text."""
    return {name: str(one) if isinstance(one, Decimal) else one for name, one in money.items()}


def _result(
    session: Session,
    made: MadePlan,
    measured: Measured,
    reading: Reading,
    told: dict[str, Any],
    out: Path | None,
) -> JobResult:
    ratio = reading.ratio
    unknown = () if made.on_record else (UNKNOWN_RUN,)
    return JobResult(
        command="measure",
        run_id=session.run_id,
        as_of=session.as_of,
        resolved={"horizon_days": measured.horizon_days, "plan_as_of": told["plan_as_of"]},
        rows={"customers": len(measured.frame), "compared": int(measured.frame["compared"].sum())},
        audits=session.tables.audits,
        metrics=told,
        files={} if out is None else hashed(out),
        warnings=(*_notes(session, measured, reading), *unknown, *_about(told["money"])),
        tables=measure_tables(told),
        exit_code=0 if ratio is None or ratio.as_planned else REFUSED,
    )


def _notes(session: Session, measured: Measured, reading: Reading) -> Iterator[str]:
    if reading.why_not is not None:
        yield reading.why_not
    if not measured.closed:
        yield (
            f"a look before the end: {measured.elapsed:.0%} of {measured.horizon_days} days "
            "are seen; the intervals are wider, so that they hold however often one looks; "
            f"the end is seen from {measured.ends} on"
        )
    if not measured.contacts_known:
        yield "no contact of the campaign is on record: whoever was planned counts as sent"
    if not measured.redemptions_known:
        yield "redemptions are not connected: their cost is what the plan expected"
    yield from _unmatched(measured)
    if session.settings.churn.mode == "contractual":
        yield "retained means a purchase here; renewals of subscriptions are not measured"


def _unmatched(measured: Measured) -> Iterator[str]:
    for what, count in measured.unmatched.items():
        many, end = ("redemptions", "they are") if count > 1 else ("redemption", "it is")
        named = what if count > 1 else what.replace("name ", "names ", 1)
        yield f"{count:,} {many} of customers with an offer {named}: {end} not counted"


def _about(money: dict[str, Any]) -> Iterator[str]:
    """What a reader of the money should know: who counts as treated, and a cost that lacks much."""
    treated, offered = money["treated_customers"], money["treated_offered"]
    if offered < treated:
        yield (
            f"of {treated:,} treated {offered:,} got an offer; for the others none was worth its "
            "cost, or the lot gave none: they count as treated all the same"
        )
    if money["redemptions"] == 0 and money["sent"]:
        yield "no redemption is on record: the cost is that of contacts alone"
