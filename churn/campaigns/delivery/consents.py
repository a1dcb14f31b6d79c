"""The one state of consent for all that plans or delivers: the shop's tables and the ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from churn.campaigns.delivery.deliverable import Deliverable, deliverable, offered, refusers
from churn.data.consent import (
    consent_to_send,
    newest_grant,
    newest_grants,
    preferences_to_send,
    withdrawal_statements,
)
from churn.data.erased import without_erased
from churn.data.tables import Tables
from churn.data.words import channel_of
from churn.offers.catalogue import Offers
from churn.offers.suppression import Consent
from churn.storage.erasures import Erased
from churn.storage.ledger import Ledger
from churn.storage.withdrawals import (
    Withdrawal,
    remember_grant,
    settle_doubts,
    withdrawals,
)


@dataclass(frozen=True, kw_only=True)
class ConsentRecords:
    """The shop's tables as they were read, and the ledger, which is read at the time of each call.

    `consent` states whether a grant is required, `same_customer` returns the form of an id in the
    tables, `catalogue` is the file of the offers.
    """

    tables: Tables
    ledger: Ledger
    same_customer: Callable[[str], str]
    consent: Consent
    catalogue: Path
    erased: Erased | None = None

    def withdrawn(self) -> pa.Table | None:
        """customer_id, channel, day, undated of the withdrawals that the ledger holds now.

        Those in doubt are recorded as later than every consent that was read so far.
        """
        now, recorded = self.ledger.now(), withdrawals(self.ledger)
        found = [replace(one, in_doubt=one.in_doubt or one.again_at > now) for one in recorded]
        doubts = [one for one in found if one.in_doubt]
        newest = newest_grant(self.tables)
        if newest is not None:
            remember_grant(self.ledger, newest)
        if doubts:
            settle_doubts(self.ledger, self._settled(doubts, now))
        return withdrawal_statements(
            replace(one, customer_id=self.same_customer(one.customer_id)) for one in found
        )

    def _settled(self, doubts: list[Withdrawal], now: datetime) -> Iterator[Withdrawal]:
        """The withdrawals as of now, or of the newest consent to their channel if it is later."""
        names = {one.customer_id: self.same_customer(one.customer_id) for one in doubts}
        newest = newest_grants(self.tables, set(names.values()))
        for one in doubts:
            latest = newest.get((names[one.customer_id], channel_of(one.channel)))
            yield replace(one, again_at=max(now, latest) if latest else now)

    def to_send(self, on: date) -> pa.Table | None:
        """customer_id, channel, purpose, granted for a delivery on that date."""
        return consent_to_send(self.tables.as_of(on), withdrawn=self.withdrawn())

    def of_customer(self, customer_id: str, *, on: date) -> list[dict[str, object]]:
        """The same of one customer, each channel and purpose once: any refusal counts."""
        known = self.to_send(on)
        if known is None:
            return []
        granted: dict[tuple[str, str], bool] = {}
        for row in known.filter(pc.equal(known["customer_id"], customer_id)).to_pylist():
            key = row["channel"], row["purpose"]
            granted[key] = granted.get(key, True) and row["granted"]
        return [
            {"customer_id": customer_id, "channel": channel, "purpose": purpose, "granted": value}
            for (channel, purpose), value in sorted(granted.items())
        ]

    def refusers(self, channel: str, *, on: date) -> set[str]:
        """Customers who refuse marketing on the channel, or profiling."""
        return refusers(self.to_send(on), channel)

    def deliverable(
        self, plan: pa.Table, *, on: date, offer: str | None = None, channel: str | None = None
    ) -> Deliverable:
        """The rows of a plan that may be delivered on that date, of one offer and channel or of
        all.
        """
        preferences = preferences_to_send(self.tables.as_of(on))
        known = without_erased(plan, self.erased)
        sent = deliverable(
            known,
            consents=self.to_send(on),
            consent=self.consent,
            preferences=preferences,
            kinds=self._kinds() if preferences else None,
            on=on,
            offer_id=offer,
            channel=channel,
        )
        gone = offered(plan).num_rows - offered(known).num_rows
        return Deliverable(sent.table, {"erased": gone, **sent.left_out}) if gone else sent

    def _kinds(self) -> dict[str, str]:
        """The kind of each offer in the catalogue."""
        return {offer.offer_id: offer.kind for offer in Offers.load(self.catalogue)}
