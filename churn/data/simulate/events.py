"""What the shop noted besides orders, of whatever kind, in one form."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np

from churn.data.simulate.settings import Bools, Floats, Ints

__all__ = ["CHANNELS", "EVENT_TYPES", "Events"]

CHANNELS = ("email", "web", "store", "service")
CHANNEL_OF = {
    "email_sent": "email",
    "email_open": "email",
    "email_click": "email",
    "unsubscribe": "email",
    "visit": "web",
    "cart": "web",
    "delivery_late": "service",
    "complaint": "service",
    "ticket_opened": "service",
    "ticket_closed": "service",
    "review": "web",
    "nps": "email",
    "points_earned": "store",
    "points_spent": "store",
}
EVENT_TYPES = tuple(CHANNEL_OF)


@dataclass(frozen=True)
class Events:
    """Events of customers (positions in `People`) at calendar days since the start.

    `kind` and `channel` are positions in EVENT_TYPES and CHANNELS. `value` is NaN, `ref` (an
    order's number) and `campaign` are -1 where there is none.
    """

    customer: Ints
    day: Floats
    kind: Ints
    channel: Ints
    value: Floats
    ref: Ints
    campaign: Ints

    @classmethod
    def of(
        cls,
        kind: str,
        customer: Ints,
        day: Floats,
        *,
        value: Floats | Ints | None = None,
        ref: Ints | None = None,
        campaign: Ints | None = None,
    ) -> Self:
        """Events of one kind."""
        none = np.full(customer.size, -1)
        return cls(
            customer=customer,
            day=day,
            kind=np.full(customer.size, EVENT_TYPES.index(kind)),
            channel=np.full(customer.size, CHANNELS.index(CHANNEL_OF[kind])),
            value=np.full(customer.size, np.nan) if value is None else value.astype(np.float64),
            ref=none if ref is None else ref,
            campaign=none if campaign is None else campaign,
        )

    @classmethod
    def together(cls, parts: Iterable[Self]) -> Self:
        """The events of all parts."""
        columns = zip(*(vars(part).values() for part in parts), strict=True)
        return cls(*(np.concatenate(column) for column in columns))

    def only(self, which: Bools | Ints) -> Self:
        """Some of the events, by a mask or in the order of positions."""
        return type(self)(*(column[which] for column in vars(self).values()))

    def of_kind(self, kind: str) -> Self:
        """The events of one kind."""
        return self.only(self.kind == EVENT_TYPES.index(kind))
