"""Scores and a snapshot in, a plan out: what a plan needs to know is read as of the snapshot."""

from __future__ import annotations

import pyarrow as pa

from churn.data.consent import consent_state, earlier_contacts
from churn.data.tables import Snapshot
from churn.errors import DataError
from churn.retention.offers import Offers
from churn.retention.plan import Plan, assign_offers
from churn.retention.suppression import Consent

__all__ = ["plan_offers"]


def plan_offers(
    scores: pa.Table,
    snapshot: Snapshot,
    offers: Offers,
    *,
    budget: float,
    holdout: float = 0.1,
    consent: Consent = "required",
    run_id: str = "",
    planned_before: pa.Table | None = None,
) -> Plan:
    """One offer, or "none" with its code, for every scored customer, within the budget.

    Consents and earlier contacts are those known before the snapshot. `planned_before` adds
    contacts (customer_id, offer_id, days_since) that the shop's tables do not hold yet. Raises
    DataError when the scores are of another date.
    """
    dates = set(scores.column("as_of").unique().to_pylist())
    if dates - {snapshot.as_of}:
        got = ", ".join(sorted(str(day) for day in dates))
        rule = f"scores must be as of the plan's date, {snapshot.as_of}"
        raise DataError(rule, got=got, fix="Score again, or pass the same as_of.")
    return assign_offers(
        scores,
        offers,
        budget=budget,
        holdout_share=holdout,
        holdout_salt=offers.campaign_id,
        consent=consent,
        consents=consent_state(snapshot),
        contacts=_joined(earlier_contacts(snapshot), planned_before),
        as_of=snapshot.as_of,
        currency=snapshot.tables.settings.currency,
        run_id=run_id,
    )


def _joined(contacts: pa.Table | None, planned: pa.Table | None) -> pa.Table | None:
    present = [table for table in (contacts, planned) if table is not None]
    return pa.concat_tables(present) if present else None
