"""From scores and a snapshot to a plan: one offer or none per customer, with its value or the
reason; all inputs are read as of the snapshot.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from churn.arrays import Bools, Floats
from churn.data.consent import consent_to_plan, earlier_contacts, preference_state
from churn.data.people import mean_order_amounts, people
from churn.data.tables import Snapshot
from churn.errors import DataError, check_type
from churn.offers.arms import Shares, draw_arms, hash_position
from churn.offers.catalogue import Offers
from churn.offers.choice import decide
from churn.offers.effects import Effects, offer_worth
from churn.offers.eligibility import served
from churn.offers.exploration import explore_by_evidence
from churn.offers.frequency import FrequencyCap, contacted_enough, contacts_made
from churn.offers.groups import GroupRules, Groups, PlanLimits
from churn.offers.pace import learning_pace
from churn.offers.plan_table import (
    CONSENTS,
    CONTACTS,
    SCORES,
    check_scores,
    conform,
    order_amount_of,
    people_of,
    plan_table,
)
from churn.offers.preferences import PreferenceMask
from churn.offers.remaining_life import RemainingLife
from churn.offers.suppression import Consent, build_gates, suppression_codes
from churn.offers.targeting import Targeting
from churn.offers.totals import totals_of
from churn.storage.manifests import publish_with_manifest

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import date


OF_SCORES = ("segment", "status")


@dataclass(frozen=True)
class Plan:
    """The plan's table (`PLAN_SCHEMA`, one row per scored customer, in their order) and its totals.

    `summary` is described in `churn.offers.totals`.
    """

    table: pa.Table
    summary: dict[str, Any]

    def to_parquet(self, path: str | Path) -> None:
        """Writes the table atomically, with a manifest that holds the totals."""
        with publish_with_manifest(Path(path), self.summary) as temporary:
            pq.write_table(self.table, temporary)


@dataclass(frozen=True, kw_only=True)
class OfferPolicy:
    """What a plan may do: its budget, the randomised shares, consent, and limits on groups.

    With `consent` "required" an offer needs granted marketing consent on its channel; with
    "assumed" it must not be refused. `remaining_life` is shown, and decides nothing.
    """

    budget: float
    shares: Shares
    consent: Consent = "required"
    groups: GroupRules | None = None
    remaining_life: RemainingLife = field(default_factory=RemainingLife)


@dataclass(frozen=True, kw_only=True)
class CustomerFacts:
    """What is known about customers on the date of a plan, apart from their scores.

    `consents` (customer_id, channel, purpose, granted) is the latest state; `contacts`
    (customer_id, offer_id, days_since) are all earlier ones, and customers `contacted_enough` get
    none more; `preference_mask` holds the customers' own preferences on the offers, in the order of
    the scores; `people` (customer_id and any of birth_date, owed_service, group) are other
    attributes. `order_amounts` (customer_id, order_amount) are typical orders, for offers that cost
    a share of the order; the default is the median. `measured` replaces assumed effects.
    """

    consents: pa.Table | None = None
    contacts: pa.Table | None = None
    contacted_enough: Collection[str] = ()
    preference_mask: PreferenceMask | None = None
    people: pa.Table | None = None
    order_amounts: pa.Table | None = None
    measured: Effects | None = None


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
    worklist: Collection[str] = (),
    customers: Collection[str] | None = None,
    remaining_life: RemainingLife | None = None,
) -> Plan:
    """One offer, or "none" with its code, for every scored customer, within the budget.

    `holdout`, `control` and `explore` are randomised shares, see `churn.offers.arms`; `groups`
    limits how many of a group are served. Consents, preferences, birthdays, open service and
    earlier contacts are those known before the snapshot. `planned_before` adds contacts
    (customer_id, offer_id, days_since, and campaign_id if known) from plans: one that is also in
    the shop's tables counts once. `frequency_cap` limits all of them. `withdrawn` (customer_id,
    channel, day) are withdrawals outside the tables; they count regardless of when they were
    received. `measured` replaces the assumed effects of the catalogue. Customers on the `worklist`
    are owed service, like those with an open complaint. With `customers`, the plan is of these
    alone; effects and redemptions still refer to the means of all scored customers.
    `remaining_life` is that over which the plan's value is shown besides. Raises DataError if the
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
    base_rate = _base_rate(scores)
    retained = _retained(scores, offers, base_rate=base_rate)
    if customers is not None:
        listed = _is_in(scores["customer_id"], customers)
        scores = scores.filter(pa.array(listed))
        measured = None if measured is None else measured.of(listed)
    contacts = earlier_contacts(snapshot)
    made = contacts_made(contacts, planned_before)
    shares = Shares(holdout=holdout, control=control, explore=explore, key=key)
    facts = CustomerFacts(
        consents=consent_to_plan(snapshot, withdrawn=withdrawn),
        contacts=_joined(contacts, planned_before),
        contacted_enough=contacted_enough(frequency_cap, made) if frequency_cap else (),
        preference_mask=_preference_mask(scores, snapshot, offers, made),
        people=_people(scores, snapshot, groups, worklist),
        order_amounts=_order_amounts(snapshot, offers),
        measured=measured,
    )
    return assign_offers(
        scores,
        offers,
        OfferPolicy(
            budget=budget,
            shares=shares,
            consent=consent,
            groups=groups,
            remaining_life=remaining_life or RemainingLife(),
        ),
        facts,
        as_of=snapshot.as_of,
        currency=snapshot.tables.settings.currency,
        run_id=run_id,
        base_rate=base_rate,
        retained=retained,
    )


