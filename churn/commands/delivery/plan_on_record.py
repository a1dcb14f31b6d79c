"""The plan to deliver: complete, unaltered, and the one on record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa

from churn.campaigns.delivery.planned import LIST_COLUMNS, Planned
from churn.commands.previous_results import PLANS
from churn.commands.session import Session
from churn.data.days import as_date
from churn.errors import ConfigError, DataError
from churn.offers.catalogue import NO_OFFER
from churn.results.output import read_result
from churn.storage.exports import exported_to
from churn.storage.manifests import sidecar_of
from churn.storage.postgres.address import Place, TableAddress

LIST = "list"
"""The name of a list by customer_id in the ledger, among those of audiences and transports."""


def plan_table(place: Place) -> pa.Table:
    """The rows of a plan's file or table; DataError if a file has no manifest next to it."""
    table, facts = read_result(place, PLANS, what="plan", command="plan")
    if facts is None and isinstance(place, Path):
        rule = f"{place.name} must lie next to its manifest, {sidecar_of(place).name}"
        raise DataError(rule, fix="Plan again, and move both files together.")
    if set(table.column_names) == set(LIST_COLUMNS):
        rule = f"{_name(place)} must be a plan"
        raise DataError(
            rule, got="a list of `churn export`", fix="Pass the file that `churn plan` wrote."
        )
    return table


def check_offer(offer: str | None, planned: Planned | None) -> None:
    """Raises ConfigError if an offer is requested that is not in the plan."""
    if offer is None or planned is None:
        return
    known = sorted(set(planned.table["offer_id"].to_pylist()) - {NO_OFFER})
    if offer in known:
        return
    fix = f"It offers {', '.join(known)}." if known else "It offers nothing to anybody."
    raise ConfigError("--offer must be an offer of the plan", got=repr(offer), fix=fix)


def asked_date(on: str | None) -> date | None:
    """The date of `--date`, None without one; ConfigError if it is not a date."""
    return None if on is None else as_date(on, name="--date")


def delivery_date(session: Session, planned: Planned | None, *, asked: bool) -> date:
    """The date of the delivery, at or after the plan's."""
    if planned is None or planned.as_of <= session.as_of:
        return session.as_of
    if asked:
        rule = f"--date must be at or after the date of the plan, {planned.as_of}"
        raise ConfigError(rule, got=session.as_of, fix="Pass the date on which you send.")
    return planned.as_of


def check_on_record(
    session: Session, planned: Planned | None, place: Place, *, plan_run_id: str | None = None
) -> None:
    """Raises DataError unless it is the plan on record for its campaign and date, and, where that
    is given, the plan of the run `plan_run_id`.
    """
    if planned is None:
        return
    session.ledger.check_planned(
        planned.run_id,
        campaign_id=planned.campaign_id,
        as_of=planned.as_of,
        what=_name(place),
    )
    if plan_run_id not in (None, planned.run_id):
        rule = f"{_name(place)} must still be the plan of run {plan_run_id}"
        raise DataError(rule, got=planned.run_id, fix="Look at the new plan first.")


def _name(place: Place) -> str:
    return str(place) if isinstance(place, TableAddress) else place.name


def transport_notes(
    session: Session, facts: Mapping[str, Any], *, others: Iterable[str]
) -> list[str]:
    """Notes if the plan was delivered in one of these `others`, too: what a tool does with a list
    is unknown here, so its customers may be contacted twice. `facts` name campaign and date.
    """
    if facts["campaign_id"] is None:
        return []
    gone = exported_to(session.ledger, facts["campaign_id"], facts["plan_as_of"])
    return [
        f"the same plan went out through {name!r} in run {gone[name]}: both are two contacts"
        for name in others
        if name in gone
    ]
