"""A shop of another design than `churn.simulator`, with offers whose true effects are known.

`Shop.made` returns three past campaigns with their outcomes, of which a lot decided a share and a
rule the rest, the features of then and of now, and the truth of now. The customers are those of
`second_world.py`. A simulated shop proves mechanics and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import pandas as pd
from second_world import (
    CONTACT_COST,
    FIXED,
    HORIZON,
    NOW,
    OFFERS,
    PERCENT,
    POINTS,
    SALES,
    VALID,
    Bools,
    Diary,
    Floats,
    Ints,
    People,
    State,
    Truth,
    live,
)

from churn.offers.catalogue import NO_OFFER, Offer
from churn.uplift.experiment import COLUMNS, ExperimentData

CAMPAIGNS, LAPSED_AFTER = (60, 72, 84), 26  # weeks
SHARE_HELD_OUT = 0.4


def _assumed(
    offer_id: str,
    kind: str,
    margin_cost: float | str,
    redemption_rate: float,
    effect: float,
    low: float,
    high: float,
) -> Offer:
    return Offer(
        offer_id=offer_id,
        name=offer_id,
        kind=kind,
        channel="email",
        margin_cost=margin_cost,
        contact_cost=float(CONTACT_COST[OFFERS.index(offer_id)]),
        redemption_rate=redemption_rate,
        effect=effect,
        effect_low=low,
        effect_high=high,
        cooldown_days=28,
        expires_after_days=7 * VALID,
    )


# What a shop might assume before it has measured anything; about twice the truth at strength 1.
ASSUMED = (
    _assumed("percent", "discount", f"{PERCENT:.0%}", 0.2, 0.030, 0.010, 0.050),
    _assumed("fixed", "discount", FIXED, 0.2, 0.025, 0.005, 0.045),
    _assumed("points", "points", POINTS, 0.1, 0.010, 0.000, 0.020),
    _assumed("reminder", "content", 0.0, 0.0, 0.008, 0.000, 0.016),
)


@dataclass(frozen=True)
class Memory:
    """All that the shop has seen before a week: joined customers, their diary, contacts."""

    diary: Diary
    arms: dict[int, Ints]
    opened: dict[int, Bools]
    redeemed: dict[int, Bools]
    complained: dict[int, Bools]

    def eligible(self, week: int, people: People) -> Bools:
        """Known for 8 weeks, with an order in the last half year."""
        ordered = self.diary.orders[:, max(week - LAPSED_AFTER, 0) : week].any(axis=1)
        return np.asarray(ordered & (people.joined <= week - 8))


def features(memory: Memory, people: People, week: int) -> pd.DataFrame:
    """What the shop knows of each customer before a week; nothing hidden, nothing later."""
    orders = memory.diary.orders[:, :week]
    spend, bought = memory.diary.spend[:, :week], memory.diary.bought[:, :week]
    year, season = orders[:, -52:], orders[:, max(week - 52, 0) : week - 52 + HORIZON]
    count = np.maximum(year.sum(axis=1), 1)
    recency = np.where(orders.any(axis=1), np.argmax(orders[:, ::-1], axis=1) + 1, np.nan)
    tenure = np.minimum(week - people.joined, week).astype(float)
    gap = np.minimum(tenure, 52) / count
    past = [c for c in CAMPAIGNS if c < week]
    sent = sum((memory.arms[c] >= 0).astype(float) for c in past) + np.zeros(len(tenure))
    opened = sum(memory.opened[c].astype(float) for c in past) + np.zeros(len(tenure))
    return pd.DataFrame(
        {
            "recency_weeks": recency,
            "tenure_weeks": tenure,
            "orders_8_weeks": orders[:, -8:].sum(axis=1),
            "orders_26_weeks": orders[:, -26:].sum(axis=1),
            "orders_52_weeks": year.sum(axis=1),
            "spend_12_weeks": spend[:, -12:].sum(axis=1),
            "spend_52_weeks": spend[:, -52:].sum(axis=1),
            "mean_order": spend[:, -52:].sum(axis=1) / count,
            "largest_order": spend[:, -52:].max(axis=1),
            "mean_gap_weeks": gap,
            "recency_over_gap": recency / gap,
            "staple_share": bought[:, -52:, 0].sum(axis=1) / count,
            "season_share": bought[:, -52:, 1].sum(axis=1) / count,
            "sale_share": year[:, SALES[max(week - 52, 0) : week]].sum(axis=1) / count,
            "orders_same_season": season.sum(axis=1) if week >= 52 else np.nan,
            "visits_4_weeks": memory.diary.visits[:, week - 4 : week].sum(axis=1),
            "visits_12_weeks": memory.diary.visits[:, week - 12 : week].sum(axis=1),
            "contacts": sent,
            "open_share": np.where(sent > 0, opened / np.maximum(sent, 1), np.nan),
            "redemptions": sum(memory.redeemed[c].astype(float) for c in past) + 0 * tenure,
            "complaints": memory.complained[week].astype(float),
        }
    )


def by_rule(known: pd.DataFrame) -> Ints:
    """What the shop's own rule sends: discounts to the overdue, points to the good customers."""
    overdue = (known["recency_over_gap"] > 1.5).to_numpy()
    small = (known["mean_order"] < 30).to_numpy()
    good = (known["spend_52_weeks"] > known["spend_52_weeks"].quantile(0.8)).to_numpy()
    quiet = (known["visits_4_weeks"] == 0).to_numpy()
    return np.select([overdue & small, overdue, good, quiet], [1, 0, 2, 3], default=-1)