def assign_offers(  # noqa: PLR0913 - what a plan is made of, each by its own name
    scores: pa.Table,
    offers: Offers,
    policy: OfferPolicy,
    facts: CustomerFacts,
    *,
    as_of: date,
    currency: str,
    run_id: str,
    base_rate: float | None = None,
    retained: Floats | None = None,
) -> Plan:
    """The offers with the highest total expected value within the budget and all other limits.

    The value of an offer is its effect on P(retained) times the margin at stake, minus what
    redemptions and the contact cost. Arms are drawn by the policy's shares: holdout and control get
    nothing, exploring customers get a permitted offer or none by chance, see
    `churn.offers.exploration`, before anyone else. Effects refer to `base_rate`, the
    mean churn probability, and redemption rates to `retained`, the mean P(retained) of those whom
    each offer is for; by default of these scores. Raises DataError if the scores contain a customer
    twice, a probability outside 0 to 1 or another currency.
    """
    check_scores(conform(scores, SCORES, what="scores"), currency=currency)
    known, as_given = people_of(scores, facts.people), scores
    scores = conform(scores, SCORES, what="scores")
    ids, shares = scores["customer_id"].to_pylist(), policy.shares
    gates = build_gates(
        scores,
        offers.offers,
        served=served(known, offers, as_of=as_of),
        consent=policy.consent,
        consents=_conforming(facts.consents, CONSENTS, what="consents"),
        contacts=_conforming(facts.contacts, CONTACTS, what="contacts"),
        contacted_enough=facts.contacted_enough,
        preference_mask=facts.preference_mask,
    )
    probability = scores["churn_probability"].to_numpy()
    base_rate = _base_rate(scores) if base_rate is None else base_rate
    if retained is None:
        retained = _retained(scores, offers, base_rate=base_rate)
    amounts = None
    if facts.order_amounts is not None:
        amounts = order_amount_of(scores, facts.order_amounts)
    worth = offer_worth(
        probability,
        scores["value_at_risk"].to_numpy(),
        offers.offers,
        base_rate=base_rate,
        order_amount=amounts,
        measured=facts.measured,
        retained=retained,
    )
    permitted = gates.open & np.isfinite(worth.value)
    limits = _limits(policy, offers, known)
    slope = np.array([one.slope for one in worth.effects.terms(offers.offers, retained)])
    exploration = explore_by_evidence(worth, limits.explorable(permitted), slope, shares)
    targeting = Targeting.of(worth, permitted, probability, offers.offers)
    worth = targeting.worth
    occasion = {"campaign": offers.campaign_id, "occasion": str(as_of)}
    arms = draw_arms(ids, exploration.chances, worth.cost, shares, limits, **occasion)
    ties = hash_position(ids, salt=f"{shares.key}/ties/{as_of}")
    decided = decide(worth, targeting.allowed, arms, limits, ties=ties)
    table = plan_table(
        scores["customer_id"],
        offers,
        worth,
        decided,
        arms=arms,
        suppression=suppression_codes(
            gates,
            targeting.counted(worth.value),
            decided.choice,
            arm=arms.arm,
            crowded_out=decided.crowded_out,
        ),
        facts={"run_id": run_id, "campaign_id": offers.campaign_id, "as_of": as_of},
    )
    order_amount = np.zeros(len(ids)) if amounts is None else amounts
    summary = totals_of(table, offers, decided, permitted, arms=arms, order_amount=order_amount)
    rate = None if np.isnan(base_rate) else base_rate
    facts_of_plan = {
        "base_rate": rate,
        "currency": currency,
        "consent": policy.consent,
        "targeting": targeting.to_dict(),
        "learning": learning_pace(table, offers, base_rate),
        "exploration": exploration.to_dict([offer.offer_id for offer in offers]),
        "remaining_life": policy.remaining_life.of_plan(table, as_given),
    }
    return Plan(table, {**summary, **facts_of_plan})


