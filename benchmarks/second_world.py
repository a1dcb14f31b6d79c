"""Customers of a shop of another design than `churn.simulator`, and what is to be expected of them.

Customers pass between four hidden levels of engagement, a Markov chain by week. Each has needs of
three kinds: a staple that runs out, goods of a season, and impulses that sales invite. Price
sensitivity, memory, love of points, irritability and whether somebody reads messages at all are
hidden. An offer may win a customer back, annoy (the more so after many contacts), pull orders
forward, or do nothing. Spend is heavy-tailed.

`live` draws what happens; `foresee` computes its exact expectations given all that is hidden.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

NOW, HORIZON, VALID = 96, 8, 2  # weeks
MARGIN_RATE = 0.35

LEVELS = np.array([1.3, 0.8, 0.3, 0.02])  # of purchases: keen, steady, drifting, gone
DOWN = np.array([0.04, 0.04, 0.06, 0.0])  # P(one level down) a week, times the customer's drift
UP = np.array([0.0, 0.02, 0.04, 0.005])
AGES = 15  # weeks of stock that are told apart
KINDS = np.array([0.8, 2.0, 0.6])  # mean spend of staple, season, impulse, in baskets
SALES = (np.arange(-9, 2 * NOW) % 13) < 2

OFFERS = ("percent", "fixed", "points", "reminder")
PERCENT, FIXED, POINTS = 0.15, 5.0, 2.0
CONTACT_COST = np.array([0.1, 0.1, 0.1, 0.05])
LOUD = np.array([0.5, 0.5, 0.25, 0.8])
REACHED = np.array([0.3, 0.8, 1.0, 0.3])  # of the four levels


@dataclass(frozen=True)
class People:
    """Traits, one number per customer; all but `joined` (a week) are hidden."""

    joined: Ints
    drift: Floats
    staple: Floats
    cycle: Floats
    season: Floats
    peak: Floats
    impulse: Floats
    basket: Floats
    price: Floats
    memory: Floats
    collector: Floats
    irritable: Floats
    reads: Floats
    moved: Floats

    @classmethod
    def drawn(cls, count: int, strength: float, rng: np.random.Generator) -> Self:
        """So many customers; one in seventy buys for a business."""
        business = np.where(rng.random(count) < 1 / 70, 8.0, 1.0)
        return cls(
            joined=rng.integers(-60, NOW - 4, count),
            drift=rng.lognormal(0.0, 0.5, count),
            staple=rng.random(count) < 0.6,
            cycle=rng.uniform(3, 10, count),
            season=rng.gamma(0.8, 0.15, count),
            peak=np.where(rng.random(count) < 0.5, rng.normal(24, 3, count), 49.0),
            impulse=rng.gamma(0.7, 0.08, count),
            basket=business * rng.lognormal(3.2, 0.9, count),
            price=rng.beta(1.2, 2.0, count),
            memory=1 - rng.beta(3, 1, count),
            collector=rng.beta(0.6, 2.0, count),
            irritable=rng.beta(1.2, 2.5, count),
            reads=(rng.random(count) < 0.65).astype(float),
            moved=np.full(count, strength),
        )

    def __getitem__(self, rows: object) -> Self:
        """Those of some customers, or with further axes: `people[:, None]`."""
        return replace(self, **{f.name: getattr(self, f.name)[rows] for f in fields(self)})


@dataclass(frozen=True)
class State:
    """What changes: the level 0 to 3, weeks since the last staple, contacts that are still felt,
    and whether something went wrong lately.
    """

    level: Ints
    stock: Ints
    fatigue: Floats
    sore: Bools

    def __getitem__(self, rows: Ints | Bools) -> State:
        return State(self.level[rows], self.stock[rows], self.fatigue[rows], self.sore[rows])


@dataclass(frozen=True)
class Response:
    """To an offer: P(one level up), P(one level down), a factor of purchases while it is valid,
    and P(redeemed | an order while it is valid).
    """

    up: Floats
    down: Floats
    pull: Floats
    redeems: Floats

    @classmethod
    def to(cls, arm: Ints, people: People, state: State) -> Self:
        """To the offers of these columns; -1 is none."""
        small = expit((np.log(30) - np.log(people.basket)) / 0.5)
        overdue = people.staple * expit((state.stock - people.cycle) / 1.5)
        price, zero = people.price, np.zeros(len(arm))
        which = (np.arange(len(arm)), arm)
        likes = np.column_stack(
            [0.6 * price, 0.8 * np.sqrt(price) * small, 0.7 * people.collector, 0.6 * people.memory]
        )[which]
        hurries = np.column_stack(
            [1.2 * price, 1.2 * price * small, 0.3 * people.collector, people.memory * overdue]
        )[which]
        takes = np.column_stack([0.4 + 0.6 * price] * 2 + [people.collector, zero])[which]
        tired = 0.3 + 0.7 * np.tanh(state.fatigue / 2)
        annoyed = LOUD[arm] * people.irritable * tired * np.where(state.sore, 2.0, 1.0)
        read = people.reads * (arm >= 0)
        won = np.minimum(people.moved * likes, 0.5) * REACHED[state.level]
        return cls(
            up=read * won * np.where(state.sore, 0.2, 1.0),
            down=read * np.minimum(annoyed, 0.5),
            pull=1 + read * hurries,
            redeems=read * takes,
        )


@dataclass(frozen=True)
class Diary:
    """What customers did, by week: kinds bought (customers x weeks x 3), spend, visits; and what
    the redemption of the offer cost, once per customer.
    """

    bought: Bools
    spend: Floats
    visits: Ints
    redemption: Floats

    @classmethod
    def empty(cls, customers: int, weeks: int) -> Self:
        """Weeks in which nothing happens."""
        return cls(
            bought=np.zeros((customers, weeks, 3), dtype=bool),
            spend=np.zeros((customers, weeks)),
            visits=np.zeros((customers, weeks), dtype=np.int64),
            redemption=np.zeros(customers),
        )

    @property
    def orders(self) -> Bools:
        """Whether there was an order, customers x weeks."""
        return self.bought.any(axis=2)

    def outcome(self) -> tuple[Floats, Floats]:
        """Retained within the horizon from the first week on, and the margin in it, before costs
        of the offer.
        """
        retained = self.orders[:, :HORIZON].any(axis=1).astype(float)
        return retained, MARGIN_RATE * self.spend[:, :HORIZON].sum(axis=1)


def chances(
    people: People, week: int, level: Floats, stock: Ints, pull: Floats | float
) -> tuple[Floats, Floats, Floats]:
    """P(bought this week) of each kind; arguments are broadcast."""
    staple = 0.75 * people.staple * expit((stock - people.cycle) / 1.5)
    season = people.season * np.exp(2.5 * (np.cos((week - people.peak) * 2 * np.pi / 52) - 1))
    impulse = people.impulse * (1 + 3.0 * people.price * SALES[week])
    one, two, three = (np.minimum(q * pull * level, 0.95) for q in (staple, season, impulse))
    return one, two, three


def rates(people: People, sore: Bools) -> tuple[Floats, Floats]:
    """P(one level down) and P(one level up) a week from each level, customers x 4."""
    drift = people.drift * np.where(sore, 2.5, 1.0)
    return np.minimum(DOWN * drift[:, None], 0.5), np.minimum(UP / people.drift[:, None], 0.4)


def live(
    people: People,
    state: State,
    weeks: range,
    rng: np.random.Generator,
    arm: Ints | None = None,
) -> tuple[State, Diary]:
    """The weeks after offers were sent (columns of `OFFERS`, -1 for none), drawn at random."""
    arm = np.full(len(people.joined), -1) if arm is None else arm
    response, sent = Response.to(arm, people, state), arm >= 0
    jump = rng.random(len(arm))
    level = state.level - (jump < response.up) + (jump > 1 - response.down)
    level, stock = np.clip(level, 0, 3), state.stock
    fatigue, sore = state.fatigue + sent, state.sore
    diary = Diary.empty(len(arm), len(weeks))
    waiting = sent.copy()  # for a first order with the offer
    for place, week in enumerate(weeks):
        if week % 12 == (NOW + HORIZON) % 12:
            sore = rng.random(len(arm)) < 0.08
        here = people.joined <= week
        pull = response.pull if place < VALID else 1.0
        chance = np.column_stack(chances(people, week, LEVELS[level] * here, stock, pull))
        bought = rng.random(chance.shape) < chance
        noise = rng.lognormal(-(0.6**2) / 2, 0.6, len(arm))
        diary.bought[:, place] = bought
        diary.spend[:, place] = people.basket * noise * (bought @ KINDS)
        diary.visits[:, place] = rng.poisson(0.15 + 0.9 * LEVELS[level]) * here
        first = waiting & bought.any(axis=1) & (place < VALID)
        redeemed = first & (rng.random(len(arm)) < response.redeems)
        diary.redemption[redeemed] = _redemption(arm, diary.spend[:, place])[redeemed]
        waiting &= ~first
        down, up = rates(people, sore)
        move, rows = rng.random(len(arm)), np.arange(len(arm))
        step = (move > 1 - down[rows, level]).astype(int) - (move < up[rows, level])
        level = np.where(here, level + step, level)
        stock = np.where(bought[:, 0], 0, np.minimum(stock + here, AGES - 1))
        fatigue = 0.9 * fatigue
    return State(level, stock, fatigue, sore), diary


def _redemption(arm: Ints, spend: Floats) -> Floats:
    """What redeeming an offer costs with an order of that amount."""
    costs = [PERCENT * spend, np.full_like(spend, FIXED), np.full_like(spend, POINTS), 0 * spend]
    return np.where(arm < 0, 0.0, np.column_stack(costs)[np.arange(len(arm)), arm])


@dataclass(frozen=True)
class Expected:
    """Expectations of the horizon, one number per customer: P(retained), margin before costs of
    the offer, and what the offer costs.
    """

    retained: Floats
    margin: Floats
    cost: Floats


def foresee(people: People, state: State, week: int, arm: int) -> Expected:
    """What is to be expected if everybody is sent the offer of that column (-1: none) now.

    Two recursions over the weeks: the probability of each level and age of the stock, for the
    margin; that of each level without any order so far, for retention and redemption.
    """
    parts = [slice(i, i + 2000) for i in range(0, len(state.level), 2000)]
    found = [_foresee(people[rows], state[rows], week, arm) for rows in parts]
    retained, margin, cost = (
        np.concatenate([getattr(part, f.name) for part in found]) for f in fields(Expected)
    )
    return Expected(retained, margin, cost)


def _foresee(people: People, state: State, week: int, arm: int) -> Expected:
    count = len(state.level)
    response = Response.to(np.full(count, arm), people, state)
    clear = _after_jump(state.level, response)
    mass = np.zeros((count, 4, AGES))
    mass[np.arange(count), :, state.stock] = clear
    down, up = rates(people, state.sore)
    wide, wider = people[:, None], people[:, None, None]
    margin, amount, redeemers = np.zeros(count), np.zeros(count), np.zeros(count)
    for place in range(HORIZON):
        valid = place < VALID
        pull = response.pull if valid else np.ones(count)
        aged = chances(wider, week + place, LEVELS[:, None], np.arange(AGES), pull[:, None, None])[
            0
        ]
        stock = np.minimum(state.stock + place, AGES - 1)[:, None]
        own = chances(wide, week + place, LEVELS, stock, pull[:, None])
        bought, level = (mass * aged).sum(axis=2), mass.sum(axis=2)
        margin += (bought * KINDS[0] + level * (own[1] * KINDS[1] + own[2] * KINDS[2])).sum(axis=1)
        none = (1 - own[0]) * (1 - own[1]) * (1 - own[2])
        if valid:
            redeemers += (clear * (1 - none)).sum(axis=1)
            amount += (clear * sum(q * kind for q, kind in zip(own, KINDS, strict=True))).sum(
                axis=1
            )
        mass = _moved(_aged(mass * (1 - aged), bought), down[:, :, None], up[:, :, None])
        clear = _moved(clear * none, down, up)
    spend = people.basket * amount
    price = [PERCENT * spend, FIXED * redeemers, POINTS * redeemers, 0 * spend]
    cost = CONTACT_COST[arm] + response.redeems * price[arm] if arm >= 0 else np.zeros(count)
    return Expected(1 - clear.sum(axis=1), MARGIN_RATE * people.basket * margin, cost)


def _after_jump(level: Ints, response: Response) -> Floats:
    """The probability of each level just after the offer, customers x 4."""
    rows, after = np.arange(len(level)), np.zeros((len(level), 4))
    after[rows, level] = 1 - response.up - response.down
    after[rows, np.maximum(level - 1, 0)] += response.up
    after[rows, np.minimum(level + 1, 3)] += response.down
    return after


def _moved(mass: Floats, down: Floats, up: Floats) -> Floats:
    """The mass a week later; the levels are the second axis."""
    moved = mass * (1 - down - up)
    moved[:, 1:] += (mass * down)[:, :-1]
    moved[:, :-1] += (mass * up)[:, 1:]
    return moved


def _aged(kept: Floats, bought: Floats) -> Floats:
    """Stocks a week older, those that were filled at age 0."""
    older = np.zeros_like(kept)
    older[:, :, 1:] = kept[:, :, :-1]
    older[:, :, -1] += kept[:, :, -1]
    older[:, :, 0] = bought
    return older


@dataclass(frozen=True)
class Truth:
    """What an oracle knows: P(retained) and margin without an offer (n); and by offer (n x 4) the
    effect on both and the expected cost, of the horizon.
    """

    retained: Floats
    margin: Floats
    effect: Floats
    margin_effect: Floats
    cost: Floats

    @classmethod
    def of(cls, people: People, state: State, week: int) -> Self:
        """The truth in that state."""
        none, *arms = (foresee(people, state, week, arm) for arm in range(-1, len(OFFERS)))
        return cls(
            retained=none.retained,
            margin=none.margin,
            effect=np.column_stack([arm.retained - none.retained for arm in arms]),
            margin_effect=np.column_stack([arm.margin - none.margin for arm in arms]),
            cost=np.column_stack([arm.cost for arm in arms]),
        )

    @property
    def net(self) -> Floats:
        """The money that each offer makes, n x 4."""
        return self.margin_effect - self.cost
