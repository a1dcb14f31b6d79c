"""From scores to a plan: one offer or none per customer, with its value or the reason."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from churn.arrays import Floats
from churn.offers.arms import Shares, draw_arms, hash_position
from churn.offers.choice import decide
from churn.offers.effects import offer_worth
from churn.offers.eligibility import served
from churn.offers.groups import GroupRules, Groups, PlanLimits
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
from churn.offers.suppression import Consent, build_gates, suppression_codes
from churn.offers.totals import totals_of
from churn.storage.manifests import publish_with_manifest

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import date

    from churn.offers.catalogue import Offers
    from churn.offers.effects import Effects
    from churn.offers.preferences import PreferenceMask


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
    "assumed" it must not be refused.
    """

    budget: float
    shares: Shares
    consent: Consent = "required"
    groups: GroupRules | None = None


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


def assign_offers(
    scores: pa.Table,
    offers: Offers,
    policy: OfferPolicy,
    facts: CustomerFacts,
    *,
    as_of: date,
    currency: str,
    run_id: str,
) -> Plan:
    """The offers with the highest total expected value within the budget and all other limits.

    The value of an offer is its effect on P(retained) times the margin at stake, minus what
    redemptions and the contact cost. Arms are drawn by the policy's shares: holdout and control get
    nothing, exploring customers get a permitted offer or none at random, before anyone else. Raises
    DataError if the scores contain a customer twice, a probability outside 0 to 1 or another
    currency.
    """
    check_scores(conform(scores, SCORES, what="scores"), currency=currency)
    known = people_of(scores, facts.people)
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
    base_rate = _base_rate(probability, scores["status"])
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
    )
    permitted = gates.open & np.isfinite(worth.value)
    limits = _limits(policy, offers, known)
    explorable = limits.explorable(permitted)
    occasion = {"campaign": offers.campaign_id, "occasion": str(as_of)}
    arms = draw_arms(ids, explorable, worth.cost, shares, limits, **occasion)
    ties = hash_position(ids, salt=f"{shares.key}/ties/{as_of}")
    decided = decide(worth, permitted, arms, limits, ties=ties)
    table = plan_table(
        scores["customer_id"],
        offers,
        worth,
        decided,
        arms=arms,
        explorable=explorable,
        suppression=suppression_codes(
            gates, worth.ranked, decided.choice, arm=arms.arm, crowded_out=decided.crowded_out
        ),
        facts={"run_id": run_id, "campaign_id": offers.campaign_id, "as_of": as_of},
    )
    order_amount = np.zeros(len(ids)) if amounts is None else amounts
    summary = totals_of(table, offers, decided, permitted, arms=arms, order_amount=order_amount)
    rate = None if np.isnan(base_rate) else base_rate
    facts_of_plan = {"base_rate": rate, "currency": currency, "consent": policy.consent}
    return Plan(table, {**summary, **facts_of_plan})


def _limits(policy: OfferPolicy, offers: Offers, known: pa.Table) -> PlanLimits:
    capacity = [np.inf if offer.capacity is None else offer.capacity for offer in offers]
    groups = None if policy.groups is None else Groups.of(known["group"], policy.groups)
    return PlanLimits(policy.budget, np.array(capacity, dtype=float), groups)


def _conforming(table: pa.Table | None, schema: pa.Schema, *, what: str) -> pa.Table | None:
    return None if table is None else conform(table, schema, what=what)


def _base_rate(probability: Floats, status: pa.ChunkedArray) -> float:
    """The mean churn probability of eligible customers; of everyone if nobody is eligible."""
    eligible = np.asarray(pc.fill_null(pc.equal(status, "eligible"), False), dtype=bool)
    known = ~np.isnan(probability)
    chosen = probability[known & eligible] if (known & eligible).any() else probability[known]
    return float(chosen.mean()) if len(chosen) else float("nan")
