"""`churn effects`: what is known about each offer, learnt from contacts that a lot decided."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from churn.commands.panel_settings import resolve_clock
from churn.commands.session import Progress, Session, open_session, silent
from churn.errors import ModelError
from churn.features.catalogue import feature_names
from churn.offers.catalogue import Offer, Offers
from churn.results.job_result import JobResult, Line, Table, hashed
from churn.uplift.experiment import ExperimentData
from churn.uplift.learners import LearnerSettings
from churn.uplift.learnt import LearntEffects, current_effects, save_effects
from churn.uplift.past_contacts import build_experiment
from churn.uplift.study import Finding, Study, StudySettings, study

EFFECTS = "effects"
NO_CONTACTS = "no contacts are connected: connect [data.contacts] with arm and propensity"
NO_LOT = "no lot gave both an offer and none: keep a control and note the propensity of each row"


@dataclass(frozen=True)
class Learnt:
    """What the run found: a study where a lot decided anything, and where it was saved."""

    study: Study | None
    data: ExperimentData | None
    saved: Path | None


def effects(config: Path, *, as_of: str | None = None, progress: Progress = silent) -> JobResult:
    """The findings of every offer that a lot gave, saved beside the models for the planner; the
    offers of the catalogue that nothing is known of keep what was assumed.
    """
    with open_session("effects", config, as_of=as_of, progress=progress) as session:
        offers = session.offers
        learnt = _learn(session)
        found = {} if learnt.study is None else learnt.study.findings
        session.facts |= {name: finding.verdict for name, finding in found.items()}
    return JobResult(
        command="effects",
        run_id=session.run_id,
        as_of=session.as_of,
        resolved={"horizon_days": None if learnt.data is None else learnt.data.horizon_days},
        rows={"contacts_by_lot": 0 if learnt.data is None else len(learnt.data)},
        audits=session.tables.audits,
        left_out={} if learnt.data is None else {"trial": learnt.data.left_out},
        metrics=_metrics(learnt, offers),
        files={} if learnt.saved is None else hashed(learnt.saved / "manifest.json"),
        warnings=tuple(_notes(learnt)),
        tables=(_offers_table(found, offers), _reasons_table(found), _groups_table(found)),
    )


def _learn(session: Session) -> Learnt:
    if not session.tables.has("contacts"):
        return Learnt(None, None, None)
    settings = session.settings
    session.progress("building what was known before each contact, and what came of it")
    data = build_experiment(
        session.tables,
        as_of=session.as_of,
        clock=resolve_clock(session),
        margin_rate=settings.value.margin_rate,
        names=feature_names(session.tables.connected(), settings.features.families),
    )
    if not data.offers:
        return Learnt(None, data, None)
    session.progress("learning whom each offer moves")
    found = study(data, StudySettings(learning=LearnerSettings(seed=settings.model.seed)))
    saved = save_effects(
        LearntEffects.of_study(found),
        _directory(session),
        effects_id=f"effects-{session.run_id}".lower(),
        facts={
            "as_of": str(session.as_of),
            "findings": {name: one.to_dict() for name, one in found.findings.items()},
            "observational": dict(found.observational),
            "left_out": dict(found.left_out),
        },
        signing_key=session.signing_key,
    )
    return Learnt(found, data, saved)


def _metrics(learnt: Learnt, offers: Offers) -> dict[str, Any]:
    """The finding of each offer; of those that no lot gave, the assumed effect."""
    found = {} if learnt.study is None else learnt.study.findings
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
        "offers": {name: one.to_dict() for name, one in found.items()} | assumed,
        "observational": {} if learnt.data is None else dict(learnt.data.observational),
    }


def _notes(learnt: Learnt) -> Iterator[str]:
    if learnt.data is None:
        yield NO_CONTACTS
        return
    if learnt.study is None:
        yield NO_LOT
    for offer, count in learnt.data.observational.items():
        told = _contacts(count, " that no lot decided")
        yield f"{offer}: {told} observational, and not used"
    for reason, count in learnt.data.left_out.items():
        yield f"{_contacts(count)} left out: {reason}"


def _contacts(count: int, which: str = "") -> str:
    return f"1 contact{which} is" if count == 1 else f"{count:,} contacts{which} are"


def _offers_table(found: Mapping[str, Finding], offers: Offers) -> Table:
    measured = [_measured_line(one) for one in found.values()]
    stated = [
        (
            offer.offer_id,
            *("", "", ""),
            _stated(offer),
            "assumed",
            "",
        )
        for offer in offers
        if offer.offer_id not in found
    ]
    header = (
        *("offer", "sent", "kept", "retained without", "effect, points"),
        *("verdict", "needed an arm"),
    )
    return Table("What is known about each offer (intervals of 90 %)", header, (*measured, *stated))


def _measured_line(one: Finding) -> Line:
    average = one.line.average
    return (
        one.offer_id,
        *(f"{count:,}" for count in one.customers),
        f"{one.retained_without:.1%}",
        _points(average.estimate, average.high),
        one.verdict,
        f"{one.needed_per_arm:,}",
    )


def _points(estimate: float, high: float) -> str:
    """In points of retention, percentages whose difference it is, with half of the interval."""
    return f"{100 * estimate:+.1f} ±{100 * (high - estimate):.1f}"


def _stated(offer: Offer) -> str:
    low, high = 100 * offer.effect_low, 100 * offer.effect_high
    return f"{100 * offer.effect:+.1f} ({low:+.1f} to {high:+.1f})"


def _reasons_table(found: Mapping[str, Finding]) -> Table:
    rows = tuple((one.offer_id, reason) for one in found.values() for reason in one.reasons)
    return Table("Why", ("offer", "reason"), rows)


def _groups_table(found: Mapping[str, Finding]) -> Table:
    words = {"works": "works best", "harms": "harms"}
    rows = tuple(
        (
            one.offer_id,
            words[kind],
            group.rule,
            f"{group.customers:,}",
            _points(group.effect, group.high),
        )
        for one in found.values()
        for kind, groups in one.groups.items()
        for group in groups
    )
    header = ("offer", "it", "for customers with", "customers", "effect, points")
    return Table("For whom (intervals of 95 % for all groups together)", header, rows)


def known_effects(session: Session) -> LearntEffects | None:
    """The effects learnt last, for the planner; None where nothing was learnt yet.

    ModelError where they are of another horizon than the model's.
    """
    found = current_effects(_directory(session), signing_key=session.signing_key)
    if found is None:
        return None
    horizon_days = resolve_clock(session).horizon_days
    if found.horizon_days != horizon_days:
        rule = f"learnt effects must be of the model's horizon, {horizon_days} days"
        got = f"{found.horizon_days} days"
        raise ModelError(rule, got=got, fix="Run `churn effects` again.")
    return found


def _directory(session: Session) -> Path:
    """Where learnt effects are kept: beside the models."""
    settings = session.settings
    return settings.path(settings.model.directory) / EFFECTS
