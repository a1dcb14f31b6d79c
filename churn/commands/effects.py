"""`churn effects`: the effect of each offer, estimated from randomised contacts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from churn.commands.session import Progress, Session, open_session, resolve_clock, silent
from churn.errors import ModelError
from churn.features.catalogue import feature_names
from churn.offers.catalogue import Offer, Offers
from churn.offers.effects import effect_of_shift
from churn.results.job_result import JobResult, Line, Table, hashed
from churn.storage.exports import Assigned, assigned_offers
from churn.uplift.average import Estimate, Z
from churn.uplift.experiment import ASSIGNED, ExperimentData, build_experiment
from churn.uplift.learners import LearnerSettings
from churn.uplift.learnt import LearntEffects, current_effects, save_effects
from churn.uplift.rule_values import expected_costs
from churn.uplift.study import Finding, Study, StudySettings, study

EFFECTS = "effects"
NO_CONTACTS = (
    "no contacts are connected, and no plan on record was sent or exported: connect "
    "[data.contacts] with arm and propensity"
)
NOT_RANDOMISED = (
    "no contacts were randomised between an offer and none: keep a control group and record the "
    "propensity of each row"
)
UNSENT = "planned together with an offer of which nothing was sent or exported"


@dataclass(frozen=True)
class Learnt:
    """The result of a run: a study if any contacts were randomised, and where it was saved."""

    study: Study | None
    data: ExperimentData | None
    saved: Path | None

    @property
    def findings(self) -> Mapping[str, Finding]:
        """What was found, by offer."""
        return {} if self.study is None else self.study.findings


def effects(config: Path, *, as_of: str | None = None, progress: Progress = silent) -> JobResult:
    """The findings for every offer with randomised contacts, saved next to the models for
    `churn plan`; the other offers of the catalogue keep their assumed effects.
    """
    with open_session("effects", config, as_of=as_of, progress=progress) as session:
        offers = session.offers
        learnt = _learn(session)
        findings, planned = learnt.findings, _planned(learnt, offers)
        session.facts |= {name: finding.verdict for name, finding in findings.items()}
    return JobResult(
        command="effects",
        run_id=session.run_id,
        as_of=session.as_of,
        resolved={"horizon_days": None if learnt.data is None else learnt.data.horizon_days},
        rows={"contacts_by_lot": 0 if learnt.data is None else len(learnt.data)},
        audits=session.tables.audits,
        left_out={} if learnt.data is None else {"trial": learnt.data.left_out},
        metrics=_metrics(learnt, offers, planned),
        files={} if learnt.saved is None else hashed(learnt.saved / "manifest.json"),
        warnings=tuple(_notes(learnt)),
        tables=(
            _offers_table(findings, offers, planned),
            _reasons_table(findings),
            _rules_table(learnt.study, session.settings.data.currency),
            _groups_table(findings),
        ),
    )


def _learn(session: Session) -> Learnt:
    assigned = assigned_offers(session.ledger, before=session.as_of)
    if not session.tables.has("contacts") and not assigned.rows:
        return Learnt(None, None, None)
    settings = session.settings
    session.progress("building features before each contact, and outcomes after it")
    data = build_experiment(
        session.tables,
        as_of=session.as_of,
        clock=resolve_clock(session),
        margin_rate=settings.value.margin_rate,
        names=feature_names(session.tables.connected(), settings.features.families),
        assigned=pd.DataFrame(
            [[getattr(row, name) for name in ASSIGNED] for row in assigned.rows],
            columns=[*ASSIGNED],
        ),
    )
    data = replace(data, left_out=dict(data.left_out) | _unsent(assigned))
    if not data.offers:
        return Learnt(None, data, None)
    session.progress("estimating the effect of each offer")
    result = study(
        data,
        StudySettings(learning=LearnerSettings(seed=settings.model.seed)),
        costs=expected_costs(data, session.offers),
    )
    saved = save_effects(
        LearntEffects.of_study(result),
        _directory(session),
        effects_id=f"effects-{session.run_id}".lower(),
        facts={
            "as_of": str(session.as_of),
            "findings": {name: finding.to_dict() for name, finding in result.findings.items()},
            "rules": [rule.to_dict() for rule in result.rules],
            "observational": dict(result.observational),
            "left_out": dict(result.left_out),
        },
        signing_key=session.signing_key,
    )
    return Learnt(result, data, saved)


def _unsent(assigned: Assigned) -> dict[str, int]:
    return {UNSENT: assigned.unsent} if assigned.unsent else {}


def _planned(learnt: Learnt, offers: Offers) -> dict[str, Estimate]:
    """The average effect that a plan uses for each offer of the experiment that the catalogue
    still has: its assumption, updated by what was found, at the control group's churn rate.
    """
    if learnt.study is None:
        return {}
    known, planned = LearntEffects.of_study(learnt.study), {}
    for name, finding in learnt.findings.items():
        rate = finding.retained_without
        fitting = [offer for offer in offers if 0 <= rate + offer.effect <= 1]
        column = next((n for n, offer in enumerate(fitting) if offer.offer_id == name), None)
        if column is None:
            continue
        bounds = known.shifts(fitting, base_rate=1 - rate).bounds(column)
        low, mean, high = (float(effect_of_shift(np.array(1 - rate), shift)) for shift in bounds)
        planned[name] = Estimate(mean, (high - low) / (2 * Z))
    return planned


def _metrics(learnt: Learnt, offers: Offers, planned: Mapping[str, Estimate]) -> dict[str, Any]:
    """The finding of each offer; without randomised contacts, the assumed effect."""
    found = {
        name: {**finding.to_dict(), "planned": planned[name].to_dict() if name in planned else None}
        for name, finding in learnt.findings.items()
    }
    assumed = {
        offer.offer_id: {
            "verdict": "assumed",
            "stated": {
                "estimate": offer.effect,
                "low": offer.effect_low,
                "high": offer.effect_high,
            },
        }
        for offer in offers
        if offer.offer_id not in found
    }
    return {
        "offers": found | assumed,
        "rules": [] if learnt.study is None else [one.to_dict() for one in learnt.study.rules],
        "observational": {} if learnt.data is None else dict(learnt.data.observational),
    }


def _notes(learnt: Learnt) -> Iterator[str]:
    if learnt.data is None:
        yield NO_CONTACTS
        return
    if learnt.study is None:
        yield NOT_RANDOMISED
    if learnt.data.by_plan:
        yield (
            f"{learnt.data.by_plan:,} of {len(learnt.data):,} randomised contacts are those of "
            "plans that were sent or exported, as recorded in the ledger"
        )
    for offer, count in learnt.data.observational.items():
        verb = "contact is" if count == 1 else "contacts are"
        yield f"{offer}: {count:,} {verb} not randomised and therefore not used"
    for reason, count in learnt.data.left_out.items():
        yield f"{count:,} contact{'' if count == 1 else 's'} left out: {reason}"


def _offers_table(
    findings: Mapping[str, Finding], offers: Offers, planned: Mapping[str, Estimate]
) -> Table:
    measured = [_measured_line(one, planned.get(name)) for name, one in findings.items()]
    stated = [
        (
            offer.offer_id,
            *("", "", ""),
            _stated(offer),
            *("assumed", "", ""),
        )
        for offer in offers
        if offer.offer_id not in findings
    ]
    header = (
        *("offer", "sent", "control", "retained in control", "effect, points"),
        *("verdict", "used by plans", "needed per arm"),
    )
    return Table("Effect on retention by offer (90 % intervals)", header, (*measured, *stated))


def _measured_line(finding: Finding, planned: Estimate | None) -> Line:
    average = finding.line.average
    return (
        finding.offer_id,
        *(f"{count:,}" for count in finding.customers),
        f"{finding.retained_without:.1%}",
        _points(average.estimate, average.high),
        finding.verdict,
        "" if planned is None else _points(planned.estimate, planned.high),
        f"{finding.needed_per_arm:,}",
    )


def _rules_table(study: Study | None, currency: str) -> Table:
    """What rules of targeting earned on the contacts; empty if none was evaluated."""
    rules = () if study is None else study.rules
    rows: list[Line] = [(one.rule, f"{one.share:.0%}", *_per_thousand(one.value)) for one in rules]
    title = f"Targeting on these contacts, {currency} per 1,000 (90 % intervals)"
    header = ("rule", "get an offer", "net of costs, against no offers", "")
    return Table(title, header, tuple(rows))


def _per_thousand(value: Estimate | None) -> tuple[str, str]:
    """Money per 1,000 contacts with half its interval, and what it says."""
    if value is None:
        return "", "too few contacts to tell"
    half = 1_000 * (value.high - value.estimate)
    told = "more" if value.low > 0 else "less" if value.high < 0 else "too small to tell"
    return f"{1_000 * value.estimate:+,.0f} ±{half:,.0f}", told


def _points(estimate: float, high: float) -> str:
    """The effect in percentage points of retention, with half its interval."""
    return f"{100 * estimate:+.1f} ±{100 * (high - estimate):.1f}"


def _stated(offer: Offer) -> str:
    low, high = 100 * offer.effect_low, 100 * offer.effect_high
    return f"{100 * offer.effect:+.1f} ({low:+.1f} to {high:+.1f})"


def _reasons_table(findings: Mapping[str, Finding]) -> Table:
    rows = tuple((name, reason) for name, finding in findings.items() for reason in finding.reasons)
    return Table("Reasons for the verdicts", ("offer", "reason"), rows)


def _groups_table(findings: Mapping[str, Finding]) -> Table:
    words = {"works": "works best", "harms": "harms"}
    rows = tuple(
        (
            finding.offer_id,
            words[kind],
            group.rule,
            f"{group.customers:,}",
            _points(group.effect, group.high),
        )
        for finding in findings.values()
        for kind, groups in finding.groups.items()
        for group in groups
    )
    header = ("offer", "effect", "customers with", "customers", "effect, points")
    return Table("Effect by customer group (simultaneous 95 % intervals)", header, rows)


def known_effects(session: Session) -> LearntEffects | None:
    """The effects estimated last, for the planner; None if there are none yet.

    ModelError if their horizon is not the model's.
    """
    known = current_effects(_directory(session), signing_key=session.signing_key)
    if known is None:
        return None
    horizon_days = resolve_clock(session).horizon_days
    if known.horizon_days != horizon_days:
        rule = f"estimated effects must have the model's horizon of {horizon_days} days"
        got = f"{known.horizon_days} days"
        raise ModelError(rule, got=got, fix="Run `churn effects` again.")
    return known


def _directory(session: Session) -> Path:
    """The folder of estimated effects, next to the models."""
    settings = session.settings
    return settings.path(settings.model.directory) / EFFECTS
