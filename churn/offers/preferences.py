"""Consent and preferences of customers, applied to offers, and their frequency limits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from churn.arrays import Bools, Floats, Ints
from churn.data.consent import EVERYWHERE
from churn.data.words import channel_of
from churn.offers.frequency import distinct_contacts

if TYPE_CHECKING:
    from churn.offers.catalogue import Offer

ANY = ""
"""Stands for every channel, or every kind."""


@dataclass(frozen=True)
class ConsentBook:
    """Consent rows of known customers, as positions among them with lower-case values."""

    size: int
    position: Ints
    channel: np.ndarray[Any, Any]
    purpose: np.ndarray[Any, Any]
    granted: Bools

    @classmethod
    def read(cls, consents: pa.Table, customer_ids: pa.ChunkedArray) -> Self:
        """The consents (customer_id, channel, purpose, granted) of these customers."""
        table = known_rows(consents, customer_ids)
        return cls(
            size=len(customer_ids),
            position=table["position"].to_numpy(),
            channel=_named(table["channel"], channel_of),
            purpose=_named(table["purpose"], lambda word: word.strip().lower()),
            granted=table["granted"].to_numpy(),
        )

    def customers(self, *, purpose: str, channel: str | None, granted: bool) -> Bools:
        """Customers with a row in this state; channel None means any.

        A refusal on every channel applies unless the customer has a row for the channel itself.
        """
        rows = self.purpose == purpose
        if channel is None:
            return self._are(rows & (self.granted == granted))
        named = rows & (self.channel == channel_of(channel))
        found = self._are(named & (self.granted == granted))
        if granted:
            return found
        everywhere = self._are(rows & (self.channel == EVERYWHERE) & ~self.granted)
        return found | (everywhere & ~self._are(named))

    def _are(self, rows: Bools) -> Bools:
        return marked(self.position[rows], self.size)


def marked(position: Ints, size: int) -> Bools:
    """Whether each of `size` customers is at one of the positions."""
    found = np.zeros(size, dtype=bool)
    found[position] = True
    return found


def known_rows(table: pa.Table, customer_ids: pa.ChunkedArray) -> pa.Table:
    """The table's rows of these customers, with their `position` among them."""
    position = pc.index_in(table["customer_id"], value_set=customer_ids)
    placed = table.append_column("position", position)
    return placed.filter(pc.is_valid(placed["position"]))


def _named(words: pa.ChunkedArray, naming: Callable[[str], str]) -> np.ndarray[Any, Any]:
    """Normalised values: 'E-Mail ' is the same as 'email'."""
    unique = pc.unique(words)
    names = pa.array([naming(word) for word in unique.to_pylist()], pa.string())
    return np.asarray(names.take(pc.index_in(words, value_set=unique)))


class Limit(NamedTuple):
    """Maximum contacts, within a number of days, of some customers (as positions)."""

    channel: str
    kind: str
    days: float
    position: Ints
    most: Floats


@dataclass(frozen=True)
class PreferenceBook:
    """Preferences (see `churn.data.consent`) of known customers, as positions among them."""

    size: int
    rows: pa.Table
    position: Ints
    channel: Words
    kind: Words
    no: Bools
    yes: Bools

    @classmethod
    def read(cls, preferences: pa.Table, customer_ids: pa.ChunkedArray) -> Self:
        """The preferences of these customers."""
        rows = known_rows(preferences, customer_ids)
        return cls(
            size=len(customer_ids),
            rows=rows,
            position=rows["position"].to_numpy(),
            channel=Words.of(rows["channel"]),
            kind=Words.of(rows["kind"]),
            no=_true(pc.invert(rows["allowed"])),
            yes=_true(rows["allowed"]),
        )

    def unwanted(self, channel: str, kind: str | None) -> Bools:
        """Customers who want no offer of that kind on that channel.

        A "no" to all kinds, or on all channels, is overridden by a "yes" that is narrower in one
        and no wider in the other. For an unknown kind every "no" that may apply counts.
        """
        if kind is None:
            return self._customers(self.no & (self.channel.are(ANY) | self.channel.are(channel)))
        no, yes = partial(self._at, self.no), partial(self._at, self.yes)
        broad = no(channel, ANY) | no(ANY, kind)
        broad |= no(ANY, ANY) & ~yes(channel, ANY) & ~yes(ANY, kind)
        return no(channel, kind) | broad & ~yes(channel, kind)

    def limits(self) -> Iterator[Limit]:
        """All limits set by customers."""
        limited = self.rows.filter(pc.is_valid(self.rows["max_contacts"]))
        listed = [("position", "list"), ("max_contacts", "list")]
        grouped = limited.group_by(["channel", "kind", "cap_days"]).aggregate(listed)
        for row in range(grouped.num_rows):
            channel, kind, days = (
                grouped[name][row].as_py() for name in ("channel", "kind", "cap_days")
            )
            each = (grouped[f"{name}_list"][row].values.to_numpy() for name, _ in listed)
            yield Limit(channel, kind, days, *each)

    def _at(self, rows: Bools, channel: str, kind: str) -> Bools:
        return self._customers(rows & self.channel.are(channel) & self.kind.are(kind))

    def _customers(self, rows: Bools) -> Bools:
        return marked(self.position[rows], self.size)


@dataclass(frozen=True)
class Words:
    """A text column as integer codes, which are fast to compare."""

    code: Ints
    codes: dict[str, int]

    @classmethod
    def of(cls, column: pa.ChunkedArray) -> Self:
        """The codes of a column without gaps."""
        words = pc.unique(column)
        code = pc.index_in(column, value_set=words).to_numpy()
        return cls(code, {word: number for number, word in enumerate(words.to_pylist())})

    def are(self, word: str) -> Bools:
        """Whether each row has that value."""
        return np.asarray(self.code == self.codes.get(word, -1), dtype=bool)


def empty_preferences(preferences: pa.Table) -> int:
    """Number of preferences that neither allow nor limit anything, perhaps because of parsing."""
    limited = pc.is_valid(preferences["max_contacts"])
    stated = pc.or_(pc.is_valid(preferences["allowed"]), limited)
    return int(pc.sum(pc.invert(stated)).as_py() or 0)


def _true(flags: Any) -> Bools:
    return np.asarray(pc.fill_null(flags, False), dtype=bool)


@dataclass(frozen=True)
class PreferenceMask:
    """Preferences of n customers on m offers, n x m: unwanted, or frequency limit reached."""

    unwanted: Bools
    enough: Bools

    @classmethod
    def none(cls, customers: int, offers: int) -> Self:
        """No preferences."""
        return cls(*(np.zeros((customers, offers), dtype=bool) for _ in range(2)))

    @classmethod
    def of(
        cls,
        preferences: pa.Table,
        customer_ids: pa.ChunkedArray,
        offers: Sequence[Offer],
        made: pa.Table | None = None,
    ) -> Self:
        """The preferences of these customers, given earlier contacts.

        Contacts are counted as for a `FrequencyCap`; a limit for a channel or kind counts contacts
        with matching offers and with offers outside the catalogue.
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
    """Contacts with positions among customers and offers (-1: another offer)."""

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
        """Number of contacts per customer within the days, with counted and with unknown offers."""
        recent = self.rows["days_since"].to_numpy() < days
        here = self.rows.filter(pa.array(np.append(counted, True)[self.offer] & recent))
        return distinct_contacts(here, here["position"].to_numpy(), self.size)


def _is_for(offer: Offer, limit: Limit) -> bool:
    return limit.channel in (ANY, offer.channel) and limit.kind in (ANY, offer.kind)
