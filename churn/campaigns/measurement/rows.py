"""A plan joined with its outcome: one row per customer, money in exact decimals.

Money is counted in integer ten-thousandths, so that sums of rows are exact.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from churn.data.cutoffs import Cutoffs
from churn.data.labels import outcomes
from churn.data.responses import Window, contacted, reactions, redemptions
from churn.data.tables import Snapshot
from churn.errors import ConfigError, DataError
from churn.offers.arms import ARMS, CONTROL, HOLDOUT
from churn.offers.catalogue import NO_OFFER, Offers
from churn.storage.exports import Delivered

# In this order: the first that applies to a customer is the response.
ANSWERS = {
    "not_sent": "find out why it was not delivered",
    "unsubscribed": "do not contact again; make sure that the consent is withdrawn",
    "redeemed": "thank the customer; no further discount now",
    "redeemed_other": "redeemed something other than the offer sent: check offer, campaign, code",
    "bought": "bought without redeeming: no discount was needed",
    "bought_somehow": "not known whether the offer was used: connect [data.redemptions]",
    "opened": "opened but did not buy: ask why, or send one reminder",
    "ignored": "try another channel or another offer",
    "did_not_buy": "not known whether it was opened: connect [data.events]",
}

NO_CAMPAIGN = "name a campaign that is neither this one nor one of [data.contacts]"
NO_SUCH_OFFER = "name an offer or a code that the catalogue does not have"
ANOTHER_OFFER = "name another offer of the catalogue than the customer was sent"
UNITS = 10_000
MONEY = ("net_spend", "margin", "contact_cost", "redemption_cost")
PLANNED = ("customer_id", "campaign_id", "as_of", "offer_id", "arm", "propensity", "expected_cost")
INTENDED = "intended_offer_id"
"""A column of plans since they state whom they would serve without any randomisation."""
KEPT = (ARMS[HOLDOUT], ARMS[CONTROL])
_DECIMAL = pa.decimal128(18, 4)
MEASURED_SCHEMA = pa.schema(
    [
        ("customer_id", pa.string()),
        ("campaign_id", pa.string()),
        ("as_of", pa.date32()),
        ("offer_id", pa.string()),
        ("arm", pa.string()),
        ("compared", pa.bool_()),
        ("kept", pa.bool_()),
        ("sent", pa.bool_()),
        ("churn_probability", pa.float64()),
        ("expected_margin", pa.float64()),
        ("retained", pa.int64()),
        ("orders", pa.int64()),
        ("net_spend", _DECIMAL),
        ("margin", _DECIMAL),
        ("redemptions", pa.int64()),
        ("contact_cost", _DECIMAL),
        ("redemption_cost", _DECIMAL),
        ("answer", pa.string()),
        ("next_step", pa.string()),
    ]
)


def answers_of(rows: pd.DataFrame) -> tuple[pd.Series[str], pd.Series[str]]:
    """The response of each row and the next step; both null if no offer was planned.

    `rows` have `offered`, `sent`, `retained`, and `redemptions`, `other_redemptions`, `opened` and
    `unsubscribed`, which are null if the tables do not contain them.
    """
    holds = {
        "not_sent": ~rows["sent"],
        "unsubscribed": rows["unsubscribed"].fillna(0) > 0,
        "redeemed": rows["redemptions"].fillna(0) > 0,
        "redeemed_other": rows["other_redemptions"].fillna(0) > 0,
        "bought": (rows["retained"] > 0) & rows["redemptions"].notna(),
        "bought_somehow": rows["retained"] > 0,
        "opened": rows["opened"].fillna(0) > 0,
        "ignored": rows["opened"].notna(),
        "did_not_buy": rows["offered"],
    }
    conditions = [np.asarray(rows["offered"] & holds[name], dtype=bool) for name in ANSWERS]
    answer = pd.Series(
        np.select(conditions, [*ANSWERS], default=""), index=rows.index, dtype="object"
    ).replace({"": None})
    return answer, answer.map(ANSWERS)


@dataclass(frozen=True)
class Redeemed:
    """By row of a plan: `ours`, redemptions of the offer sent; `others`, of anything else;
    `priced`, those of `ours` with an order on the same day, and the sum of those orders.

    All are null if redemptions are unknown. `unmatched` counts unmatched redemptions of customers
    with an offer, by what they refer to.
    """

    ours: pd.Series[int]
    others: pd.Series[int]
    priced: pd.Series[int]
    order_amount: pd.Series[float]
    unmatched: Mapping[str, int]


def redeemed_by(
    frame: pd.DataFrame, table: pa.Table | None, codes: Mapping[str, str], offer_ids: set[str]
) -> Redeemed:
    """Redemptions (see `churn.data.responses`) by row of a plan with customer_id, campaign_id and
    offer_id.

    `codes` maps lower-case codes to offers; an offer's id also counts as a code.
    """
    if table is None:
        unknown = pd.Series(pd.NA, index=frame.index, dtype="Int64")
        return Redeemed(unknown, unknown, unknown, unknown.astype("Float64"), {})
    rows = table.to_pandas()
    sent = rows["customer_id"].map(frame.set_index("customer_id")["offer_id"])
    rows = rows.assign(sent=sent)[sent.notna() & (sent != NO_OFFER)]
    named = _named_offer(rows, {**codes, **{name: name for name in offer_ids}})
    foreign = rows["campaign_id"].notna() & (rows["campaign_id"] != frame["campaign_id"].iloc[0])
    nameless = rows["offer_id"].isna() & rows["code"].isna()
    ours = ~foreign & (nameless | (named == rows["sent"]))
    reasons = {
        NO_CAMPAIGN: foreign & ~rows["elsewhere"],
        NO_SUCH_OFFER: ~foreign & ~nameless & named.isna(),
        ANOTHER_OFFER: ~foreign & ~ours & named.notna(),
    }
    counts = {reason: int(rows.loc[which, "redeemed"].sum()) for reason, which in reasons.items()}
    return Redeemed(
        ours=_sums(frame, rows[ours], "redeemed").astype("Int64"),
        others=_sums(frame, rows[~ours], "redeemed").astype("Int64"),
        priced=_sums(frame, rows[ours], "priced").astype("Int64"),
        order_amount=_sums(frame, rows[ours], "order_amount").astype("Float64"),
        unmatched={reason: count for reason, count in counts.items() if count},
    )


def _named_offer(rows: pd.DataFrame, offers: Mapping[str, str]) -> pd.Series[str]:
    """The catalogue offer that a row refers to, by id, else by code; null for none."""
    by_id, by_code = (rows[name].astype("object").map(offers) for name in ("offer_id", "code"))
    return by_id.fillna(by_code)


def _sums(frame: pd.DataFrame, rows: pd.DataFrame, name: str) -> pd.Series[float]:
    return frame["customer_id"].map(rows.groupby("customer_id")[name].sum()).fillna(0)


SentBy = Literal["contacts", "ledger", "nothing"]
"""The shop's contacts that name the campaign; else messages and exports; else nothing on record."""