def _limits(policy: OfferPolicy, offers: Offers, known: pa.Table) -> PlanLimits:
    capacity = [np.inf if offer.capacity is None else offer.capacity for offer in offers]
    groups = None if policy.groups is None else Groups.of(known["group"], policy.groups)
    return PlanLimits(policy.budget, np.array(capacity, dtype=float), groups)


def _conforming(table: pa.Table | None, schema: pa.Schema, *, what: str) -> pa.Table | None:
    return None if table is None else conform(table, schema, what=what)


def _is_in(customer_ids: pa.ChunkedArray, listed: Collection[str]) -> Bools:
    found = pc.is_in(customer_ids, value_set=pa.array(sorted(listed), pa.string()))
    return np.asarray(found.to_numpy(zero_copy_only=False), dtype=bool)


def _base_rate(scores: pa.Table) -> float:
    """The mean churn probability of eligible customers; of everyone if nobody is eligible."""
    scores = conform(scores, SCORES, what="scores")
    probability = scores["churn_probability"].to_numpy()
    is_eligible = pc.equal(scores["status"], "eligible")
    eligible = np.asarray(pc.fill_null(is_eligible, False), dtype=bool)
    known = ~np.isnan(probability)
    chosen = probability[known & eligible] if (known & eligible).any() else probability[known]
    return float(chosen.mean()) if len(chosen) else float("nan")


def _retained(scores: pa.Table, offers: Offers, *, base_rate: float) -> Floats:
    """The mean P(retained) of the customers of each offer's statuses, shape (offers,)."""
    stays = 1 - scores["churn_probability"].to_numpy()
    status = scores["status"]
    means = []
    for offer in offers:
        meant = _is_in(status, offer.statuses) & ~np.isnan(stays)
        means.append(float(stays[meant].mean()) if meant.any() else 1 - base_rate)
    return np.array(means)


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


def _people(
    scores: pa.Table, snapshot: Snapshot, groups: GroupRules | None, worklist: Collection[str]
) -> pa.Table | None:
    """Other attributes of customers; the group may be a column of the scores."""
    by = None if groups is None else groups.by
    if by not in OF_SCORES:
        return people(snapshot, group_by=by, worklist=worklist)
    known = people(snapshot, worklist=worklist)
    grouped = pa.table({"customer_id": scores["customer_id"], "group": scores[by]})
    if known is None:
        return grouped
    return grouped.join(known, "customer_id", join_type="left outer")


def _joined(contacts: pa.Table | None, planned: pa.Table | None) -> pa.Table | None:
    columns = ["customer_id", "offer_id", "days_since"]
    present = [table.select(columns) for table in (contacts, planned) if table is not None]
    return pa.concat_tables(present) if present else None
