"""Customers and their fixed traits, most of them hidden from the shop."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from churn.arrays import Bools, Floats, Ints
from churn.simulator.seasons import Seasons
from churn.simulator.settings import ShopSettings

MOST_PURCHASES_A_DAY = 2.0
REGISTERS_ONLY = 0.04
MEAN_DAYS_TO_FIRST_PURCHASE = 2.0
SPEND_SHAPE_OF_MEANS = 4.0
LOYALTY_SHARE = 0.6
TASTE_CONCENTRATION = 4.0

REGIONS = ("north", "east", "south", "west")
SOURCES = ("search", "social", "store", "referral", "direct")
SOURCE_WEIGHTS = (0.3, 0.2, 0.25, 0.1, 0.15)
CATEGORIES = (
    "bakery",
    "books",
    "coffee",
    "cosmetics",
    "flowers",
    "garden",
    "household",
    "kitchen",
    "pets",
    "sports",
    "toys",
    "wine",
)


@dataclass(frozen=True)
class People:
    """Some customers, one value (or row) each. `number` counts through the whole shop.

    `signed_up` is in calendar days, `first_purchase` in shop time: infinite for non-buyers.
    """

    number: Ints
    segment: Ints
    signed_up: Floats
    first_purchase: Floats
    rate: Floats
    dropout: Floats
    mean_order: Floats
    bargain_share: Floats
    open_rate: Floats
    taste: Floats
    region: Ints
    source: Ints
    birth_age_days: Ints
    is_member: Bools

    def __len__(self) -> int:
        return self.number.size


def draw_people(
    rng: np.random.Generator, shop: ShopSettings, seasons: Seasons, number: Ints
) -> People:
    """The customers with those numbers."""
    n = number.size
    share = shop.of_segment("share")
    segment = rng.choice(len(share), size=n, p=share / share.sum())
    came = seasons.span * rng.random(n) ** (1 / shop.of_segment("growth")[segment])
    signed_up = seasons.calendar(came)
    first = seasons.shop_time(signed_up) + rng.exponential(MEAN_DAYS_TO_FIRST_PURCHASE, n)
    first[rng.random(n) < REGISTERS_ONLY] = np.inf
    bargains = shop.of_segment("bargain_share")[segment]
    return People(
        number=number,
        segment=segment,
        signed_up=signed_up,
        first_purchase=first,
        rate=_rate(rng, shop, segment),
        dropout=_dropout(rng, shop, segment),
        mean_order=_mean_order(rng, shop, segment),
        bargain_share=rng.beta(5 * bargains, 5 * (1 - bargains)),
        open_rate=rng.beta(1.5, 4.0, n),
        taste=_taste(rng, n),
        region=rng.integers(0, len(REGIONS), n),
        source=rng.choice(len(SOURCES), size=n, p=SOURCE_WEIGHTS),
        birth_age_days=rng.integers(18 * 365, 80 * 365, n),
        is_member=rng.random(n) < LOYALTY_SHARE,
    )


def _rate(rng: np.random.Generator, shop: ShopSettings, segment: Ints) -> Floats:
    shape = shop.of_segment("rate_shape")[segment]
    mean = 1 / shop.of_segment("mean_gap_days")[segment]
    return np.minimum(rng.gamma(shape, mean / shape), MOST_PURCHASES_A_DAY)


def _dropout(rng: np.random.Generator, shop: ShopSettings, segment: Ints) -> Floats:
    a, b = shop.of_segment("dropout_a")[segment], shop.of_segment("dropout_b")[segment]
    return np.clip(rng.beta(a, b), 1e-6, 1 - 1e-6)


def _mean_order(rng: np.random.Generator, shop: ShopSettings, segment: Ints) -> Floats:
    """Inverse Gamma, whose mean is scale / (shape - 1)."""
    shape = SPEND_SHAPE_OF_MEANS
    scale = shop.of_segment("mean_order")[segment] * (shape - 1)
    return np.asarray(scale / rng.gamma(shape, 1.0, segment.size))


def _taste(rng: np.random.Generator, customers: int) -> Floats:
    """The probability of each category, one Dirichlet row per customer; the first are preferred."""
    liked = 1 / np.sqrt(np.arange(1, len(CATEGORIES) + 1))
    weights = rng.gamma(TASTE_CONCENTRATION * liked / liked.sum(), 1.0, (customers, liked.size))
    weights += 1e-9
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))