@dataclass(frozen=True)
class Measured:
    """The rows, with money in ten-thousandths, and facts about the campaign.

    `unmatched` counts redemptions that match no offer or campaign, by what they refer to.
    `compared`: customers whom the plan would serve, and for whom the draw of holdout and control
    made a difference. Days before
    `closes` are counted; the window is over, and its orders have arrived, where `closed`: as of
    `ends` and later. `sent_by` is what states which offers were sent.
    """

    frame: pd.DataFrame
    plan_as_of: date
    closes: date
    horizon_days: int
    closed: bool
    ends: date
    sent_by: SentBy
    redemptions_known: bool
    events_known: bool
    unmatched: Mapping[str, int]

    @property
    def elapsed(self) -> float:
        """The elapsed share of the horizon."""
        return (self.closes - self.plan_as_of).days / self.horizon_days

    @property
    def table(self) -> pa.Table:
        """`MEASURED_SCHEMA`, in the order of the plan."""
        columns = {name: pa.array(self.frame[name], from_pandas=True) for name in self.frame}
        exact = {name: _exact(columns[name]) for name in MONEY}
        both = columns | exact
        return pa.table([both[n] for n in MEASURED_SCHEMA.names], MEASURED_SCHEMA.names).cast(
            MEASURED_SCHEMA
        )


