"""How often a customer may be contacted, whatever the offer."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from churn.errors import ConfigError

__all__ = ["FrequencyCap", "contacted_enough"]


@dataclass(frozen=True)
class FrequencyCap:
    """At most `max_contacts` in any `cap_days` days on end."""

    max_contacts: int
    cap_days: int

    def __post_init__(self) -> None:
        if self.max_contacts < 1 or self.cap_days < 1:
            rule = "max_contacts and cap_days must be >= 1"
            got = f"{self.max_contacts} and {self.cap_days}"
            raise ConfigError(rule, got=got, fix="Pass e.g. 2 and 28.")


def contacted_enough(cap: FrequencyCap, *sources: pa.Table | None) -> set[str]:
    """Customers of whom any source alone holds as many contacts in the last days as the cap allows.

    Sources (customer_id, offer_id, days_since) are the shop's contacts and earlier plans. They are
    not added up, for most plans become contacts. The offer "none" is no contact.
    """
    found: set[str] = set()
    for source in sources:
        if source is not None:
            found |= _at_cap(cap, source)
    return found


def _at_cap(cap: FrequencyCap, contacts: pa.Table) -> set[str]:
    made = pc.fill_null(pc.not_equal(contacts["offer_id"], "none"), True)
    recent = contacts.filter(pc.and_(made, pc.less(contacts["days_since"], cap.cap_days)))
    counted = pc.value_counts(recent["customer_id"])
    full = counted.filter(pc.greater_equal(counted.field("counts"), cap.max_contacts))
    return set(full.field("values").to_pylist())
