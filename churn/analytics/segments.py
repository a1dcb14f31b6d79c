"""Segments of customers by recency, frequency and monetary value: the one definition for scores,
offers and analyses.

The bounds are learnt once and stay: see `SegmentBounds`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from churn.arrays import Bools, Floats, Ints
from churn.errors import DataError
from churn.features.clock import FeatureClock

if TYPE_CHECKING:
    import pandas as pd

SEGMENTS = {
    "best": "buy often (F of 4 or 5) and spend most (M of 5)",
    "loyal": "buy often (F of 4 or 5)",
    "regular": "buy neither often nor rarely (F of 3)",
    "occasional": "buy rarely (F of 1 or 2), but on more than one day",
    "one-time": "bought on a single day",
    "lapsed": "no purchase in the lookback, or no subscription any more",
    "new": "shorter tenure than the minimum, or no purchase yet",
}
"""The segments with their definitions; every customer belongs to exactly one."""
NOT_YET = "not a customer"
"""In place of a segment at a date before the customer's first order."""

MEASURES = ("recency_days", "purchase_days", "net_spend")
SHARES = (0.2, 0.4, 0.6, 0.8)
Cuts = tuple[float, float, float, float]
Rows: TypeAlias = "pd.DataFrame | Mapping[str, Any]"
"""Columns of shape (customers,) by name."""
NOBODY: Cuts = (np.inf, np.inf, np.inf, np.inf)
SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class SegmentBounds:
    """The cut points of the scores 1 to 5, learnt from the eligible customers of one date.

    A score is 1 plus the number of cut points that are reached; of `recency_days`, where less is
    better, 5 minus the number that is exceeded. `version` counts how often bounds were learnt.
    """

    recency_days: Cuts = NOBODY
    purchase_days: Cuts = NOBODY
    net_spend: Cuts = NOBODY
    version: int = 1
    learnt_as_of: date | None = None
    customers: int = 0
    lookback_days: int | None = None

    @classmethod
    def learn(cls, rows: Rows, **facts: Any) -> SegmentBounds:
        """The bounds of rows with purchase_days, net_spend and recency_days, of those who bought.

        Each class gets about a fifth of them. Ties are never split and never leave a class empty as
        long as there are five different values.
        """
        measures = {name: np.asarray(rows[name], dtype=np.float64) for name in MEASURES}
        bought = measures["purchase_days"] > 0
        recency, days, spend = (values[bought] for values in measures.values())
        return cls(
            recency_days=_recency_cuts(recency),
            purchase_days=cut_points(days),
            net_spend=cut_points(spend),
            customers=int(bought.sum()),
            **facts,
        )

    def to_json(self) -> dict[str, Any]:
        """The bounds as plain JSON, infinite cut points as null."""
        found = asdict(self)
        for name in MEASURES:
            found[name] = [None if np.isinf(cut) else cut for cut in found[name]]
        return {"schema": SCHEMA, **found, "learnt_as_of": _text(self.learnt_as_of)}

    @classmethod
    def from_json(cls, found: object) -> SegmentBounds:
        """The bounds that `to_json` wrote. Raises DataError for anything else."""
        rule, fix = "bounds of segments must be as churn wrote them", "Restore the file, or refit."
        if not isinstance(found, dict) or found.get("schema") != SCHEMA:
            raise DataError(rule, got="another schema", fix=fix)
        try:
            learnt = found["learnt_as_of"]
            return cls(
                **{name: _cuts(found[name]) for name in MEASURES},
                version=int(found["version"]),
                learnt_as_of=None if learnt is None else date.fromisoformat(learnt),
                customers=int(found["customers"]),
                lookback_days=found["lookback_days"],
            )
        except (KeyError, TypeError, ValueError) as failure:
            raise DataError(rule, got=type(failure).__name__, fix=fix) from failure


def learnt_bounds(
    rows: pd.DataFrame, as_of: date, clock: FeatureClock, *, version: int = 1
) -> SegmentBounds:
    """The bounds of the eligible among rows of status, recency_days, purchase_days, net_spend."""
    return SegmentBounds.learn(
        rows[rows["status"] == "eligible"],
        learnt_as_of=as_of,
        lookback_days=clock.lookback_days,
        version=version,
    )


