"""The panel of cutoffs: horizon, lookback, purged blocks and folds, with automatic values from the
repurchase gaps of a shop: weighted, censored, and the quantile that defines a lapse.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import date, timedelta
from functools import partial
from math import ceil, isfinite
from typing import Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from churn.arrays import Floats
from churn.data.cutoffs import Cutoffs
from churn.data.days import day_number
from churn.data.history.blocks import Block
from churn.data.history.columns import arrow_numbers, numbers
from churn.data.history.past import Moment, Past, customer_blocks, moments
from churn.data.tables import Tables
from churn.errors import GateError
from churn.features.clock import FeatureClock, Mode

MOST_FOLDS = 3

HORIZONS_DAYS = (28, 56, 84, 182)
GAP_QUANTILE = 0.8
TEST_CUTOFFS = 2
LEAST_TRAINING_CUTOFFS = 3
LEAST_TRIAL_DAYS = 7
LANDMARKS = 100
"""More than closed cutoffs, a quarter of a horizon apart, fit into a history too short for the
gate."""
_ROUNDING = 1e-9  # slack when the curve is compared with q


@dataclass(frozen=True)
class Fold:
    """Training cutoffs, whose labels close by the one cutoff to evaluate on."""

    learn: Cutoffs
    judge: Cutoffs


def forward_folds(cutoffs: Cutoffs, *, most: int = MOST_FOLDS) -> tuple[Fold, ...]:
    """The newest `most` folds of a panel at most, oldest first; none without training cutoffs.

    >>> panel = Cutoffs.every(14, until="2017-11-01", horizon_days=28, count=4)
    >>> [(len(fold.learn), str(fold.judge.dates[0])) for fold in forward_folds(panel)]
    [(1, '2017-09-20'), (2, '2017-10-04')]
    """
    folds = [Fold(cutoffs.before(date), cutoffs.only((date,))) for date in cutoffs]
    return tuple(fold for fold in folds if fold.learn.dates)[-most:]


def separate_folds(cutoffs: Cutoffs, *, most: int = MOST_FOLDS) -> tuple[Fold, ...]:
    """At most `most` folds, counted back from the newest, oldest first; the label window of each
    has closed by the test cutoff of the next, so that they share no outcome.

    >>> panel = Cutoffs.every(14, until="2017-11-01", horizon_days=28, count=6)
    >>> [(len(fold.learn), str(fold.judge.dates[0])) for fold in separate_folds(panel)]
    [(2, '2017-09-06'), (4, '2017-10-04')]
    """
    found: list[Fold] = []
    known = cutoffs
    while known.dates and len(found) < most:
        newest = known.dates[-1]
        known = known.before(newest)
        found.append(Fold(known, cutoffs.only((newest,))))
    return tuple(fold for fold in reversed(found) if fold.learn.dates)


Auto = Literal["auto"]


@dataclass(frozen=True)
class Blocks:
    """Training, calibration and test cutoffs; the labels of each close before the next begins."""

    train: Cutoffs
    calibrate: Cutoffs
    test: Cutoffs

    @property
    def complete(self) -> bool:
        """Whether each block has the cutoffs needed for an evaluation."""
        enough = len(self.train) >= LEAST_TRAINING_CUTOFFS and len(self.calibrate) >= 1
        return enough and len(self.test) >= TEST_CUTOFFS


@dataclass(frozen=True)
class Panel:
    """The resolved settings of one training: cutoffs, lengths, and their derivation."""

    cutoffs: Cutoffs
    clock: FeatureClock
    blocks: Blocks
    gap_quantile_days: float | None
    trial: Panel | None = None
    """In a history too short for the gate: the panel of the forward test, with the longest horizon
    that allows one."""

    @property
    def judged(self) -> Panel:
        """The panel on which the recipe is evaluated."""
        return self.trial or self

    def to_dict(self) -> dict[str, object]:
        """The resolved settings as plain JSON."""
        quantile = self.gap_quantile_days
        return {
            **asdict(self.clock),
            "cutoffs": [str(cutoff) for cutoff in self.cutoffs],
            "test_cutoffs": [str(cutoff) for cutoff in self.judged.blocks.test],
            "test_horizon_days": self.judged.clock.horizon_days,
            # None also if the repurchase curve never reaches the quantile
            "gap_quantile_days": quantile if quantile and isfinite(quantile) else None,
        }

    @property
    def development(self) -> Cutoffs:
        """The cutoffs whose labels have closed by the first test cutoff."""
        return self.cutoffs.before(self.blocks.test.dates[0])


def blocks(cutoffs: Cutoffs) -> Blocks:
    """The newest two cutoffs for the test, the newest admissible one before them for calibration,
    and all admissible ones before that for training.
    """
    test = cutoffs.only(cutoffs.dates[-TEST_CUTOFFS:])
    known = cutoffs.before(test.dates[0]) if test.dates else test
    calibrate = known.only(known.dates[-1:])
    train = known.before(calibrate.dates[0]) if calibrate.dates else known
    return Blocks(train, calibrate, test)


def resolve_panel(  # noqa: PLR0913 - settings of [churn] and [panel], each by name
    tables: Tables,
    as_of: date,
    *,
    horizon_days: int | Auto = "auto",
    lookback_days: int | Auto = "auto",
    min_tenure_days: int = 0,
    lead_days: int = 0,
    every_days: int | Auto = "auto",
    count: int = 13,
    mode: Mode = "purchases",
    grace_days: int = 0,
    complete: bool = False,
) -> Panel:
    """The panel of a training at `as_of` (exclusive).

    `auto` horizon: the smallest of 28, 56, 84, 182 at or above the 80 % quantile of the repurchase
    gap, capped at the largest that leaves three training, one calibration and two test cutoffs.
    `auto` spacing: half a horizon. `auto` lookback: twice the horizon. Only data before the first
    test cutoff is used. In `contractual` mode an `auto` horizon is 28 days: the renewals of the
    next four weeks. `grace_days` is how long after its expiry a subscription may still be renewed.

    A history too short for these cutoffs has a `trial`; its own cutoffs are then a quarter of a
    horizon apart, all that are closed, perhaps none. Raises GateError instead if the panel must be
    `complete`, in contractual mode, if only `every_days` or `count` leave too few cutoffs, and with
    less than three weeks of orders.
    """
    grace = grace_days if mode == "contractual" else 0
    lag = _arrival_lag_days(tables, mode)

    def cutoffs(horizon: int) -> Cutoffs:
        return _cutoffs(tables, as_of, horizon, (lead_days, grace), every_days, count, lag)

    if horizon_days == "auto" and mode == "contractual":
        horizon, quantile = HORIZONS_DAYS[0], None
    elif horizon_days == "auto":
        horizon, quantile = _auto_horizon(tables, cutoffs)
    else:
        horizon, quantile = horizon_days, None
    panel = cutoffs(horizon)
    lookback = 2 * horizon if lookback_days == "auto" else lookback_days
    clock = FeatureClock(
        horizon_days=horizon,
        lookback_days=lookback,
        min_tenure_days=min_tenure_days,
        lead_days=lead_days,
        mode=mode,
    )
    if blocks(panel).complete:
        return Panel(panel, clock, blocks(panel), quantile)
    possible = _cutoffs(tables, as_of, horizon, (lead_days, grace), "auto", LANDMARKS, lag)
    if complete or clock.is_contractual or blocks(possible).complete:
        raise _too_short(tables, as_of, horizon, panel)
    landmarks = _landmarks(tables, panel, horizon, every_days)
    trial = _trial(tables, panel, clock)
    return Panel(landmarks, clock, blocks(landmarks), quantile, trial)


def _landmarks(tables: Tables, panel: Cutoffs, horizon: int, every: int | Auto = "auto") -> Cutoffs:
    """All closed cutoffs with a horizon of history before them, a quarter of it apart."""
    first, _ = tables.span()
    return Cutoffs.every(
        ceil(horizon / 4) if every == "auto" else every,
        until=panel.until,
        horizon_days=horizon,
        count=LANDMARKS,
        lead_days=panel.lead_days,
        arrival_lag_days=panel.arrival_lag_days,
        first=first + timedelta(days=horizon),
    )


def _trial(tables: Tables, panel: Cutoffs, clock: FeatureClock) -> Panel:
    """The panel of one forward test: its newest cutoff, with the longest horizon for which labels
    have closed before it. Lengths keep their proportion to the horizon.
    """
    first, _ = tables.span()
    waiting = panel.lead_days + panel.arrival_lag_days
    days = (panel.until - first).days
    horizon = min(clock.horizon_days, (days - 2 * waiting) // 3)
    if horizon < LEAST_TRIAL_DAYS:
        raise GateError(
            f"a model needs at least {3 * LEAST_TRIAL_DAYS + 2 * waiting} days of orders",
            got=f"{days}",
            fix="Pass a longer history.",
        )
    share = horizon / clock.horizon_days
    scaled = replace(
        clock,
        horizon_days=horizon,
        lookback_days=max(1, round(share * clock.lookback_days)),
        min_tenure_days=round(share * clock.min_tenure_days),
    )
    test = panel.until - timedelta(days=waiting + horizon)
    known = _landmarks(tables, replace(panel, dates=(), until=test), horizon)
    both = replace(known, dates=(*known, test), until=panel.until)
    blocks = Blocks(both.before(test), both.only(()), both.only((test,)))
    return Panel(both, scaled, blocks, None)


def _cutoffs(
    tables: Tables,
    as_of: date,
    horizon: int,
    lead_and_grace: tuple[int, int],
    every: int | Auto,
    count: int,
    lag: int,
) -> Cutoffs:
    first, _ = tables.span()
    lead, grace = lead_and_grace
    return Cutoffs.every(
        max(1, horizon // 2) if every == "auto" else every,
        until=as_of,
        horizon_days=horizon,
        count=count,
        lead_days=lead,
        grace_days=grace,
        arrival_lag_days=lag,
        first=first + timedelta(days=horizon),
    )


def _arrival_lag_days(tables: Tables, mode: Mode) -> int:
    """How long a label waits for late arrivals: orders, and terms in contractual mode."""
    lag = tables.arrival_lag_days()
    return max(lag, tables.term_lag_days()) if mode == "contractual" else lag


def _auto_horizon(tables: Tables, cutoffs: Callable[[int], Cutoffs]) -> tuple[int, float]:
    chosen, quantile = HORIZONS_DAYS[0], float("nan")
    for horizon in HORIZONS_DAYS:
        panel = cutoffs(horizon)
        if not blocks(panel).complete:
            break
        chosen = horizon
        quantile = repurchase_gap_days(tables, blocks(panel).test.dates[0], q=GAP_QUANTILE)
        if quantile <= horizon:
            break
    return chosen, quantile


def _too_short(tables: Tables, as_of: date, horizon: int, panel: Cutoffs) -> GateError:
    first, _ = tables.span()
    days = day_number(as_of) - day_number(first)
    found = blocks(panel)
    return GateError(
        f"an evaluated model needs {LEAST_TRAINING_CUTOFFS} training, 1 calibration and "
        f"{TEST_CUTOFFS} test cutoffs whose labels do not overlap",
        got=f"{len(found.train)}, {len(found.calibrate)} and {len(found.test)} from {days} days "
        f"of orders with a horizon of {horizon} days",
        fix="Pass a longer history, a shorter horizon_days or a smaller every_days.",
    )


def quantile_of_votes(
    gap_days: Floats, is_event: NDArray[np.bool_], votes: Floats, q: float
) -> float:
    """The days within which a share `q` of repurchases happens; inf if the curve stays below `q`.

    One row per gap: `is_event` if a purchase ended it rather than the end of the data (the gap from
    a customer's last purchase). The votes of a customer's gaps add up to 1. Source: Kaplan
    and Meier (1958), with weights.
    """
    at_days, returned = _share_returned(gap_days, is_event, votes)
    reached = at_days[returned >= q - _ROUNDING]
    return float(reached[0]) if reached.size else float("inf")


def _share_returned(days: Floats, ended: NDArray[np.bool_], votes: Floats) -> tuple[Floats, Floats]:
    """The distinct gaps, ascending, and the share that has returned after each.

    A customer censored at a gap still counts as waiting there.
    """
    at_days, step = np.unique(days, return_inverse=True)
    leaving = np.bincount(step, weights=votes)
    returning = np.bincount(step, weights=votes * ended)
    waiting = np.cumsum(leaving[::-1])[::-1]
    return at_days, np.asarray(1.0 - np.cumprod(1.0 - returning / waiting), dtype=np.float64)


def repurchase_gap_days(tables: Tables, before: date, *, q: float) -> float:
    """The `q` quantile of the gap between purchase days, from the data before that date.

    See `quantile_of_votes`; inf also if there are no purchases.
    """
    (moment,) = moments(tables, [before])
    batches = customer_blocks(tables).batches(partial(_gaps, moment), GAPS)
    gaps = pa.Table.from_batches(batches, schema=GAPS)
    days, ended, votes = (numbers(gaps[name]) for name in GAPS.names)
    return quantile_of_votes(days, ended == 1, votes, q)


GAPS = pa.schema([(name, pa.float64()) for name in ("days", "ended", "votes")])


def _gaps(moment: Moment, blocks: Iterable[Block]) -> Iterator[pa.RecordBatch]:
    """days, ended (0: by the cutoff), votes: each gap's share of its customer's single vote."""
    for block in blocks:
        days = Past(block, moment).days
        count = days.count(days.bought)
        vote = np.divide(1.0, count, out=np.zeros(len(count)), where=count > 0)
        closed = _summed(days.gap_days[days.has_gap], vote[days.customer[days.has_gap]], ended=1)
        since_last = days.least(days.age_days, days.bought)
        yield closed
        yield _summed(since_last[count > 0], vote[count > 0], ended=0)


def _summed(gap_days: Floats, votes: Floats, *, ended: int) -> pa.RecordBatch:
    """The votes of each number of days."""
    days, place = np.unique(gap_days, return_inverse=True)
    sums = np.bincount(place, votes, minlength=len(days))
    columns = (days, np.full(len(days), float(ended)), sums)
    return pa.record_batch([arrow_numbers(column) for column in columns], schema=GAPS)
