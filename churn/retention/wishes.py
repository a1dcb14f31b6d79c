"""Which offers customers do not want, and which would come more often than they allow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from churn.retention.consents import known_rows
from churn.retention.frequency import distinct_contacts
from churn.retention.preferences import ANY, Limit, PreferenceBook

if TYPE_CHECKING:
    from collections.abc import Sequence

    from churn.retention.offers import Offer

__all__ = ["Wishes"]

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Wishes:
    """What n customers say of m offers, n x m: not wanted, or sent as often as they allow."""

    unwanted: Bools
    enough: Bools

    @classmethod
    def none(cls, customers: int, offers: int) -> Self:
        """Nobody has said anything."""
        return cls(*(np.zeros((customers, offers), dtype=bool) for _ in range(2)))

    @classmethod
    def of(
        cls,
        preferences: pa.Table,
        customer_ids: pa.ChunkedArray,
        offers: Sequence[Offer],
        made: pa.Table | None = None,
    ) -> Self:
        """The wishes of these customers, given the contacts that were made.

        They are counted as under a `FrequencyCap`; to a limit for a channel or kind count those of
        the offers that it is for, and of offers that the catalogue does not hold.
        """
        book = PreferenceBook.read(preferences, customer_ids)
        contacts = None if made is None else _Contacts.read(made, customer_ids, offers)
        found = cls.none(len(customer_ids), len(offers))
        for column, offer in enumerate(offers):
            found.unwanted[:, column] = book.unwanted(offer.channel, offer.kind)
        for limit in book.limits():
            limited = np.array([_is_for(offer, limit) for offer in offers])
            if contacts is not None:
                count = contacts.count(limited, limit.days)[limit.position]
                full = limit.position[count >= limit.most]
                found.enough[np.ix_(full, limited)] = True
        return found


@dataclass(frozen=True)
class _Contacts:
    """Contacts, with the place of each among customers and offers (-1: another offer)."""

    size: int
    rows: pa.Table
    offer: Ints

    @classmethod
    def read(cls, made: pa.Table, customer_ids: pa.ChunkedArray, offers: Sequence[Offer]) -> Self:
        """The contacts of these customers."""
        rows = known_rows(made, customer_ids)
        ids = pa.array([offer.offer_id for offer in offers], pa.string())
        offer = pc.fill_null(pc.index_in(rows["offer_id"], value_set=ids), -1)
        return cls(len(customer_ids), rows, offer.to_numpy())

    def count(self, counted: Bools, days: float) -> Ints:
        """How many each customer had in less than so many days, of the offers that are counted and
        of others.
        """
        recent = self.rows["days_since"].to_numpy() < days
        here = self.rows.filter(pa.array(np.append(counted, True)[self.offer] & recent))
        return distinct_contacts(here, here["position"].to_numpy(), self.size)


def _is_for(offer: Offer, limit: Limit) -> bool:
    return limit.channel in (ANY, offer.channel) and limit.kind in (ANY, offer.kind)
