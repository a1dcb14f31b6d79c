"""Training windows: the past at a moment, candidates of a panel, and later purchases."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np

from churn.arrays import Bools, Floats, Ints
from churn.offers.arms import hash_position
from churn.recommendations.candidates import Candidates, Ranker, candidates
from churn.recommendations.catalogue import Catalogue
from churn.recommendations.copurchase import Shop
from churn.recommendations.purchases import Moment, Past, Purchases
from churn.recommendations.settings import RecommendSettings

HALF_LIVES = 4  # of a count, in horizons
PANEL_CUSTOMERS = 10_000
PANEL_ROWS = 1_000_000


def half_life_days(horizon_days: int) -> float:
    """The half-life of a purchase in days."""
    return float(HALF_LIVES * horizon_days)


@dataclass(frozen=True)
class TrainingWindow:
    """The shop at a moment, with the `past` of a panel of at most 10,000 customers and a million
    rows; `bought` are the pairs (customer x products + product, sorted) bought in the horizon from
    the moment on, as known at the next moment.
    """

    past: Past
    shop: Shop
    bought: Ints
    products: int

    @classmethod
    def at(
        cls,
        moment: Moment,
        following: Moment,
        purchases: Purchases,
        catalogue: Catalogue,
        *,
        horizon_days: int,
        settings: RecommendSettings,
    ) -> Self:
        """The window at that moment, from the purchases of a sample of customers."""
        past = purchases.before(moment, half_life_days=half_life_days(horizon_days))
        panel = past.of(
            _panel(past, hash_position(purchases.customer_ids.to_pylist(), salt="panel"))
        )
        return cls(
            past=panel,
            shop=shop_at(past, catalogue, horizon_days=horizon_days, settings=settings),
            bought=purchases.bought(moment, horizon_days, known=following),
            products=purchases.products,
        )

    @cached_property
    def candidates(self) -> tuple[Candidates, Candidates]:
        """Own and new candidates of the panel."""
        return candidates(self.past, self.shop)

    def ranker(self) -> Ranker | None:
        """The ranker fitted on the purchases after this moment."""
        own, new = self.candidates
        return Ranker.fit(own, new, self._bought(own), self._bought(new))

    def _bought(self, rows: Candidates) -> Bools:
        return np.isin(rows.customer * self.products + rows.product, self.bought)


def shop_at(
    past: Past, catalogue: Catalogue, *, horizon_days: int, settings: RecommendSettings
) -> Shop:
    """The shop from a past, under these settings."""
    return Shop.at(
        past,
        catalogue.tie,
        horizon_days=horizon_days,
        within_days=settings.within_days(horizon_days),
        least_buyers=settings.least_buyers,
    )


def _panel(past: Past, positions: Floats) -> Bools:
    """Customers in the order of a hash of their ids, up to the two limits."""
    rows = np.bincount(past.customer, minlength=positions.size)
    order = np.argsort(positions, kind="stable")
    order = order[rows[order] > 0][:PANEL_CUSTOMERS]
    kept = np.zeros(positions.size, dtype=bool)
    kept[order[np.cumsum(rows[order]) <= PANEL_ROWS]] = True
    return kept
