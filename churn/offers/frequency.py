"""Frequency cap: how often a customer may be contacted, across offers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from churn.arrays import Ints
from churn.errors import ConfigError
from churn.offers.catalogue import NO_OFFER

_COLUMNS = {"customer_id": pa.string(), "offer_id": pa.string(), "days_since": pa.float64()}


@dataclass(frozen=True)
class FrequencyCap:
    """At most `max_contacts` in any `cap_days` consecutive days."""

    max_contacts: int
    cap_days: int

    def __post_init__(self) -> None:
        if self.max_contacts < 1 or self.cap_days < 1:
            rule = "max_contacts and cap_days must be >= 1"
            got = f"{self.max_contacts} and {self.cap_days}"
            raise ConfigError(rule, got=got, fix="Pass e.g. 2 and 28.")


def contacted_enough(cap: FrequencyCap, made: pa.Table | None) -> set[str]:
    """Customers who have reached the cap with the contacts `made` in the last days."""
    if made is None:
        return set()
    recent = made.filter(pc.less(made["days_since"], cap.cap_days))
    ids = pc.unique(recent["customer_id"])
    position = pc.index_in(recent["customer_id"], value_set=ids).to_numpy()
    counts = distinct_contacts(recent, position, len(ids))
    return set(ids.filter(pa.array(counts >= cap.max_contacts)).to_pylist())


def with_an_offer(contacts: pa.Table) -> pa.Table:
    """The contacts without those of the offer "none", which are no contacts."""
    return contacts.filter(pc.fill_null(pc.not_equal(contacts["offer_id"], NO_OFFER), True))


def contacts_made(contacts: pa.Table | None, planned: pa.Table | None) -> pa.Table | None:
    """customer_id, offer_id, campaign_id, days_since, planned: the shop's contacts and those of
    earlier plans; None if neither is given.
    """
    found = [
        _of_one_kind(source, planned=kind)
        for source, kind in ((contacts, False), (planned, True))
        if source is not None
    ]
    return pa.concat_tables(found) if found else None


def distinct_contacts(made: pa.Table, position: Ints, size: int) -> Ints:
    """Number of contacts of each of `size` customers: the shop's, plus planned ones not among them.

    A contact belongs to a plan if it has the same campaign and is not before it, and to one plan
    only. `position` is the customer of each row.
    """
    if not made.num_rows:
        return np.zeros(size, dtype=np.int64)
    named = made["campaign_id"].combine_chunks().dictionary_encode()
    planned = np.asarray(made["planned"])
    unnamed = np.where(planned, -2, -1)  # without campaigns, plan and contact never match
    campaign = np.where(named.is_null(), unnamed, pc.fill_null(named.indices, -1))
    order = np.lexsort((planned, made["days_since"].to_numpy(), campaign, position))
    customer, kind = position[order], campaign[order]
    first = np.flatnonzero(np.r_[True, (np.diff(customer) != 0) | (np.diff(kind) != 0)])
    steps = np.where(planned[order], 1, -1)  # latest first: a plan matches a contact after it
    total = np.cumsum(steps)
    lacking = np.maximum.reduceat(total, first) - (total[first] - steps[first])
    counts = np.bincount(position[~planned], minlength=size)
    np.add.at(counts, customer[first], np.maximum(lacking, 0))
    return counts


def _of_one_kind(source: pa.Table, *, planned: bool) -> pa.Table:
    made = with_an_offer(source)
    named = "campaign_id" in made.column_names
    campaign = made["campaign_id"] if named else pa.nulls(made.num_rows)
    columns = {name: made[name].cast(kind) for name, kind in _COLUMNS.items()}
    columns["campaign_id"] = campaign.cast(pa.string())
    return pa.table({**columns, "planned": np.full(made.num_rows, planned)})
