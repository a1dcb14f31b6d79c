"""Campaigns of the simulated shop: contacts, redemptions, and true effects in a separate folder."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from churn.arrays import Bools, Floats, Ints
from churn.simulator.engagement import Consents
from churn.simulator.frames import customer_ids, named, shuffled, times
from churn.simulator.people import SOURCES, People
from churn.simulator.purchases import Purchases, dropout_after, position_in_group
from churn.simulator.seasons import Seasons, whole_seconds
from churn.simulator.settings import DAYS_A_CAMPAIGN, ShopSettings

EFFECT_DAYS = 28
OFFERS = ("discount", "points", "reminder")
REDEEMED = {"discount": 0.7, "points": 0.5, "reminder": 0.0}
COMPARERS = ("search", "store")  # customers who compare prices, and buy for a discount
UNASKED = ("referral", "direct")  # customers who returned unprompted, and are annoyed by reminders
NOTHING = -1
LEAST_WAIT_DAYS = 0.5
QUIET_DAYS = 28.0  # the rule: a discount after as long without a purchase

TRUE_EFFECTS = "truth/effects"
ARMS = ("treatment", "control")


@dataclass(frozen=True)
class Contacts:
    """Offers given, by customer (a position in `People`), campaign and offer (-1: none).

    `propensity` is NaN if a rule decided rather than randomisation. `outcome`: 1 bought once more,
    -1 skipped a purchase, 0 neither.
    """

    customer: Ints
    campaign: Ints
    day: Floats
    offer: Ints
    propensity: Floats
    outcome: Ints


@dataclass(frozen=True)
class Truth:
    """P(purchase) without an offer, and the true effect of each offer, at one moment; one row per
    customer.
    """

    customer: Ints
    day: float
    retained_without: Floats
    effects: Floats  # customers x offers


def campaign_days(shop: ShopSettings) -> Floats:
    """The times of the campaigns: as a day begins, 56 days apart, the last 56 before the end."""
    back = DAYS_A_CAMPAIGN * np.arange(shop.campaigns, 0, -1)
    return np.asarray(shop.days - back, dtype=np.float64)


def wins(people: People) -> Floats:
    """The probability that an offer causes a purchase, customers x offers."""
    discount = np.where(_came_by(people, *COMPARERS), 0.35, 0.04)
    points = np.where(people.is_member, 0.25, 0.01)
    reminder = np.where(_came_by(people, *UNASKED), 0.01, 0.12)
    return np.column_stack([discount, points, reminder])


def annoys(people: People) -> Floats:
    """The probability that an offer prevents a purchase, customers x offers."""
    none = np.zeros(len(people))
    points = np.where(people.is_member, 0.0, 0.05)
    reminder = np.where(_came_by(people, *UNASKED), 0.3, 0.0)
    return np.column_stack([none, points, reminder])


def _came_by(people: People, *sources: str) -> Bools:
    return np.isin(people.source, [SOURCES.index(name) for name in sources])


def retained_without(
    seasons: Seasons, people: People, purchases: Purchases, day: float
) -> tuple[Ints, Floats]:
    """The customers with a purchase before that day, and P(a purchase in the 28 days from it).

    P(alive) given rate, dropout and last purchase, times P(a Poisson process is not silent). It
    uses the traits and the customer's own purchases, not future random draws.
    """
    before = purchases.day < day
    customer = purchases.customer[before]
    known, backward = np.unique(customer[::-1], return_index=True)
    last = np.flatnonzero(before)[::-1][backward]
    chance = dropout_after(people.dropout[known], purchases.is_bad[last])
    now, then = seasons.shop_time(np.array([day, min(day + EFFECT_DAYS, seasons.days)]))
    then += max(
        day + EFFECT_DAYS - seasons.days, 0.0
    )  # beyond the end, a day has the mean activity
    rate = people.rate[known]
    silent = np.exp(-rate * (now - seasons.shop_time(purchases.day[last])))
    alive = (1 - chance) * silent / (chance + (1 - chance) * silent)
    return known, np.asarray(alive * (1 - np.exp(-rate * (then - now))))


def true_effects(seasons: Seasons, people: People, purchases: Purchases, day: float) -> Truth:
    """The true effects of offers at one moment, for everyone who had bought before it."""
    known, p = retained_without(seasons, people, purchases, day)
    effects = (1 - p)[:, None] * wins(people)[known] - p[:, None] * annoys(people)[known]
    return Truth(known, day, p, effects)


def draw_contacts(
    rng: np.random.Generator,
    shop: ShopSettings,
    seasons: Seasons,
    people: People,
    purchases: Purchases,
    words: Consents,
) -> Contacts:
    """The contacts of all campaigns: to buyers who had granted marketing by e-mail."""
    parts = [
        _campaign(rng, shop, people, purchases, words, number, day)
        for number, day in enumerate(campaign_days(shop))
    ]
    columns = zip(*parts, strict=True)
    return Contacts(*(np.concatenate(column) for column in columns))


def _campaign(
    rng: np.random.Generator,
    shop: ShopSettings,
    people: People,
    purchases: Purchases,
    words: Consents,
    number: int,
    day: float,
) -> tuple[NDArray[Any], ...]:
    bought = purchases.per_customer(purchases.day < day) > 0
    customer = np.flatnonzero(bought & _agreed(words, len(people), day))
    by_lot = rng.random(customer.size) < shop.randomised_share
    drawn = rng.integers(NOTHING, len(OFFERS), customer.size)
    offer = np.where(by_lot, drawn, _by_rule(purchases, customer, day))
    to_win, to_annoy = chances(people, customer, offer)
    is_won, is_annoyed = rng.random(customer.size) < to_win, rng.random(customer.size) < to_annoy
    would = buys(purchases, len(people), day)[customer]
    outcome = np.where(would, -1 * is_annoyed, 1 * is_won)
    propensity = np.where(by_lot, 1 / (1 + len(OFFERS)), np.nan)
    reached = by_lot | (offer != NOTHING)  # customers who get nothing by rule are not listed
    columns = (customer, np.full(customer.size, number), np.full(customer.size, day), offer)
    return tuple(column[reached] for column in (*columns, propensity, outcome))


def _agreed(words: Consents, customers: int, day: float) -> Bools:
    """Whether the latest statement on marketing before that day was a yes."""
    heard = words.is_marketing & (words.day < day)
    order = np.argsort(words.day[heard], kind="stable")
    agreed = np.zeros(customers, dtype=np.bool_)
    agreed[words.customer[heard][order]] = words.granted[heard][order]
    return agreed


def _by_rule(purchases: Purchases, customer: Ints, day: float) -> Ints:
    last = np.full(purchases.dropped_out.size, -np.inf)
    before = purchases.day < day
    np.maximum.at(last, purchases.customer[before], purchases.day[before])
    return np.where(day - last[customer] > QUIET_DAYS, OFFERS.index("discount"), NOTHING)


def chances(people: People, customer: Ints, offer: Ints) -> tuple[Floats, Floats]:
    """The probabilities that each customer's offer wins or annoys them; 0 for none."""
    at = customer, np.maximum(offer, 0)
    given = offer != NOTHING
    return wins(people)[at] * given, annoys(people)[at] * given


