"""From scores and a snapshot to a plan; all inputs are read as of the snapshot."""

from __future__ import annotations

from numbers import Real

import pyarrow as pa

from churn.data.consent import consent_to_plan, earlier_contacts, preference_state
from churn.data.order_amounts import mean_order_amounts
from churn.data.people import people
from churn.data.tables import Snapshot
from churn.errors import DataError, check_type
from churn.offers.arms import Shares
from churn.offers.catalogue import Offers
from churn.offers.effects import Effects
from churn.offers.frequency import FrequencyCap, contacted_enough, contacts_made
from churn.offers.groups import GroupRules
from churn.offers.plan import CustomerFacts, OfferPolicy, Plan, assign_offers
from churn.offers.preferences import PreferenceMask
from churn.offers.suppression import Consent

OF_SCORES = ("segment", "status")


def plan_offers(  # noqa: PLR0913 - the settings of [offers], each by name
    scores: pa.Table,
    snapshot: Snapshot,
    offers: Offers,
    *,
    budget: float,
    holdout: float = 0.1,
    control: float = 0.0,
    explore: float = 0.0,
    key: str = "holdout",
    consent: Consent = "required",
    groups: GroupRules | None = None,
    measured: Effects | None = None,
    run_id: str = "",
    planned_before: pa.Table | None = None,
    frequency_cap: FrequencyCap | None = None,
    withdrawn: pa.Table | None = None,
) -> Plan:
    """One offer, or "none" with its code, for every scored customer, within the budget.

    `holdout`, `control` and `explore` are randomised shares, see `churn.offers.arms`; `groups`
    limits how many of a group are served. Consents, preferences, birthdays, open service and
    earlier contacts are those known before the snapshot. `planned_before` adds contacts
    (customer_id, offer_id, days_since, and campaign_id if known) from plans: one that is also in
    the shop's tables counts once. `frequency_cap` limits all of them. `withdrawn` (customer_id,
    channel, day) are withdrawals outside the tables; they count regardless of when they were
    received. `measured` replaces the assumed effects of the catalogue. Raises DataError if the
    scores are of another date.
    """
    check_type(scores, pa.Table, name="scores", fix="Pass the result of churn.score.")
    check_type(snapshot, Snapshot, name="snapshot", fix="Pass tables.as_of(date).")
    check_type(offers, Offers, name="offers", fix='Pass Offers.load("offers.toml").')
    check_type(budget, Real, name="budget", fix="Pass e.g. 500.0.")
    dates = set(scores.column("as_of").unique().to_pylist())
    if dates - {snapshot.as_of}:
        got = ", ".join(sorted(str(day) for day in dates))
        rule = f"scores must be as of the plan's date, {snapshot.as_of}"
        raise DataError(rule, got=got, fix="Score again, or pass the same as_of.")
    contacts = earlier_contacts(snapshot)
    made = contacts_made(contacts, planned_before)
    shares = Shares(holdout=holdout, control=control, explore=explore, key=key)
    facts = CustomerFacts(
        consents=consent_to_plan(snapshot, withdrawn=withdrawn),
        contacts=_joined(contacts, planned_before),
        contacted_enough=contacted_enough(frequency_cap, made) if frequency_cap else (),
        preference_mask=_preference_mask(scores, snapshot, offers, made),
        people=_people(scores, snapshot, groups),
        order_amounts=_order_amounts(snapshot, offers),
        measured=measured,
    )
    return assign_offers(
        scores,
        offers,
        OfferPolicy(budget=budget, shares=shares, consent=consent, groups=groups),
        facts,
        as_of=snapshot.as_of,
        currency=snapshot.tables.settings.currency,
        run_id=run_id,
    )


def _order_amounts(snapshot: Snapshot, offers: Offers) -> pa.Table | None:
    """The typical order amount of each customer, if an offer costs a share of it."""
    if not any(offer.margin_share for offer in offers):
        return None
    return mean_order_amounts(snapshot)


def _preference_mask(
    scores: pa.Table, snapshot: Snapshot, offers: Offers, made: pa.Table | None
) -> PreferenceMask | None:
    preferences = preference_state(snapshot)
    if preferences is None:
        return None
    return PreferenceMask.of(preferences, scores["customer_id"], offers.offers, made)


def _people(scores: pa.Table, snapshot: Snapshot, groups: GroupRules | None) -> pa.Table | None:
    """Other attributes of customers; the group may be a column of the scores."""
    by = None if groups is None else groups.by
    if by not in OF_SCORES:
        return people(snapshot, group_by=by)
    known = people(snapshot)
    grouped = pa.table({"customer_id": scores["customer_id"], "group": scores[by]})
    if known is None:
        return grouped
    return grouped.join(known, "customer_id", join_type="left outer")


def _joined(contacts: pa.Table | None, planned: pa.Table | None) -> pa.Table | None:
    columns = ["customer_id", "offer_id", "days_since"]
    present = [table.select(columns) for table in (contacts, planned) if table is not None]
    return pa.concat_tables(present) if present else None
