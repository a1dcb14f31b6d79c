"""Eligibility for offers: by status, segment, reason, birthday, holiday, and open service cases."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from churn.arrays import Bools, Floats
from churn.offers.rules import day_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from churn.offers.catalogue import Offer, Offers


@dataclass(frozen=True)
class Served:
    """Eligibility, n customers x m offers; `owed` are customers with an open service case.

    `status` considers only the customer's status, `occasion` also segment, reason and date.
    """

    status: Bools
    occasion: Bools
    owed: Bools
    service_first: Bools

    @property
    def all(self) -> Bools:
        """Offers for which the customer is eligible now."""
        return self.status & self.occasion & self.service_first


def served(people: pa.Table, offers: Offers, *, as_of: date) -> Served:
    """Eligibility of the people for the offers.

    `people` has status and, if known, segment, reason_families (lists), birth_date and
    owed_service. A customer with an open service case is eligible only for offers with the
    objective "service".
    """
    aims = np.array([offer.aim for offer in offers])
    owed = _flags(people, "owed_service")
    return Served(
        status=_by_status(people["status"], offers.offers),
        occasion=_by_segment(people, offers.offers)
        & _by_reason(people, offers.offers)
        & _by_birthday(people, offers.offers, as_of)
        & _by_holiday(offers, as_of),
        owed=owed,
        service_first=~owed[:, None] | (aims == "service"),
    )


def days_to_birthday(born: Sequence[date | None], as_of: date) -> Floats:
    """Whole days from `as_of` to the next birthday, 0 on the day itself; NaN if unknown.

    A birthday on 29 February falls on 28 February in common years.

    >>> days_to_birthday([date(1988, 2, 29), None], date(2025, 2, 27)).tolist()
    [1.0, nan]
    """
    return np.array(
        [np.nan if day is None else _days_to((day.month, day.day), as_of) for day in born],
        dtype=float,
    )


def days_to_holiday(words: Sequence[str], as_of: date) -> float:
    """Whole days from `as_of` to the nearest upcoming day; infinite if there is none.

    >>> days_to_holiday(["12-25"], date(2026, 12, 20))
    5.0
    """
    days = [day_of(word) for word in words]
    ahead = [(day - as_of).days if isinstance(day, date) else _days_to(day, as_of) for day in days]
    return float(min((count for count in ahead if count >= 0), default=np.inf))


def _days_to(month_and_day: tuple[int, int], as_of: date) -> int:
    this_year = _on(month_and_day, as_of.year)
    day = this_year if this_year >= as_of else _on(month_and_day, as_of.year + 1)
    return (day - as_of).days


def _on(month_and_day: tuple[int, int], year: int) -> date:
    month, day = month_and_day
    try:
        return date(year, month, day)
    except ValueError:  # 29 February in a common year
        return date(year, 3, 1) - timedelta(days=1)


def _by_status(status: pa.ChunkedArray, offers: Sequence[Offer]) -> Bools:
    columns = [pc.is_in(status, pa.array(offer.statuses)).to_numpy() for offer in offers]
    return np.column_stack(columns).astype(bool)


def _by_segment(people: pa.Table, offers: Sequence[Offer]) -> Bools:
    columns = [
        _is_in(people, "segment", offer.segments) if offer.segments else _all(people)
        for offer in offers
    ]
    return np.column_stack(columns)


def _by_reason(people: pa.Table, offers: Sequence[Offer]) -> Bools:
    asked = {family for offer in offers for family in offer.reason_families}
    if not asked or "reason_families" not in people.column_names:
        closed = [not offer.reason_families for offer in offers]
        return np.tile(np.array(closed), (people.num_rows, 1))
    reasons = people["reason_families"].to_pylist()
    columns = [
        np.array(
            [
                not offer.reason_families or bool(set(families or ()) & set(offer.reason_families))
                for families in reasons
            ],
            dtype=bool,
        )
        for offer in offers
    ]
    return np.column_stack(columns)


def _by_birthday(people: pa.Table, offers: Sequence[Offer], as_of: date) -> Bools:
    if not any(offer.birthday_within_days is not None for offer in offers):
        return np.ones((people.num_rows, len(offers)), dtype=bool)
    known = "birth_date" in people.column_names
    born = people["birth_date"].to_pylist() if known else [None] * people.num_rows
    ahead = days_to_birthday(born, as_of)
    columns = [
        _all(people) if offer.birthday_within_days is None else ahead <= offer.birthday_within_days
        for offer in offers
    ]
    return np.column_stack(columns)


def _by_holiday(offers: Offers, as_of: date) -> Bools:
    near = [
        offer.holiday is None
        or days_to_holiday(offers.holidays[offer.holiday], as_of) <= offer.holiday_within_days
        for offer in offers
    ]
    return np.array([near])


def _is_in(people: pa.Table, column: str, words: Sequence[str]) -> Bools:
    if column not in people.column_names:
        return ~_all(people)
    return np.asarray(pc.is_in(people[column], pa.array(words)), dtype=bool)


def _flags(people: pa.Table, column: str) -> Bools:
    if column not in people.column_names:
        return ~_all(people)
    return np.asarray(pc.fill_null(people[column], False), dtype=bool)


def _all(people: pa.Table) -> Bools:
    return np.ones(people.num_rows, dtype=bool)