def measured_rows(
    planned: pd.DataFrame,
    snapshot: Snapshot,
    offers: Offers,
    *,
    horizon_days: int,
    margin_rate: float,
    scores: pd.DataFrame | None = None,
    codes: Mapping[str, str] | None = None,
    delivered: Delivered | None = None,
) -> Measured:
    """The outcomes of a plan (`PLANNED`, one campaign and date) as known at the snapshot.

    Compared are customers for whom the draw made a difference and whom the plan would serve without
    it (`INTENDED`, if the plan has it): others would add noise around zero.

    Counted are the days from the plan's date on, `horizon_days` at most. Sent is what contacts of
    the campaign say, else what was `delivered` by the ledger. Costs are those of the catalogue: a
    contact for each who was sent an offer, and the margin of each redemption; if the tables have no
    redemptions, the expected cost of the plan. `scores` (indexed by customer_id, any
    of churn_probability, expected_margin) are those of the plan's date, for CUPED. `codes` maps
    lower-case codes to offers. Raises DataError if a customer is repeated, ConfigError if no day
    has passed or the catalogue lacks an offer.
    """
    plan_as_of, campaign = _one_plan(planned)
    lag = snapshot.tables.arrival_lag_days()
    days = min(horizon_days, (snapshot.as_of - plan_as_of).days - lag)
    if days < 1:
        rule = (
            f"a plan of {plan_as_of} is measured as of {plan_as_of + timedelta(1 + lag)} or later"
        )
        raise ConfigError(rule, got=snapshot.as_of, fix="Pass a later --as-of, or newer data.")
    seen = Cutoffs((plan_as_of,), days, snapshot.as_of, arrival_lag_days=lag)
    window = Window(campaign, plan_as_of, seen.label_end(plan_as_of))
    frame = planned.reindex(columns=[*PLANNED, INTENDED]).reset_index(drop=True)
    frame["kept"] = frame["arm"].isin(KEPT)
    frame["compared"] = (frame["propensity"] < 1) & (frame[INTENDED] != NO_OFFER)
    for name in ("churn_probability", "expected_margin"):
        frame[name] = np.nan
        if scores is not None and name in scores:
            frame[name] = frame["customer_id"].map(scores[name]).astype("float64")
    frame = with_outcomes(frame, snapshot, seen, margin_rate)
    frame["offered"] = frame["offer_id"] != NO_OFFER
    frame["sent"], sent_by = _sent(frame, contacted(snapshot, window), delivered)
    reacted = reactions(snapshot, window)
    redeemed = redeemed_by(
        frame, redemptions(snapshot, window), codes or {}, {offer.offer_id for offer in offers}
    )
    frame["redemptions"], frame["other_redemptions"] = redeemed.ours, redeemed.others
    for name in ("opened", "unsubscribed"):
        frame[name] = _reaction(frame, reacted, name)
    frame["contact_cost"], frame["redemption_cost"] = _costs(frame, offers, redeemed)
    reached = frame["sent"] if sent_by != "nothing" else frame["offered"] & _reacted(frame)
    frame["answer"], frame["next_step"] = answers_of(frame.assign(sent=reached))
    return Measured(
        frame=frame,
        plan_as_of=plan_as_of,
        closes=window.closes,
        horizon_days=horizon_days,
        closed=days == horizon_days,
        ends=plan_as_of + timedelta(horizon_days + lag),
        sent_by=sent_by,
        redemptions_known=snapshot.tables.has("redemptions"),
        events_known=reacted is not None,
        unmatched=redeemed.unmatched,
    )


def _sent(
    frame: pd.DataFrame, contacts: set[str] | None, delivered: Delivered | None
) -> tuple[pd.Series[bool], SentBy]:
    """Whether each row's offer was sent, and what says so."""
    if contacts is not None:
        return frame["offered"] & frame["customer_id"].isin(contacts), "contacts"
    if not delivered:
        return frame["offered"] & False, "nothing"
    listed = frame["offer_id"].isin(delivered.listed_offers - {None})
    reached = frame["customer_id"].isin(delivered.customers) | listed
    return frame["offered"] & (reached | (None in delivered.listed_offers)), "ledger"