def cut_points(values: Floats) -> Cuts:
    """Four cut points between five classes of about equal size; a class begins at its cut point.

    Each cut is at the value below which the share of customers is nearest to 20, 40, 60 and 80 %,
    moved up or down where ties would leave a class empty. With fewer than five different values,
    some classes are empty, and the highest value always has the highest score.

    >>> cut_points(np.array([1, 1, 1, 1, 1, 1, 2, 3, 4, 5]))
    (2.0, 3.0, 4.0, 5.0)
    """
    distinct, counts = np.unique(values, return_counts=True)
    if len(distinct) == 0:
        return NOBODY
    if len(distinct) == 1:
        return (float(distinct[0]) + 1,) * 4  # nobody differs: nobody is above the rest
    last = len(distinct) - 1
    if last < 5:
        places = [-(-k * last // 4) for k in (1, 2, 3, 4)]
    else:
        below = np.concatenate([[0], np.cumsum(counts)[:-1]]) / counts.sum()
        places = []
        for k, share in enumerate(SHARES):
            nearest = int(np.argmin(np.abs(below - share)))
            lowest = places[-1] + 1 if places else 1
            places.append(min(max(nearest, lowest), last - (3 - k)))
    first, second, third, fourth = (float(distinct[place]) for place in places)
    return first, second, third, fourth


def _recency_cuts(recency: Floats) -> Cuts:
    """The cut points of recency, ascending: a score is lost for each that is exceeded."""
    if not len(recency):
        return NOBODY
    fourth, third, second, first = (-cut for cut in cut_points(-recency))
    return fourth, third, second, first


def rfm_scores(rows: pd.DataFrame, bounds: SegmentBounds) -> pd.DataFrame:
    """r_score, f_score and m_score of each row, 1 to 5; 0 for customers without a purchase."""
    import pandas as pd

    bought = (rows["purchase_days"] > 0).to_numpy()
    recency = rows["recency_days"].to_numpy(np.float64)
    scores = {
        "r_score": 5 - np.sum([recency > cut for cut in bounds.recency_days], axis=0),
        "f_score": _score(rows["purchase_days"], bounds.purchase_days),
        "m_score": _score(rows["net_spend"], bounds.net_spend),
    }
    shown = {name: np.where(bought, score, 0) for name, score in scores.items()}
    return pd.DataFrame(shown, index=rows.index)


def _score(values: Any, cuts: Cuts) -> Ints:
    numbers = np.asarray(values, dtype=np.float64)
    reached = np.stack([numbers >= cut for cut in cuts])
    return np.asarray(1 + reached.sum(axis=0), dtype=np.int64)


def rfm_segments(rows: Rows, bounds: SegmentBounds) -> np.ndarray:
    """One of `SEGMENTS` per row of status, purchase_days and net_spend."""
    return np.array([*SEGMENTS])[segment_codes(rows, bounds)]


def segment_codes(rows: Rows, bounds: SegmentBounds) -> Ints:
    """The same as places in `SEGMENTS`."""
    days, status = np.asarray(rows["purchase_days"], dtype=np.float64), np.asarray(rows["status"])
    frequency = _score(days, bounds.purchase_days)
    often: Bools = frequency >= 4
    known = days > 0
    tests = {
        "new": status == "new",
        "lapsed": status == "lapsed",
        "one-time": days == 1,
        "best": known & often & (_score(rows["net_spend"], bounds.net_spend) == 5),
        "loyal": known & often,
        "regular": known & (frequency == 3),
        "occasional": days > 1,
    }
    names = [*SEGMENTS]
    places = [names.index(name) for name in tests]
    return np.select([*tests.values()], places, default=names.index("new"))


def crosswalk(before: np.ndarray, after: np.ndarray) -> pd.DataFrame:
    """How many customers are in which segment by the old (rows) and by the new bounds (columns)."""
    import pandas as pd

    names = list(SEGMENTS)
    found = pd.crosstab(pd.Series(before, name="before"), pd.Series(after, name="after"))
    return found.reindex(index=names, columns=names, fill_value=0)


def _cuts(found: Any) -> Cuts:
    first, second, third, fourth = (np.inf if cut is None else float(cut) for cut in found)
    return first, second, third, fourth


def _text(when: date | None) -> str | None:
    return None if when is None else when.isoformat()
