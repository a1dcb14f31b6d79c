"""Backtest of the whole decision: who would have been listed, and what they did afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from churn.arrays import Floats
from churn.data.days import date_of
from churn.modeling.capacity import at_risk_count, top_positions
from churn.modeling.judgement.predictions import TestPredictions
from churn.modeling.metrics import Interval, customer_draws

Mask = NDArray[np.bool_]

EVERY_CUTOFF = "all"


@dataclass(frozen=True)
class Listed:
    """Performance of a list of the customers most likely to lapse, at one cutoff or at `all`.

    `precision`: share of listed customers who lapsed. `recall`: share of lapsed customers who were
    listed. `spend_caught`: share of the usual spend per horizon of lapsed customers that belongs to
    those listed; `spend_lost` is that usual spend. `more_caught`: recall minus that of the recency
    baseline, on the same customers.
    """

    predictor: str
    cutoff: str
    rows: int
    listed: int
    lapsed_listed: int
    precision: Interval
    recall: Interval
    spend_caught: Interval
    spend_lost: float
    more_caught: Interval


def backtest(
    tested: TestPredictions, *, capacity: float = 0.1, replicates: int = 200, seed: int = 0
) -> tuple[Listed, ...]:
    """For each predictor shown, and for the model's value at risk: all cutoffs together, then each.

    `capacity` is a share or a number of the eligible customers at each cutoff, ties broken by hash,
    as in scoring. Intervals resample customers; the lists are fixed.
    """
    rankings = {name: tested.lapse[name] for name in tested.shown}
    rankings["value_at_risk"] = tested.value_at_risk
    masks = {name: listed_rows(tested, score, capacity) for name, score in rankings.items()}
    silence = tested.rows["recency_days"].to_numpy(dtype=np.float64)
    recency = listed_rows(tested, tested.lapse.get("recency", silence), capacity)
    looked = _Looked(tested, replicates, seed)
    return tuple(
        looked.at(cutoff, name, mask, recency)
        for cutoff in (None, *sorted(tested.rows["cutoff"].unique()))
        for name, mask in masks.items()
    )


def listed_rows(tested: TestPredictions, score: Floats, capacity: float) -> Mask:
    """Which rows are at the top of their cutoff's list, highest score first."""
    found = np.zeros(len(tested.rows), dtype=bool)
    cutoff = tested.rows["cutoff"].to_numpy()
    for date in np.unique(cutoff):
        there = np.flatnonzero(cutoff == date)
        count = at_risk_count(capacity, len(there))
        top = top_positions(pa.array(tested.customer[there]), score[there], count)
        found[there[top]] = True
    return found


@dataclass(frozen=True)
class _Looked:
    tested: TestPredictions
    replicates: int
    seed: int

    def at(self, cutoff: int | None, predictor: str, listed: Mask, recency: Mask) -> Listed:
        tested = self.tested
        here = np.ones(len(tested.rows), bool) if cutoff is None else self._rows_at(cutoff)
        lapsed = tested.outcome == 1
        spend = tested.usual_spend * lapsed
        return Listed(
            predictor=predictor,
            cutoff=EVERY_CUTOFF if cutoff is None else str(date_of(int(cutoff))),
            rows=int(here.sum()),
            listed=int((listed & here).sum()),
            lapsed_listed=int((listed & lapsed & here).sum()),
            precision=self._share(here, lapsed & listed, listed),
            recall=self._share(here, lapsed & listed, lapsed),
            spend_caught=self._share(here, spend * listed, spend),
            spend_lost=float(spend[here].sum()),
            more_caught=self._share(here, lapsed * (listed * 1.0 - recency), lapsed),
        )

    def _rows_at(self, cutoff: int) -> Mask:
        return np.asarray(self.tested.rows["cutoff"] == cutoff)

    def _share(self, here: Mask, part: Mask | Floats, whole: Mask | Floats) -> Interval:
        """Sum of `part` divided by sum of `whole` among the rows `here`."""
        above = np.asarray(part, dtype=np.float64)[here]
        below = np.asarray(whole, dtype=np.float64)[here]
        draws = [_ratio(float(w @ above), float(w @ below)) for w in self._draws(here)]
        return Interval.of(_ratio(above.sum(), below.sum()), draws)

    def _draws(self, here: Mask) -> Iterator[Floats]:
        names = self.tested.customer[here]
        return customer_draws(names, names, self.replicates, self.seed)


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole > 0 else float("nan")