def _one_plan(planned: pd.DataFrame) -> tuple[date, str]:
    names = planned[["as_of", "campaign_id"]].drop_duplicates()
    if len(names) != 1:
        rule = "only one plan can be measured at a time: one campaign and one date"
        raise DataError(rule, got=f"{len(names)} of them", fix="Pass the file of one plan.")
    twice = int(planned["customer_id"].duplicated().sum())
    if twice:
        rule = "a plan must contain every customer_id once"
        raise DataError(rule, got=f"{twice} repeated", fix="Pass the plan's file unchanged.")
    return names["as_of"].iloc[0], str(names["campaign_id"].iloc[0])


def with_outcomes(
    frame: pd.DataFrame, snapshot: Snapshot, seen: Cutoffs, margin_rate: float
) -> pd.DataFrame:
    """The rows with orders, retained, net_spend and margin (in units) of the window after the one
    cutoff of `seen`; 0 for customers without an order.
    """
    tables = snapshot.tables
    observed = tables.engine.collect(outcomes(tables, seen)).to_pandas().set_index("customer_id")
    orders, spend = (
        frame["customer_id"].map(observed[name]).fillna(0).astype("float64")
        for name in ("horizon_orders", "horizon_net_spend")
    )
    return frame.assign(
        orders=orders.astype("int64"),
        retained=(orders > 0).astype("int64"),
        net_spend=_units(spend),
        margin=_units(spend.round(4) * margin_rate),
    )


def _reaction(frame: pd.DataFrame, reactions: pa.Table | None, name: str) -> pd.Series[int]:
    if reactions is None:
        return pd.Series(pd.NA, index=frame.index, dtype="Int64")
    by_customer = reactions.to_pandas().set_index("customer_id")[name]
    return frame["customer_id"].map(by_customer).fillna(0).astype("Int64")


def _reacted(frame: pd.DataFrame) -> pd.Series[bool]:
    """Who redeemed, opened or unsubscribed: a response even if nothing says what was sent."""
    reactions = frame[["redemptions", "other_redemptions", "opened", "unsubscribed"]]
    return (reactions.fillna(0) > 0).any(axis=1)


def _costs(
    frame: pd.DataFrame, offers: Offers, redeemed: Redeemed
) -> tuple[pd.Series[int], pd.Series[int]]:
    """Contact and redemption costs in units; a redemption also counts without a contact.

    A share refers to the net amount of the order on the day of the redemption; without one, to the
    customer's mean order since the plan; without any, to that of all customers of the plan.
    """
    by_id = {offer.offer_id: offer for offer in offers}
    missing = sorted(set(frame.loc[frame["offered"], "offer_id"]) - set(by_id))
    if missing:
        rule = "the catalogue must contain the offers of the plan, with their costs"
        raise ConfigError(rule, got=f"no {missing}", fix="Pass the catalogue of that campaign.")
    contact, fixed, share = (
        frame["offer_id"].map({k: getattr(offer, name) for k, offer in by_id.items()}).fillna(0.0)
        for name in ("contact_cost", "margin_amount", "margin_share")
    )
    planned = (frame["expected_cost"] - contact).clip(lower=0.0)
    mean_order = (frame["net_spend"] / UNITS / frame["orders"].where(frame["orders"] > 0)).clip(0.0)
    orders = frame["orders"].sum()
    usual = max(frame["net_spend"].sum() / UNITS / orders, 0.0) if orders else 0.0
    assumed = share * mean_order.fillna(usual)
    times, priced = redeemed.ours.astype("float64"), redeemed.priced.astype("float64")
    amount = redeemed.order_amount.astype("float64")
    unpriced = (times - priced).clip(lower=0.0) * assumed.where(share > 0, 0.0)
    cost = times * fixed + share * amount + unpriced
    return _units(contact * frame["sent"]), _units(cost.fillna(planned * frame["sent"]))


def _units(money: pd.Series[float]) -> pd.Series[int]:
    return (money * UNITS).round().astype("int64")


def _exact(units: pa.Array) -> pa.Array:
    """Whole ten-thousandths as decimals."""
    whole = units.cast(pa.decimal128(19, 0))
    return pc.multiply(whole, pa.scalar(Decimal("0.0001"), pa.decimal128(5, 4))).cast(_DECIMAL)
