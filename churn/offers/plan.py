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
from churn.offers.arms import choice_sets, draw_arms, hash_position, propensities
from churn.offers.choice import decide
from churn.offers.effects import offer_worth
from churn.offers.eligibility import served
from churn.offers.groups import Groups
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
from churn.offers.suppression import build_gates, suppression_codes
from churn.offers.totals import totals_of
from churn.storage.manifests import publish_with_manifest

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import date

    from churn.offers.arms import Shares
    from churn.offers.catalogue import Offers
    from churn.offers.effects import Effects
    from churn.offers.groups import GroupRules
    from churn.offers.preferences import PreferenceMask
    from churn.offers.suppression import Consent


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


def assign_offers(  # noqa: PLR0913 - a decision has this many inputs, each explicit
    scores: pa.Table,
    offers: Offers,
    *,
    budget: float,
    shares: Shares,
    consent: Consent,
    consents: pa.Table | None,
    contacts: pa.Table | None,
    contacted_enough: Collection[str] = (),
    as_of: date,
    currency: str,
    run_id: str,
    people: pa.Table | None = None,
    group_rules: GroupRules | None = None,
    measured: Effects | None = None,
    preference_mask: PreferenceMask | None = None,
    order_amounts: pa.Table | None = None,
) -> Plan:
    """The offers with the highest total expected value within the budget and all other limits.

    The value of an offer is its effect on P(retained) times the margin at stake, minus what
    redemptions and the contact cost. With `consent` "required" an offer needs granted marketing
    consent on its channel; with "assumed" it must not be refused. `consents` (customer_id, channel,
    purpose, granted) is the latest state; `contacts` (customer_id, offer_id, days_since) are all
    earlier ones, and customers `contacted_enough` get none more; `preference_mask` holds the
    customers' own preferences on the offers, in the order of the scores; `people` (customer_id and
    any of birth_date, owed_service, group) are other attributes. `measured` replaces assumed
    effects. `order_amounts` (customer_id, order_amount) are typical orders, for offers that cost a
    share of the order; the default is the median. Arms are drawn by `shares`: holdout and control
    get nothing, exploring customers get a permitted offer or none at random, before anyone else.
    Raises DataError if the scores contain a customer twice, a probability outside 0 to 1 or another
    currency.
    """
    check_scores(conform(scores, SCORES, what="scores"), currency=currency)
    known = people_of(scores, people)
    scores = conform(scores, SCORES, what="scores")
    ids = scores["customer_id"].to_pylist()
    gates = build_gates(
        scores,
        offers.offers,
        served=served(known, offers, as_of=as_of),
        consent=consent,
        consents=None if consents is None else conform(consents, CONSENTS, what="consents"),
        contacts=None if contacts is None else conform(contacts, CONTACTS, what="contacts"),
        contacted_enough=contacted_enough,
        preference_mask=preference_mask,
    )
    probability = scores["churn_probability"].to_numpy()
    base_rate = _base_rate(probability, scores["status"])
    amounts = None if order_amounts is None else order_amount_of(scores, order_amounts)
    worth = offer_worth(
        probability,
        scores["value_at_risk"].to_numpy(),
        offers.offers,
        base_rate=base_rate,
        order_amount=amounts,
        measured=measured,
    )
    permitted = gates.open & np.isfinite(worth.value)
    capacity = np.array([np.inf if o.capacity is None else o.capacity for o in offers], dtype=float)
    groups = None if group_rules is None else Groups.of(known["group"], group_rules)
    explorable = permitted if groups is None else permitted & groups.open[:, None]
    arms = draw_arms(
        ids,
        explorable,
        worth.cost,
        shares,
        campaign=offers.campaign_id,
        occasion=str(as_of),
        budget=budget,
        capacity=capacity,
        groups=groups,
    )
    decided = decide(
        worth,
        permitted,
        arms,
        budget=budget,
        capacity=capacity,
        groups=groups,
        ties=hash_position(ids, salt=f"{shares.key}/ties/{as_of}"),
    )
    codes = suppression_codes(
        gates, worth.ranked, decided.choice, arm=arms.arm, crowded_out=decided.crowded_out
    )
    table = plan_table(
        scores["customer_id"],
        offers,
        worth,
        decided.choice,
        arms=arms,
        propensity=propensities(arms, decided.choice, explorable, decided.intended, shares),
        lots=choice_sets(arms, explorable, decided.intended, shares, [o.offer_id for o in offers]),
        suppression=codes,
        facts={"run_id": run_id, "campaign_id": offers.campaign_id, "as_of": as_of},
    )
    summary = totals_of(
        table,
        offers,
        decided,
        permitted,
        arms=arms,
        shares=shares,
        groups=groups,
        order_amount=np.zeros(len(ids)) if amounts is None else amounts,
    )
    facts = {"base_rate": None if np.isnan(base_rate) else base_rate}
    return Plan(table, {**summary, **facts, "currency": currency, "consent": consent})


def _base_rate(probability: Floats, status: pa.ChunkedArray) -> float:
    """The mean churn probability of eligible customers; of everyone if nobody is eligible."""
    eligible = np.asarray(pc.fill_null(pc.equal(status, "eligible"), False), dtype=bool)
    known = ~np.isnan(probability)
    chosen = probability[known & eligible] if (known & eligible).any() else probability[known]
    return float(chosen.mean()) if len(chosen) else float("nan")
