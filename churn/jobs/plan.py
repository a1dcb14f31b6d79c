"""`churn plan`: one offer, or none with its reason, for every customer, within the budget."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from churn.files.ledger import Ledger
from churn.files.records import PlanRow
from churn.jobs.output import read_table, writing_table
from churn.jobs.result import JobResult, Line, dropped_rows, hashed
from churn.jobs.score import load_named_model, score_session
from churn.jobs.session import Progress, Session, inputs, open_session, silent
from churn.retention.decide import plan_offers
from churn.retention.offers import Offers
from churn.retention.plan import Plan
from churn.retention.suppression import Suppression

__all__ = ["plan"]


def plan(
    config: Path,
    *,
    out: Path,
    as_of: str | None = None,
    scores: Path | None = None,
    budget: float | None = None,
    progress: Progress = silent,
) -> JobResult:
    """The plan as of a date, from a scores file or, without one, from scoring with the champion.

    It is written to `out` and remembered in the ledger, from which later cooldowns are read.
    """
    with (
        open_session("plan", config, as_of=as_of, progress=progress) as session,
        writing_table(out, keep=[*inputs(config), *([] if scores is None else [scores])]) as writer,
    ):
        settings = session.settings
        offers = Offers.load(settings.path(settings.offers.catalogue))
        scored = _scores(session, scores, progress)
        progress("choosing offers")
        decided = plan_offers(
            scored,
            session.tables.as_of(session.as_of),
            offers,
            budget=settings.offers.budget if budget is None else budget,
            holdout=settings.offers.holdout,
            consent=settings.offers.consent,
            run_id=session.run_id,
            planned_before=_planned_before(session, offers),
        )
        writer.write(decided.table, {**decided.summary, "run_id": session.run_id})
        _remember(session, decided, offers)
        session.facts |= {"summary": decided.summary}
    return _result(session, decided, offers, out)


def _scores(session: Session, scores: Path | None, progress: Progress) -> pa.Table:
    if scores is not None:
        return read_table(scores)
    return score_session(session, load_named_model(session, None), progress=progress).table


def _planned_before(session: Session, offers: Offers) -> pa.Table:
    """Offers of earlier plans as contacts, this campaign's plan of the same date aside."""
    same = (offers.campaign_id, session.as_of)
    found = list(session.ledger.last_contacts(session.as_of, excluding=same))
    days = [float((session.as_of - contact.as_of).days) for contact in found]
    return pa.table(
        {
            "customer_id": pa.array([contact.customer_id for contact in found], pa.string()),
            "offer_id": pa.array([contact.offer_id for contact in found], pa.string()),
            "days_since": pa.array(days, pa.float64()),
        }
    )


def _remember(session: Session, decided: Plan, offers: Offers) -> None:
    names = ("customer_id", "campaign_id", "as_of", "offer_id", "channel", "arm", "propensity")
    rows = decided.table.select([*names, "expected_cost"]).to_pylist()
    ledger: Ledger = session.ledger
    ledger.record_plan(session.run_id, (PlanRow(**row) for row in rows))
    members = ((row["customer_id"], row["arm"] == "holdout") for row in rows)
    ledger.remember_holdout(offers.campaign_id, members, assigned_on=session.as_of)


def _result(session: Session, decided: Plan, offers: Offers, out: Path) -> JobResult:
    summary = decided.summary
    return JobResult(
        command="plan",
        run_id=session.run_id,
        as_of=session.as_of,
        resolved={"campaign_id": offers.campaign_id, "consent": session.settings.offers.consent},
        rows={"plan": decided.table.num_rows},
        dropped=dropped_rows(session.tables.audits),
        model_id=session.facts.get("model_id"),
        metrics=summary,
        files=hashed(out),
        warnings=_notes(session, summary),
        tables=(_offers_table(summary), _money_table(summary)),
    )


def _notes(session: Session, summary: dict[str, Any]) -> tuple[str, ...]:
    if session.settings.offers.consent == "assumed":
        return ('consent is assumed, not looked up: [offers] consent = "assumed"',)
    if not session.tables.has("consents"):
        return ("nobody's consent is on record: connect [data.consents]",)
    return ()


def _offers_table(summary: dict[str, Any]) -> tuple[str, Line, tuple[Line, ...]]:
    offered = [(name, f"{n:,}", "") for name, n in summary["offers"].items() if name != "none"]
    none = [
        (f"none: {code}", f"{n:,}", Suppression[code.upper()].meaning)
        for code, n in summary["suppressed"].items()
        if n
    ]
    return "Who gets what", ("offer", "customers", "why"), tuple(offered + none)


def _money_table(summary: dict[str, Any]) -> tuple[str, Line, tuple[Line, ...]]:
    names = {
        "budget": "budget",
        "expected_cost": "expected cost",
        "expected_gain": "expected gain in margin (assumed effects)",
        "expected_value": "expected net value",
        "lambda": "net value of one more unit of budget",
    }
    rows = tuple((label, _money(summary[key])) for key, label in names.items())
    return f"Money, {summary['currency']}", ("", ""), rows


def _money(amount: float | None) -> str:
    return "unlimited" if amount is None else f"{amount:,.2f}"