def buys(purchases: Purchases, customers: int, day: float) -> Bools:
    """Who buys within the 28 days without any offer."""
    inside = (purchases.day >= day) & (purchases.day < day + EFFECT_DAYS)
    buys = np.zeros(customers, dtype=np.bool_)
    buys[purchases.customer[inside]] = True
    return buys


def with_effects(rng: np.random.Generator, purchases: Purchases, contacts: Contacts) -> Purchases:
    """The purchases as changed by the offers: one more for customers won, none for those who skip.

    A purchase caused by an offer ends no relationship, so `dropped_out` is unchanged.
    """
    skipped = _skipped(purchases, contacts)
    won = contacts.outcome > 0
    customer = contacts.customer[won]
    wait = LEAST_WAIT_DAYS + (EFFECT_DAYS - 2 * LEAST_WAIT_DAYS) * rng.random(customer.size)
    day = whole_seconds(contacts.day[won] + wait)
    no = np.zeros(customer.size, dtype=np.bool_)
    more = (customer, np.zeros_like(customer), day, ~no, no, no)
    old = (
        *(purchases.customer, purchases.position, purchases.day),
        *(purchases.is_web, purchases.is_late, purchases.is_slow),
    )
    pairs = zip(old, more, strict=True)
    merged = [np.concatenate([column[~skipped], added]) for column, added in pairs]
    order = np.lexsort((merged[2], merged[0]))
    customer, _, day, is_web, is_late, is_slow = (column[order] for column in merged)
    position = position_in_group(customer, purchases.dropped_out.size)
    return Purchases(customer, position, day, is_web, is_late, is_slow, purchases.dropped_out)


