"""Reasons for suppression, and the gates that an offer must pass before its value counts."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Literal, Self, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from churn.arrays import Bools, Floats, Ints
from churn.errors import ConfigError
from churn.offers.arms import CONTROL, EXPLORE, HOLDOUT
from churn.offers.frequency import with_an_offer
from churn.offers.preferences import ConsentBook, PreferenceMask, known_rows

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from churn.offers.catalogue import Offer
    from churn.offers.eligibility import Served


Consent = Literal["required", "assumed"]


class Suppression(StrEnum):
    """The code of every "none"; if several apply, the first in this order is recorded.

    >>> Suppression("cooldown").meaning
    'every permitted offer would follow an earlier contact too soon'
    """

    OBJECTED = "objected", "objects to profiling, so no score may be used for offers"
    HOLDOUT = (
        "holdout",
        "global holdout: gets no offers, so that their effect can be measured",
    )
    CONTROL = (
        "control",
        "control: gets no offer of this campaign, so that its effect can be measured",
    )
    STATUS_NOT_SERVED = "status_not_served", "no offer in the catalogue applies to this status"
    SERVICE_FIRST = (
        "service_first",
        "a complaint or ticket is open, or the customer is on the worklist: service comes first",
    )
    NO_OCCASION = "no_occasion", "no offer applies to this segment, reason or date"
    CONSENT_REFUSED = "consent_refused", "refused marketing on a channel, and no other is permitted"
    CONSENT_UNKNOWN = "consent_unknown", "no recorded consent to marketing on any offer's channel"
    PREFERENCE = "preference", "does not want such offers, or none on their channel"
    COOLDOWN = "cooldown", "every permitted offer would follow an earlier contact too soon"
    FREQUENCY_CAP = "frequency_cap", "contacted as often as the cap, or the customer, allows"
    NOT_SCORED = "not_scored", "no probability or no value at risk in the scores"
    EXPLORE = "explore", "randomised to no offer, so that the effect of offers can be learnt"
    VALUE_NOT_POSITIVE = "value_not_positive", "no permitted offer is expected to cover its cost"
    CAPACITY_EXHAUSTED = (
        "capacity_exhausted",
        "an offer would be profitable, but its capacity, or that of the group, is exhausted",
    )
    BUDGET_EXHAUSTED = (
        "budget_exhausted",
        "an offer would be profitable, but others earn more per cost",
    )

    meaning: str

    def __new__(cls, code: str, meaning: str) -> Self:
        """A member equal to its code, with its meaning."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        return member


@dataclass(frozen=True)
class Gates:
    """Permissions: booleans of n customers, or n customers x m offers."""

    objected: Bools
    served: Served
    consented: Bools
    refused: Bools
    wanted: Bools
    rested: Bools
    full: Bools

    @property
    def open(self) -> Bools:
        """Offers that only their value and the arm can stop, n x m."""
        free = ~self.objected[:, None] & ~self.full
        return free & self.served.all & self.consented & self.wanted & self.rested


def build_gates(
    scores: pa.Table,
    offers: Sequence[Offer],
    *,
    served: Served,
    consent: Consent,
    consents: pa.Table | None,
    contacts: pa.Table | None,
    contacted_enough: Collection[str] = (),
    preference_mask: PreferenceMask | None = None,
) -> Gates:
    """The gates of every scored customer and offer.

    `consents` holds the latest state of each customer, channel and purpose; if contradictory, the
    refusal counts. `contacts` holds earlier contacts with their age, `days_since`; any of them
    starts every offer's cooldown, except those whose offer_id is "none". Customers
    `contacted_enough` get no offer; `preference_mask` holds their own preferences.
    """
    if consent not in get_args(Consent):
        raise ConfigError(
            'consent must be "required" or "assumed"',
            got=repr(consent),
            fix='Use "required" unless consent is legally not needed.',
        )
    customer_ids = scores["customer_id"]
    shape = (scores.num_rows, len(offers))
    preference_mask = preference_mask or PreferenceMask.none(*shape)
    enough = pc.is_in(customer_ids, pa.array(sorted(contacted_enough), pa.string()))
    objected = np.zeros(scores.num_rows, dtype=bool)
    granted, refused = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
    if consents is not None:
        book = ConsentBook.read(consents, customer_ids)
        objected = book.customers(purpose="profiling", channel=None, granted=False)
        for column, offer in enumerate(offers):
            states = {"purpose": "marketing", "channel": offer.channel}
            granted[:, column] = book.customers(**states, granted=True)
            refused[:, column] = book.customers(**states, granted=False)
    return Gates(
        objected=objected,
        served=served,
        consented=(granted if consent == "required" else np.ones(shape, dtype=bool)) & ~refused,
        refused=refused,
        wanted=~preference_mask.unwanted,
        rested=_rested(contacts, customer_ids, offers),
        full=np.asarray(enough, dtype=bool)[:, None] | preference_mask.enough,
    )


def suppression_codes(
    gates: Gates, value: Floats, choice: Ints, *, arm: Ints, crowded_out: Bools
) -> pa.Array:
    """One code per customer as strings, null where an offer was chosen (`choice` >= 0).

    `value` is n x m in money, NaN throughout a row for a customer without a score; `arm` is an
    index of `ARMS`; `crowded_out` marks customers who would be served with more capacity.
    """
    served = gates.served.status
    owed = served & gates.served.service_first
    fitting = owed & gates.served.occasion
    consented = fitting & gates.consented
    wanted = consented & gates.wanted
    rested = wanted & gates.rested
    free = rested & ~gates.full
    without_consent = ~consented.any(axis=1)
    holds = {
        Suppression.OBJECTED: gates.objected,
        Suppression.HOLDOUT: arm == HOLDOUT,
        Suppression.CONTROL: arm == CONTROL,
        Suppression.STATUS_NOT_SERVED: ~served.any(axis=1),
        Suppression.SERVICE_FIRST: gates.served.owed & ~owed.any(axis=1),
        Suppression.NO_OCCASION: ~fitting.any(axis=1),
        Suppression.CONSENT_REFUSED: without_consent & (fitting & gates.refused).any(axis=1),
        Suppression.CONSENT_UNKNOWN: without_consent,
        Suppression.PREFERENCE: ~wanted.any(axis=1),
        Suppression.COOLDOWN: ~rested.any(axis=1),
        Suppression.FREQUENCY_CAP: ~free.any(axis=1),
        Suppression.NOT_SCORED: ~np.isfinite(value).any(axis=1),
        Suppression.EXPLORE: arm == EXPLORE,
        Suppression.VALUE_NOT_POSITIVE: ~(free & (value > 0)).any(axis=1),
        Suppression.CAPACITY_EXHAUSTED: crowded_out,
        Suppression.BUDGET_EXHAUSTED: np.ones(len(choice), dtype=bool),
    }
    first = np.argmax(np.stack(list(holds.values())), axis=0)
    return pa.array([str(code) for code in holds]).take(pa.array(first, mask=choice >= 0))


def _rested(
    contacts: pa.Table | None, customer_ids: pa.ChunkedArray, offers: Sequence[Offer]
) -> Bools:
    days_since_last = np.full(len(customer_ids), np.inf)
    if contacts is not None:
        table = known_rows(with_an_offer(contacts), customer_ids)
        days_since = table["days_since"].to_numpy()
        np.minimum.at(days_since_last, table["position"].to_numpy(), days_since)
    cooldown_days = np.array([offer.cooldown_days for offer in offers])
    return np.asarray(days_since_last[:, None] >= cooldown_days)
