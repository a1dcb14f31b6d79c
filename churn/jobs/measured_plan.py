"""The plan that is to be measured: a file with its manifest, or what the ledger remembers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from churn.data.erased import without_erased
from churn.errors import ConfigError, DataError
from churn.files.erasures import Erased
from churn.files.ledger import Ledger
from churn.files.postgres.address import Place
from churn.jobs.layouts import PLANS, SCORES
from churn.jobs.output import read_result
from churn.jobs.session import Session
from churn.retention.measurement.rows import PLANNED
from churn.retention.offers import Offers

__all__ = ["MadePlan", "made_plan", "probabilities"]


@dataclass(frozen=True)
class MadePlan:
    """The rows of a plan, the run that made it, and the shares that it left to chance;
    `on_record` where the ledger knows that run.
    """

    rows: pd.DataFrame
    run_id: str
    shares: Mapping[str, float]
    on_record: bool = True


def made_plan(session: Session, place: Place | None, offers: Offers) -> MadePlan:
    """The plan in a file or table, as it was written; without one the newest of the campaign.

    DataError where the shares of a file are not on record, or are others than the ledger has of the
    run that made it; ConfigError where there is no plan.
    """
    if place is not None:
        return _as_on_record(_given(place, session.erased), session.ledger, _name(place))
    found = session.ledger.last_plan(offers.campaign_id, session.as_of)
    if found is None:
        rule = f"the ledger must remember a plan of campaign {offers.campaign_id!r}"
        fix = "Pass --plan FILE, or make one with `churn plan`."
        raise ConfigError(rule, got=f"none before {session.as_of}", fix=fix)
    run, rows = found
    frame = pd.DataFrame({name: [getattr(row, name) for row in rows] for name in PLANNED})
    return MadePlan(frame, run.run_id, _shares(run.facts.get("summary"), "the ledger's plan"))


def _given(place: Place, erased: Erased | None) -> MadePlan:
    table, found = read_result(place, PLANS, what="plan", command="plan")
    name = _name(place)
    missing = [name for name in PLANNED if name not in table.column_names]
    if missing:
        rule = f"--plan must be a file of `churn plan`: {name} lacks {missing}"
        raise DataError(rule, fix="Pass the file that `churn plan --out` wrote.")
    facts = found or {}
    run_id = str(facts.get("run_id", ""))
    rows = without_erased(table.select([*PLANNED]), erased)
    return MadePlan(rows.to_pandas(), run_id, _shares(facts, name))


def _as_on_record(plan: MadePlan, ledger: Ledger, what: str) -> MadePlan:
    """The plan, whose shares nothing beside its file vouches for; the ledger of its run does."""
    run = ledger.run(plan.run_id)
    summary = None if run is None else run.facts.get("summary")
    if summary is not None and dict(plan.shares) != dict(_shares(summary, "the ledger's plan")):
        rule = f"{what} must have the shares that the ledger has of its run {plan.run_id}"
        got = f"{_told(plan.shares)} instead of {_told(summary['shares'])}"
        fix = "Its manifest was altered: take the files of `churn plan`, or leave --plan out."
        raise DataError(rule, got=got, fix=fix)
    return plan if summary is not None else replace(plan, on_record=False)


def _told(shares: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {share}" for name, share in shares.items())


def _name(place: Place) -> str:
    return place.name if isinstance(place, Path) else str(place)


def _shares(summary: Mapping[str, Any] | None, what: str) -> Mapping[str, float]:
    """The shares of a plan's totals; without them nobody can tell whether it was kept to."""
    shares: Mapping[str, float] | None = (summary or {}).get("shares")
    if shares is None or "holdout" not in shares:
        rule = f"{what} must say what share was held out"
        raise DataError(rule, fix="Keep its .manifest.json beside it, or plan again.")
    return shares


def probabilities(place: Place | None, plan: MadePlan) -> dict[str, float]:
    """churn_probability by customer as it was known when the plan was made; none without scores.

    DataError for scores of another date: later ones know what came of the campaign.
    """
    if place is None:
        return {}
    scores, _ = read_result(place, SCORES)
    made = set(plan.rows["as_of"])
    dates = set(scores.column("as_of").unique().to_pylist())
    if dates - made:
        rule = f"scores must be as of the plan's date, {', '.join(sorted(map(str, made)))}"
        got = ", ".join(sorted(map(str, dates)))
        raise DataError(rule, got=got, fix="Pass the scores that the plan was made from.")
    known = scores.select(["customer_id", "churn_probability"]).to_pandas().dropna()
    return dict(zip(known["customer_id"], known["churn_probability"], strict=True))