def _skipped(purchases: Purchases, contacts: Contacts) -> Bools:
    skipped = np.zeros(purchases.day.size, dtype=np.bool_)
    for day in np.unique(contacts.day):
        away = np.zeros(purchases.dropped_out.size, dtype=np.bool_)
        away[contacts.customer[(contacts.day == day) & (contacts.outcome < 0)]] = True
        inside = (purchases.day >= day) & (purchases.day < day + EFFECT_DAYS)
        skipped |= inside & away[purchases.customer]
    return skipped


def redeemed(
    rng: np.random.Generator, purchases: Purchases, contacts: Contacts
) -> tuple[Ints, Floats]:
    """Contacts (positions) whose offer was redeemed, and when: at the first purchase within 28
    days, with the offer's probability.
    """
    chance = np.array([REDEEMED[name] for name in OFFERS])[np.maximum(contacts.offer, 0)]
    may = np.flatnonzero((contacts.offer != NOTHING) & (rng.random(chance.size) < chance))
    day = contacts.day[may]
    place = np.searchsorted(
        _key(purchases.customer, purchases.day), _key(contacts.customer[may], day)
    )
    found = np.minimum(place, purchases.day.size - 1)
    first = purchases.day[found]
    same = (place < purchases.day.size) & (purchases.customer[found] == contacts.customer[may])
    within = same & (first < day + EFFECT_DAYS)
    return may[within], first[within]


def _key(customer: Ints, day: Floats) -> Floats:
    """One increasing number for purchases in the order of customer and time."""
    return np.asarray(customer * 10_000.0 + day)


def campaign_tables(
    rng: np.random.Generator,
    shop: ShopSettings,
    seasons: Seasons,
    people: People,
    purchases: Purchases,
    words: Consents,
) -> tuple[Purchases, dict[str, pa.Table]]:
    """The purchases as changed by the campaigns, and contacts, redemptions, true effects."""
    contacts = draw_contacts(rng, shop, seasons, people, purchases, words)
    changed = with_effects(rng, purchases, contacts)
    tables = {
        "contacts": _contacts_table(rng, shop, people, contacts),
        "redemptions": _redemptions_table(rng, shop, people, changed, contacts),
        TRUE_EFFECTS: _truth_table(shop, seasons, people, purchases),
    }
    return changed, tables


def _names(shop: ShopSettings) -> list[str]:
    days = campaign_days(shop)
    return [f"campaign-{shop.start + timedelta(days=int(day))}" for day in days]


def _contacts_table(
    rng: np.random.Generator, shop: ShopSettings, people: People, contacts: Contacts
) -> pa.Table:
    columns = {
        "customer_id": customer_ids(people).take(pa.array(contacts.customer)),
        "contacted_at": times(shop, contacts.day),
        "campaign_id": named(_names(shop), contacts.campaign),
        "offer_id": named(OFFERS, contacts.offer),
        "arm": named(ARMS, (contacts.offer < 0).astype(np.int64)),
        "propensity": pa.array(contacts.propensity, from_pandas=True),
    }
    return shuffled(rng, columns)


def _redemptions_table(
    rng: np.random.Generator,
    shop: ShopSettings,
    people: People,
    purchases: Purchases,
    contacts: Contacts,
) -> pa.Table:
    which, day = redeemed(rng, purchases, contacts)
    columns = {
        "customer_id": customer_ids(people).take(pa.array(contacts.customer[which])),
        "redeemed_at": times(shop, day),
        "campaign_id": named(_names(shop), contacts.campaign[which]),
        "offer_id": named(OFFERS, contacts.offer[which]),
    }
    return shuffled(rng, columns)


def _truth_table(
    shop: ShopSettings, seasons: Seasons, people: People, purchases: Purchases
) -> pa.Table:
    """One row per customer and offer at each campaign, and at the end (the next campaign)."""
    moments = [*campaign_days(shop), float(shop.days)]
    truths = [true_effects(seasons, people, purchases, day) for day in moments]
    return pa.concat_tables(
        pa.table(
            {
                "customer_id": customer_ids(people).take(pa.array(truth.customer)),
                "contacted_at": times(shop, np.full(truth.customer.size, truth.day)),
                "offer_id": named(OFFERS, np.full(truth.customer.size, number)),
                "retained_without": pa.array(truth.retained_without),
                "true_effect": pa.array(truth.effects[:, number]),
            }
        )
        for truth in truths
        for number in range(len(OFFERS))
    )
