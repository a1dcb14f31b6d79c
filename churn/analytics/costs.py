"""What retention and acquisition cost in each period: the table `costs`, campaigns on record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

import numpy as np

from churn.arrays import Floats
from churn.data.consent import known_before
from churn.data.days import day_number
from churn.data.tables import Snapshot

RETENTION, ACQUISITION, OTHER = "retention", "acquisition", "other"


@dataclass(frozen=True)
class CostRules:
    """The categories of the table `costs` that are spent on retention, and on acquisition; case
    does not matter.
    """

    retention: Sequence[str] = (RETENTION,)
    acquisition: Sequence[str] = (ACQUISITION,)

    def purpose(self, category: str) -> str:
        """Retention, acquisition or other."""
        for purpose, names in ((RETENTION, self.retention), (ACQUISITION, self.acquisition)):
            if category.strip().casefold() in {name.strip().casefold() for name in names}:
                return purpose
        return OTHER


@dataclass(frozen=True)
class PeriodCosts:
    """Costs in each period, shape (periods,), NaN where none are known.

    `by_source` holds acquisition costs by acquisition source, if the table names it. `unused` are
    the sums of categories that are neither retention nor acquisition.
    """

    retention: Floats
    acquisition: Floats
    by_source: Mapping[str, Floats] = field(default_factory=dict)
    unused: Mapping[str, float] = field(default_factory=dict)


def period_costs(
    snapshot: Snapshot,
    bounds: Sequence[int],
    rules: CostRules,
    campaigns: Iterable[tuple[date, float]] = (),
) -> PeriodCosts:
    """The costs between consecutive bounds. `campaigns` are dates and what campaigns cost then,
    which is spent on retention.
    """
    rows = _rows(snapshot)
    sums: dict[str, Floats] = {}
    by_source: dict[str, Floats] = {}
    unused: dict[str, float] = {}
    for day, category, source, amount in rows:
        purpose = rules.purpose(category)
        if purpose == OTHER:
            unused[category] = unused.get(category, 0.0) + amount
        _add(sums, purpose, bounds, day, amount)
        if purpose == ACQUISITION and source:
            _add(by_source, source, bounds, day, amount)
    for when, amount in campaigns:
        _add(sums, RETENTION, bounds, day_number(when), amount)
    nothing = np.full(len(bounds) - 1, np.nan)
    known = {name: sums.get(name, nothing) for name in (RETENTION, ACQUISITION)}
    return PeriodCosts(known[RETENTION], known[ACQUISITION], by_source, unused)


def _add(
    sums: dict[str, Floats], name: str, bounds: Sequence[int], day: int, amount: float
) -> None:
    found = sums.setdefault(name, np.zeros(len(bounds) - 1))
    place = int(np.searchsorted(bounds, day, side="right")) - 1
    if 0 <= place < len(found):
        found[place] += amount


def _rows(snapshot: Snapshot) -> list[tuple[int, str, str, float]]:
    """Day, category, acquisition source ("" without) and sum."""
    tables = snapshot.tables
    if not tables.has("costs"):
        return []
    named = "acquisition_source" in tables.columns("costs")
    source = "coalesce(acquisition_source, '')" if named else "''"
    known = known_before(snapshot, "costs")
    sums = f"local_day, category, {source} AS source, sum(amount) AS amount"
    asked = f"SELECT {sums} FROM costs WHERE {known} GROUP BY 1, 2, 3"  # noqa: S608
    rows = tables.engine.rows(f"{asked} ORDER BY 1, 2, 3")
    return [
        (int(str(r["local_day"])), str(r["category"]), str(r["source"]), float(str(r["amount"])))
        for r in rows
    ]
