"""Which offers customers do not want, and which would come more often than they want."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from churn.retention.consents import known_rows
from churn.retention.frequency import FrequencyCap, contacted_enough

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from churn.retention.offers import Offer

__all__ = ["PreferenceBook", "Wishes", "saying_nothing", "strange_kinds"]

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
ANY = ""


@dataclass(frozen=True)
class PreferenceBook:
    """Preferences (see `churn.data.preferences`) of known customers, as positions among them."""

    size: int
    position: Ints
    rows: pa.Table
    channel: np.ndarray[Any, Any]
    kind: np.ndarray[Any, Any]

    @classmethod
    def read(cls, preferences: pa.Table, customer_ids: pa.ChunkedArray) -> Self:
        """The preferences of these customers."""
        rows = known_rows(preferences, customer_ids)
        words = (rows[name].to_numpy() for name in ("channel", "kind"))
        return cls(len(customer_ids), rows["position"].to_numpy(), rows, *words)

    def unwanted(self, channel: str, kind: str | None) -> Bools:
        """Customers who want no offer of that kind on that channel.

        A "no" to all kinds, or on all channels, is lifted by a "yes" that is narrower and no wider
        in the other. Of a kind that is not known every "no" counts that may be meant.
        """
        if kind is None:
            return self._customers(self._on(channel) & self._says(allowed=False))
        no, yes = partial(self._at, allowed=False), partial(self._at, allowed=True)
        broad = no(channel, ANY) | no(ANY, kind)
        broad |= no(ANY, ANY) & ~yes(channel, ANY) & ~yes(ANY, kind)
        return no(channel, kind) | broad & ~yes(channel, kind)

    def caps(self) -> Iterator[tuple[str, str, FrequencyCap, Bools]]:
        """Each limit that somebody set, with its channel and kind, and the customers who did."""
        limited = self.rows.filter(pc.is_valid(self.rows["max_contacts"]))
        keys = ["channel", "kind", "max_contacts", "cap_days"]
        for limit in limited.group_by(keys).aggregate([("position", "list")]).to_pylist():
            customers = np.zeros(self.size, dtype=bool)
            customers[limit["position_list"]] = True
            cap = FrequencyCap(int(limit["max_contacts"]), int(limit["cap_days"]))
            yield limit["channel"], limit["kind"], cap, customers

    def _at(self, channel: str, kind: str, *, allowed: bool) -> Bools:
        here = (self.channel == channel) & (self.kind == kind)
        return self._customers(here & self._says(allowed=allowed))

    def _on(self, channel: str) -> Bools:
        return np.asarray((self.channel == ANY) | (self.channel == channel), dtype=bool)

    def _says(self, *, allowed: bool) -> Bools:
        said = pc.equal(self.rows["allowed"], allowed)
        return np.asarray(pc.fill_null(said, False), dtype=bool)

    def _customers(self, rows: Bools) -> Bools:
        found = np.zeros(self.size, dtype=bool)
        found[self.position[rows]] = True
        return found


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
        *sources: pa.Table | None,
    ) -> Self:
        """The wishes of these customers, given the contacts of each source.

        Contacts (customer_id, offer_id, days_since) are counted as under a `FrequencyCap`; to a
        limit for a channel or kind count those of the offers that it is for, and of offers that the
        catalogue does not hold.
        """
        book = PreferenceBook.read(preferences, customer_ids)
        found = cls.none(len(customer_ids), len(offers))
        for column, offer in enumerate(offers):
            found.unwanted[:, column] = book.unwanted(offer.channel, offer.kind)
        for channel, kind, cap, customers in book.caps():
            limited = [_is_for(offer, channel, kind) for offer in offers]
            others = [o.offer_id for o, mine in zip(offers, limited, strict=True) if not mine]
            full = contacted_enough(cap, *(_without(source, others) for source in sources))
            reached = customers & np.asarray(pc.is_in(customer_ids, _ids(full)), dtype=bool)
            found.enough[:, limited] |= reached[:, None]
        return found


def strange_kinds(preferences: pa.Table, kinds: Sequence[str]) -> list[str]:
    """Words in the column `kind` that are no kind of offer, so that no preference is followed."""
    return sorted(set(pc.unique(preferences["kind"]).to_pylist()) - {ANY, *kinds})


def saying_nothing(preferences: pa.Table) -> int:
    """How many preferences neither allow nor limit anything, perhaps for they could not be read."""
    limited = pc.is_valid(preferences["max_contacts"])
    told = pc.or_(pc.is_valid(preferences["allowed"]), limited)
    return int(pc.sum(pc.invert(told)).as_py() or 0)


def _is_for(offer: Offer, channel: str, kind: str) -> bool:
    return channel in (ANY, offer.channel) and kind in (ANY, offer.kind)


def _without(source: pa.Table | None, offer_ids: Sequence[str]) -> pa.Table | None:
    if source is None or not offer_ids:
        return source
    return source.filter(pc.invert(pc.is_in(source["offer_id"], _ids(offer_ids))))


def _ids(names: Iterable[str]) -> pa.Array:
    return pa.array(sorted(names), pa.string())