@dataclass(frozen=True)
class Shop:
    """The past and the truth of a shop.

    `past` has a row for each eligible customer and campaign: customer_id, lot, offer_id, propensity
    (1 where the rule decided), retained, margin, cost, then `names`, the features before it;
    `past_effect` the true effects on P(retained) of its rows. `now` holds the features of the
    customers eligible today, `truth` what is true of them; `people` and `state` are hidden.
    """

    past: pd.DataFrame
    past_effect: Floats
    now: pd.DataFrame
    truth: Truth
    names: tuple[str, ...]
    people: People
    state: State

    @classmethod
    def made(cls, customers: int, *, share_by_lot: float, seed: int, strength: float = 1.0) -> Self:
        """A shop of so many customers; a lot decided that share of its past contacts. Offers win
        customers back more easily with more `strength`.
        """
        rng = np.random.default_rng(seed)
        people = People.drawn(customers, strength, rng)
        state = _beginning(people, rng)
        memory = Memory(Diary.empty(customers, NOW), {}, {}, {}, {})
        state = _lived(memory, people, state, range(CAMPAIGNS[0]), rng)
        parts, past_effects = [], []
        for week in CAMPAIGNS:
            _complaints(memory, state, week, rng)
            known = features(memory, people, week)
            rows = np.flatnonzero(memory.eligible(week, people))
            contacts = _assigned(known.iloc[rows], week, share_by_lot, rng)
            arm = np.full(customers, -1)
            arm[rows] = contacts.pop("arm")
            then = state
            state = _lived(memory, people, state, range(week, week + 12), rng, arm)
            outcome = _outcome(memory, arm, week)
            parts.append(pd.concat([contacts, outcome.iloc[rows], known.iloc[rows]], axis=1))
            past_effects.append(Truth.of(people[rows], then[rows], week).effect)
        _complaints(memory, state, NOW, rng)
        known = features(memory, people, NOW)
        rows = np.flatnonzero(memory.eligible(NOW, people))
        return cls(
            past=pd.concat(parts, ignore_index=True),
            past_effect=np.concatenate(past_effects),
            now=known.iloc[rows].reset_index(drop=True),
            truth=Truth.of(people[rows], state[rows], NOW),
            names=tuple(known.columns),
            people=people[rows],
            state=state[rows],
        )

    @property
    def by_lot(self) -> Bools:
        """The rows of the past that a lot decided."""
        return np.asarray(self.past["propensity"] < 1)

    def experiment(self) -> ExperimentData:
        """The contacts that a lot decided, as the product takes them."""
        rule = self.past.loc[~self.by_lot, "offer_id"]
        past = self.past[self.by_lot].reset_index(drop=True)
        contact = past["offer_id"].map(
            {NO_OFFER: 0.0} | dict(zip(OFFERS, CONTACT_COST, strict=True))
        )
        redeemed = (past["cost"] > contact.astype(float) + 1e-9).astype(float)
        return ExperimentData(
            rows=past[[*COLUMNS, *self.names]].assign(redeemed=redeemed),
            feature_names=self.names,
            horizon_days=7 * HORIZON,
            observational=rule[rule != NO_OFFER].value_counts().to_dict(),
        )


def _beginning(people: People, rng: np.random.Generator) -> State:
    """Levels at the start; who joins later is keen then, and needs the staple soon."""
    count = len(people.joined)
    level = np.where(people.joined > 0, 0, rng.choice(4, count, p=[0.2, 0.35, 0.25, 0.2]))
    stock = people.cycle.astype(int)
    return State(level, stock, np.zeros(count), rng.random(count) < 0.08)


def _lived(
    memory: Memory,
    people: People,
    state: State,
    weeks: range,
    rng: np.random.Generator,
    arm: Ints | None = None,
) -> State:
    """The state after these weeks, which are written into the memory."""
    state, diary = live(people, state, weeks, rng, arm)
    for name in ("bought", "spend", "visits"):
        getattr(memory.diary, name)[:, weeks.start : weeks.stop] = getattr(diary, name)
    if arm is not None:
        opens = people.reads * 0.7 + 0.04
        memory.arms[weeks.start] = arm
        memory.opened[weeks.start] = (arm >= 0) & (rng.random(len(arm)) < opens)
        memory.redeemed[weeks.start] = diary.redemption > 0
        memory.diary.redemption[:] = diary.redemption
    return state


def _complaints(memory: Memory, state: State, week: int, rng: np.random.Generator) -> None:
    odds = np.where(state.sore, 0.4, 0.01)
    memory.complained[week] = rng.random(len(odds)) < odds


def _assigned(
    known: pd.DataFrame, week: int, share_by_lot: float, rng: np.random.Generator
) -> pd.DataFrame:
    """Arms by lot or by rule, with their propensities."""
    count, sent = len(known), (1 - SHARE_HELD_OUT) / len(OFFERS)
    lot = rng.random(count) < share_by_lot
    drawn = rng.choice(len(OFFERS) + 1, count, p=[SHARE_HELD_OUT] + [sent] * len(OFFERS)) - 1
    arm = np.where(lot, drawn, by_rule(known))
    return pd.DataFrame(
        {
            "arm": arm,
            "customer_id": [f"c{number}" for number in known.index],
            "lot": f"week-{week}",
            "offer_id": np.array([*OFFERS, NO_OFFER], dtype=object)[arm],
            "propensity": np.where(lot, np.where(arm < 0, SHARE_HELD_OUT, sent), 1.0),
        },
        index=known.index,
    )


def _outcome(memory: Memory, arm: Ints, week: int) -> pd.DataFrame:
    diary = memory.diary
    after = replace(diary, bought=diary.bought[:, week:], spend=diary.spend[:, week:])
    retained, margin = after.outcome()
    cost = np.where(arm >= 0, CONTACT_COST[arm], 0.0) + diary.redemption
    return pd.DataFrame({"retained": retained, "margin": margin, "cost": cost})
