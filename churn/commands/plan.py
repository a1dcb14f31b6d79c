"""`churn plan`: an offer, or none with the reason, for every customer, within the budget."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from churn.campaigns.delivery.no_recipients import why_nobody_gets_one
from churn.commands.customer_lists import customers_on
from churn.commands.delivery.notes import consent_notes
from churn.commands.effects import known_effects
from churn.commands.previous_results import PLANS, SCORES, guarded_rows
from churn.commands.score import foreknowledge, load_named_model, score_session
from churn.commands.session import Progress, Session, inputs, open_session, resolve_clock, silent
from churn.commands.summaries.plans import plan_tables
from churn.data.consent import longest_cap_days, preference_state
from churn.data.erased import without_erased
from churn.errors import ConfigError
from churn.offers.catalogue import GLOBAL_HOLDOUT, NO_OFFER, Offers
from churn.offers.effects import Effects
from churn.offers.plan import Plan, plan_offers
from churn.offers.remaining_life import RemainingLife
from churn.offers.suppression import Suppression
from churn.results.job_result import JobResult
from churn.results.output import check_out, guard_notes, outputs, read_result
from churn.storage.ledger import Ledger
from churn.storage.postgres.address import Place, place_of
from churn.storage.records import PlanRow
from churn.uplift.learnt import measured_effects

NO_CONSENTS = (
    "no consents are on record, so nobody gets an offer: connect [data.consents], or set "
    '[offers] consent = "assumed" where the law permits it'
)

NOT_LISTED = "customers who are not in the file of --customers"
WORKLIST = {"option": "--worklist", "example": "churn feedback --out worklist.csv"}
CUSTOMERS = {
    "option": "--customers",
    "example": "churn metrics --customers lost --out lost.csv",
}


def plan(  # noqa: PLR0913 - the options of the command, each by its own name
    config: Path,
    *,
    out: Place | str,
    as_of: str | None = None,
    scores: Place | str | None = None,
    budget: float | None = None,
    worklist: Path | None = None,
    customers: Path | None = None,
    dry_run: bool = False,
    run_id: str | None = None,
    accept_change: bool = False,
    by: str | None = None,
    progress: Progress = silent,
) -> JobResult:
    """The plan as of a date, based on the given scores or, without them, on the champion's.

    Scores and `out` are files or tables, `postgresql://…#table`. The plan is written and recorded
    in the ledger, from which later cooldowns are read; a `dry_run` is not recorded. A run with the
    same `run_id` replaces an earlier one in a table. A plan with far fewer customers than the one
    in `out` does not replace it, unless `accept_change`. Customers on the `worklist`, a file as
    written by `churn feedback`, get offers with the objective `service` only. With `customers`, a
    file as written by `--customers CELL`, the plan is of these alone; all others are left out and
    counted. `by` is who asked for it, which the ledger records.
    """
    target, given = place_of(out), None if scores is None else place_of(scores)
    kept = [*inputs(config), *([] if given is None else [given])]
    kept += [path for path in (worklist, customers) if path is not None]
    check_out(target, PLANS, keep=kept)
    owed = set() if worklist is None else customers_on(worklist, **WORKLIST)
    listed = None if customers is None else customers_on(customers, **CUSTOMERS)
    with open_session("plan", config, as_of=as_of, progress=progress, run_id=run_id) as session:
        session.facts |= {} if by is None else {"by": by}
        settings = session.settings
        offers = session.offers
        with session.writing_result(target, PLANS, keep=kept) as writer:
            scored, notes = _scores(session, given)
            owed = {settings.same_customer(name) for name in owed}
            notes += _worklist_notes(owed, scored)
            if listed is not None:
                listed = {settings.same_customer(name) for name in listed}
                notes += _list_notes(listed, scored)
            progress("choosing offers")
            planned = plan_offers(
                scored,
                session.snapshot,
                offers,
                budget=settings.offers.budget if budget is None else budget,
                holdout=settings.offers.holdout,
                control=settings.offers.control,
                explore=settings.offers.explore,
                key=settings.offers.holdout_key,
                consent=settings.offers.consent,
                groups=settings.offers.groups,
                measured=_measured(session, scored, offers),
                run_id=session.run_id,
                planned_before=_planned_before(session, offers),
                frequency_cap=settings.offers.frequency_cap,
                withdrawn=session.consents.withdrawn(),
                worklist=owed,
                customers=listed,
                remaining_life=RemainingLife(
                    years=settings.value.remaining_years,
                    discount_rate=settings.value.discount_rate,
                ),
            )
            left_out = scored.num_rows - planned.table.num_rows
            rows = planned.table.num_rows
            asked = as_of is not None
            notes += guarded_rows(session, target, rows, asked=asked, accept_change=accept_change)
            writer.write(planned.table, {**planned.summary, **_run(session)})
        session.facts |= {"summary": planned.summary, "dry_run": dry_run, "left_out": left_out}
        if not dry_run:
            _remember(session, planned, offers)
        notes += (*_notes(session, planned.summary, dry_run=dry_run), *guard_notes(writer))
    files = outputs(target, writer)
    return _result(session, planned, offers, files, left_out=left_out, notes=notes)


def _scores(session: Session, scores: Place | None) -> tuple[pa.Table, tuple[str, ...]]:
    """The given scores, or those of the champion with notes."""
    if scores is not None:
        return without_erased(read_result(scores, SCORES)[0], session.erased), ()
    fitted = load_named_model(session, None)
    scored = score_session(session, fitted).table
    return scored, foreknowledge(fitted, session.as_of)


def _worklist_notes(owed: set[str], scored: pa.Table) -> tuple[str, ...]:
    """How many customers on the worklist the plan knows."""
    if not owed:
        return ()
    known = len(owed & set(scored["customer_id"].to_pylist()))
    note = f"{known:,} customers of the worklist get offers with the objective service only"
    if known < len(owed):
        note += f"; {len(owed) - known:,} others on it are not in the scores"
    return (note,)


def _list_notes(listed: set[str], scored: pa.Table) -> tuple[str, ...]:
    """How many customers the list leaves in the plan; ConfigError if it leaves none."""
    known = len(listed & set(scored["customer_id"].to_pylist()))
    if not known:
        rule = "--customers must list at least one customer who is in the scores"
        fix = "Check that the list and the scores are of the same shop."
        raise ConfigError(rule, got=f"{len(listed):,} customers, none of them scored", fix=fix)
    note = f"this plan is of the {known:,} scored customers on the list alone"
    if known < len(listed):
        note += f"; {len(listed) - known:,} others on it are not in the scores"
    return (note,)


def _measured(session: Session, scored: pa.Table, offers: Offers) -> Effects | None:
    """The estimates of `churn effects` for these offers; None if there are none."""
    learnt = known_effects(session)
    if learnt is None:
        return None
    session.progress("applying the estimated effects")
    return measured_effects(learnt, scored, session.snapshot, offers, resolve_clock(session))


def _planned_before(session: Session, offers: Offers) -> pa.Table:
    """Offers of earlier plans as contacts, for other campaigns also those of the same date: all in
    the days counted by a frequency cap, the shop's or a customer's, and before these the latest of
    each customer and offer. This campaign's plan of the same date is excluded.
    """
    same = (offers.campaign_id, session.as_of)
    first = session.as_of - timedelta(days=max(_counted_days(session) - 1, 0))
    contacts = [
        *session.ledger.last_contacts(first, excluding=same),
        *session.ledger.contacts_since(first, session.as_of + timedelta(days=1), excluding=same),
    ]
    ages = [float((session.as_of - row.as_of).days) for row in contacts]
    same_customer = session.settings.same_customer
    return pa.table(
        {
            "customer_id": pa.array(
                [same_customer(row.customer_id) for row in contacts], pa.string()
            ),
            "offer_id": pa.array([row.offer_id for row in contacts], pa.string()),
            "days_since": pa.array(ages, pa.float64()),
            "campaign_id": pa.array([row.campaign_id for row in contacts], pa.string()),
        }
    )


def _counted_days(session: Session) -> int:
    """The longest period before the plan in which a cap counts contacts; 0 without a cap."""
    cap = session.settings.offers.frequency_cap
    own = longest_cap_days(preference_state(session.snapshot))
    return max(own, cap.cap_days if cap else 0)


def _run(session: Session) -> dict[str, str]:
    return {"run_id": session.run_id, "as_of": str(session.as_of)}


def _remember(session: Session, planned: Plan, offers: Offers) -> None:
    """Records the plan atomically, after its file is written: if a run is killed in between, the
    earlier plan remains valid.
    """
    names = [
        *("customer_id", "campaign_id", "as_of", "offer_id", "channel", "arm", "propensity"),
        *("expected_cost", "intended_offer_id", "lot"),
    ]
    rows = planned.table.select(names).to_pylist()
    ledger: Ledger = session.ledger
    with ledger.changing():
        session.check_erased()
        ledger.record_plan(session.run_id, (PlanRow(**row) for row in rows), facts=session.facts)
        for experiment, arm in ((GLOBAL_HOLDOUT, "holdout"), (offers.campaign_id, "control")):
            members = ((row["customer_id"], row["arm"] == arm) for row in rows)
            ledger.remember_holdout(experiment, members, assigned_on=session.as_of)


def _result(
    session: Session,
    planned: Plan,
    offers: Offers,
    files: dict[Path | str, str],
    *,
    left_out: int,
    notes: tuple[str, ...],
) -> JobResult:
    summary = planned.summary
    return JobResult(
        command="plan",
        run_id=session.run_id,
        as_of=session.as_of,
        resolved={"campaign_id": offers.campaign_id, "consent": session.settings.offers.consent},
        rows={"plan": planned.table.num_rows},
        audits=session.tables.audits,
        model_id=session.facts.get("model_id"),
        left_out={"scores": {NOT_LISTED: left_out}} if left_out else {},
        metrics=summary,
        files=files,
        warnings=notes,
        tables=plan_tables(summary),
    )


def _notes(session: Session, summary: dict[str, Any], *, dry_run: bool) -> tuple[str, ...]:
    notes = consent_notes(session, unknown=NO_CONSENTS)
    if summary["customers"] and summary["offers"][NO_OFFER] == summary["customers"]:
        meanings = {str(code): code.meaning for code in Suppression}
        notes.append(why_nobody_gets_one(summary["customers"], summary["suppressed"], meanings))
    if summary["explore_share"] < summary["shares"]["explore"]:
        notes.append(
            "exploration was limited by the budget, a capacity or a group's cap: "
            f"{summary['explore_share']:.2%} instead of {summary['shares']['explore']:.2%}"
        )
    lacking = [row["group"] for row in summary["groups"] if row["floor_lacks"]]
    if lacking:
        notes.append(f"the floor of {', '.join(lacking)} could not be reached within the limits")
    if dry_run:
        notes.append("dry run: the plan is not recorded, and no cooldown starts")
    return tuple(notes)
