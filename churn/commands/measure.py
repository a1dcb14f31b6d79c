"""`churn measure`: the incremental result of a campaign compared with its holdout."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd

from churn.campaigns.delivery.coupon_codes import known_codes
from churn.campaigns.measurement.afterwards import Afterwards, measure_afterwards
from churn.campaigns.measurement.analysis import PREDICTED, Analysis, analyse
from churn.campaigns.measurement.money import money_of
from churn.campaigns.measurement.rows import INTENDED, PLANNED, Measured, measured_rows
from churn.commands.previous_results import PLANS, SCORES
from churn.commands.session import Progress, Session, inputs, open_session, resolve_clock, silent
from churn.commands.summaries.measurements import measure_tables
from churn.data.erased import without_erased
from churn.errors import ConfigError, DataError
from churn.offers.catalogue import Offers
from churn.results.job_result import JobResult, hashed
from churn.results.output import TableWriter, check_out, file_of, read_result
from churn.storage.erasures import Erased
from churn.storage.exports import Delivered, delivered
from churn.storage.ledger import Ledger
from churn.storage.postgres.address import Place, place_of

UNKNOWN_RUN = (
    "the run that made this plan is not in the ledger: its shares are taken from its manifest"
)
REFUSED = 4


@dataclass(frozen=True)
class MadePlan:
    """The rows of a plan, the run that made it, and its randomised shares; `on_record` if that run
    is in the ledger.
    """

    rows: pd.DataFrame
    run_id: str
    shares: Mapping[str, float]
    on_record: bool = True


def made_plan(
    session: Session, place: Place | None, offers: Offers, *, before: date | None = None
) -> MadePlan:
    """The plan in a file or table, as written; without one, the newest of the campaign.

    DataError if a file does not state its shares, or they differ from those in the ledger;
    ConfigError if there is no plan.
    """
    if place is not None:
        return _as_on_record(_given(place, session.erased), session.ledger, _name(place))
    last = session.ledger.last_plan(offers.campaign_id, before or session.as_of)
    if last is None:
        rule = f"the ledger must contain a plan of campaign {offers.campaign_id!r}"
        fix = "Pass --plan FILE, or make one with `churn plan`."
        raise ConfigError(rule, got=f"none before {before or session.as_of}", fix=fix)
    run, rows = last
    names = (*PLANNED, INTENDED)
    frame = pd.DataFrame({name: [getattr(row, name) for row in rows] for name in names})
    return MadePlan(frame, run.run_id, _shares(run.facts.get("summary"), "the ledger's plan"))


def _given(place: Place, erased: Erased | None) -> MadePlan:
    table, manifest = read_result(place, PLANS, what="plan", command="plan")
    name = _name(place)
    missing = [name for name in PLANNED if name not in table.column_names]
    if missing:
        rule = f"--plan must be a result of `churn plan`: {name} lacks {missing}"
        raise DataError(rule, fix="Pass the file written by `churn plan --out`.")
    facts = manifest or {}
    run_id = str(facts.get("run_id", ""))
    present = [name for name in (*PLANNED, INTENDED) if name in table.column_names]
    rows = without_erased(table.select(present), erased)
    return MadePlan(rows.to_pandas(), run_id, _shares(facts, name))


def _as_on_record(plan: MadePlan, ledger: Ledger, what: str) -> MadePlan:
    """The plan, after its shares were compared with those that the ledger has of its run."""
    run = ledger.run(plan.run_id)
    summary = None if run is None else run.facts.get("summary")
    if summary is not None and dict(plan.shares) != dict(_shares(summary, "the ledger's plan")):
        rule = f"{what} must have the shares recorded in the ledger for its run {plan.run_id}"
        got = f"{_shares_text(plan.shares)} instead of {_shares_text(summary['shares'])}"
        fix = "Its manifest was changed: use the files that `churn plan` wrote, or omit --plan."
        raise DataError(rule, got=got, fix=fix)
    return plan if summary is not None else replace(plan, on_record=False)


def _shares_text(shares: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {share}" for name, share in shares.items())


def _name(place: Place) -> str:
    return place.name if isinstance(place, Path) else str(place)


def _shares(summary: Mapping[str, Any] | None, what: str) -> Mapping[str, float]:
    """The randomised shares of a plan, without which its groups cannot be checked."""
    shares: Mapping[str, float] | None = (summary or {}).get("shares")
    if shares is None or "holdout" not in shares:
        rule = f"{what} must state its holdout share"
        raise DataError(rule, fix="Keep its .manifest.json next to it, or plan again.")
    return shares


def predictions(place: Place | None, plan: MadePlan) -> pd.DataFrame | None:
    """churn_probability and, if present, expected_margin by customer_id when the plan was made;
    None without scores.

    DataError for scores of another date: later ones depend on the result of the campaign.
    """
    if place is None:
        return None
    scores, _ = read_result(place, SCORES)
    planned = set(plan.rows["as_of"])
    dates = set(scores.column("as_of").unique().to_pylist())
    if dates - planned:
        rule = f"scores must be as of the plan's date, {', '.join(sorted(map(str, planned)))}"
        got = ", ".join(sorted(map(str, dates)))
        raise DataError(rule, got=got, fix="Pass the scores that the plan is based on.")
    present = [name for name in PREDICTED if name in scores.column_names]
    known: pd.DataFrame = scores.select(["customer_id", *present]).to_pandas()
    return known.drop_duplicates("customer_id", keep="last").set_index("customer_id")


def measure(
    config: Path,
    *,
    plan: Place | str | None = None,
    scores: Place | str | None = None,
    out: Path | str | None = None,
    as_of: str | None = None,
    planned_before: date | None = None,
    progress: Progress = silent,
) -> JobResult:
    """The effect of a plan on retained customers, orders and margin, its cost and its net result.

    `plan` is a file or a table, `postgresql://…#table`; without one, the newest of the catalogue's
    campaign in the ledger, dated before `planned_before` (default: `as_of`). `scores` are those of
    the plan's date, for CUPED. `out` gets one row per customer, and a manifest with the totals of
    money. Exit code 4 if the groups are not those that were planned (sample ratio mismatch).
    """
    given, scored = (None if place is None else place_of(place) for place in (plan, scores))
    kept = [*inputs(config), *(place for place in (given, scored) if place is not None)]
    file = None if out is None else file_of(out)
    if file is not None:
        check_out(file, keep=kept)
    with (
        open_session("measure", config, as_of=as_of, progress=progress) as session,
        _writing(session, file, kept) as writer,
    ):
        offers = session.offers
        made = made_plan(session, given, offers, before=planned_before)
        progress("counting orders and margin after the plan")
        measured = measured_rows(
            made.rows,
            session.snapshot,
            offers,
            horizon_days=resolve_clock(session).horizon_days,
            margin_rate=session.settings.value.margin_rate,
            scores=predictions(scored, made),
            codes=known_codes(session.ledger, offers),
            delivered=_delivered(session.ledger, made),
        )
        analysis = analyse(measured, made.shares)
        later = measure_afterwards(
            measured, analysis, session.snapshot, margin_rate=session.settings.value.margin_rate
        )
        metrics = _metrics(session, made, measured, analysis) | {"afterwards": later.to_dict()}
        session.facts |= metrics
        if writer is not None:
            writer.write(measured.table, metrics)
    result = _result(session, made, measured, analysis, metrics, file)
    return replace(result, warnings=(*result.warnings, *_later_notes(measured, later)))


def _delivered(ledger: Ledger, made: MadePlan) -> Delivered:
    """What the ledger says was sent of the plan."""
    first = made.rows.iloc[0] if len(made.rows) else None
    if first is None:
        return Delivered(frozenset(), frozenset())
    return delivered(ledger, str(first["campaign_id"]), first["as_of"])


def _writing(
    session: Session, out: Path | None, keep: list[Place]
) -> AbstractContextManager[TableWriter | None]:
    return nullcontext() if out is None else session.writing(out, keep=keep)


def _metrics(
    session: Session, made: MadePlan, measured: Measured, analysis: Analysis
) -> dict[str, Any]:
    """Plain JSON; money is text, so that it stays exact."""
    ratio = analysis.ratio
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
        "sent": measured.sent_by,
        "sample_ratio": None
        if ratio is None
        else {**ratio.counts, "planned_kept": ratio.planned["kept"], "p_value": ratio.p_value},
        "why_not": analysis.why_not,
        "effects": {name: effect.to_dict() for name, effect in analysis.effects.items()},
        "money": _plain(money_of(measured, analysis)),
        "answers": {str(name): int(count) for name, count in answers.items()},
    }


def _plain(money: dict[str, Any]) -> dict[str, Any]:
    """Decimals as text."""
    return {name: str(v) if isinstance(v, Decimal) else v for name, v in money.items()}


def _result(
    session: Session,
    made: MadePlan,
    measured: Measured,
    analysis: Analysis,
    metrics: dict[str, Any],
    out: Path | None,
) -> JobResult:
    ratio = analysis.ratio
    unknown = () if made.on_record else (UNKNOWN_RUN,)
    return JobResult(
        command="measure",
        run_id=session.run_id,
        as_of=session.as_of,
        resolved={"horizon_days": measured.horizon_days, "plan_as_of": metrics["plan_as_of"]},
        rows={"customers": len(measured.frame), "compared": int(measured.frame["compared"].sum())},
        audits=session.tables.audits,
        metrics=metrics,
        files={} if out is None else hashed(out),
        warnings=(*_notes(session, measured, analysis), *unknown, *_money_notes(metrics["money"])),
        tables=measure_tables(metrics),
        exit_code=0 if ratio is None or ratio.as_planned else REFUSED,
    )


def _notes(session: Session, measured: Measured, analysis: Analysis) -> Iterator[str]:
    if analysis.why_not is not None:
        yield analysis.why_not
    if not measured.closed:
        yield (
            f"interim result: {measured.elapsed:.0%} of {measured.horizon_days} days are "
            "complete; the intervals are wider, so that they stay valid at repeated looks; "
            f"the final result is available from {measured.ends} on"
        )
    if measured.sent_by == "ledger":
        yield "no contacts of the campaign are on record: sent is what `send` and `export` recorded"
    if measured.sent_by == "nothing" and measured.frame["offered"].any():
        yield (
            "nothing says that the offers were sent: no contacts of the campaign, no `churn send` "
            "and no `churn export` of this plan are on record. The cost of contacts and the net "
            "result are not reported; connect [data.contacts]"
        )
    if not measured.redemptions_known:
        yield "redemptions are not connected: their cost is the expected cost of the plan"
    yield from _explored_elsewhere(measured)
    yield from _unmatched(measured)
    if session.settings.churn.mode == "contractual":
        yield "retained means a purchase; renewals of subscriptions are not measured"


def _later_notes(measured: Measured, later: Afterwards) -> Iterator[str]:
    """Whether orders were only pulled forward, or from when on that can be seen."""
    if later.was_pulled_forward:
        orders = later.effects["orders"]
        first, then = (orders[span].best.estimate for span in ("within", "afterwards"))
        yield (
            f"orders were pulled forward, in part at least: {first:+.3f} per treated customer in "
            f"the {later.days} days of the campaign, {then:+.3f} in the {later.days} after it"
        )
    elif measured.closed and not later.effects:
        yield (
            f"whether orders were only pulled forward shows in the {later.days} days after the "
            f"window: measure again as of {later.known_from} or later"
        )


def _explored_elsewhere(measured: Measured) -> Iterator[str]:
    """Offers of exploration to customers whom the plan would not serve."""
    elsewhere = int((measured.frame["sent"] & ~measured.frame["compared"]).sum())
    if elsewhere:
        yield (
            f"{elsewhere:,} offers were sent to customers whom the plan would not have served "
            "without exploration: their cost counts, their margin is not compared"
        )


def _unmatched(measured: Measured) -> Iterator[str]:
    for what, count in measured.unmatched.items():
        many, end = ("redemptions", "they are") if count > 1 else ("redemption", "it is")
        named = what if count > 1 else what.replace("name ", "names ", 1)
        yield f"{count:,} {many} of customers with an offer {named}: {end} not counted"


def _money_notes(money: dict[str, Any]) -> Iterator[str]:
    """Notes on the money: who counts as treated, and an incomplete cost."""
    treated, offered = money["treated_customers"], money["treated_offered"]
    if offered < treated:
        yield (
            f"{offered:,} of {treated:,} treated customers got an offer; for the others none was "
            "worth its cost, or randomisation assigned none: they still count as treated"
        )
    if money["redemptions"] == 0 and money["sent"]:
        yield "no redemptions are on record: the cost includes contacts only"
