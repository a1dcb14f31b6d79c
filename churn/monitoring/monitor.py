"""Whether a model can still be trusted: data, early check on real labels, backtest, shift.

The layers are in the order of trust: a broken feed explains everything below it, real labels count
for more than the shift of a feature, and a shift alone is no reason for a refit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from churn.analytics.analysis import Analysis
from churn.data.cutoffs import Cutoffs
from churn.data.days import day_number
from churn.data.tables import Snapshot, Tables
from churn.features.catalogue import CATALOGUE
from churn.features.clock import FeatureClock
from churn.modeling.model import ChurnModel
from churn.modeling.sampling import draw_sample
from churn.monitoring.backtest import Matured, matured
from churn.monitoring.campaigns import campaign_row
from churn.monitoring.checks import CHECKS, Layers, check_rows, layer_table
from churn.monitoring.early import LEAST_CUTOFFS, EarlyCheck, ReturnCurve, early_check
from churn.monitoring.feeds import feed_checks
from churn.monitoring.refit import gain_of_refit, trained_until
from churn.monitoring.rows import (
    features_at,
    offers_received,
    open_window,
    predictions,
    with_contacts,
    with_returns,
)
from churn.monitoring.shift import Shift, shifts
from churn.monitoring.shown import DEFINITIONS, displays
from churn.monitoring.signal import Signal, signal_of

SEASON_DAYS = 364
"""The same season, on the same day of the week."""
PAST_CUTOFFS = 6
MATURED_CUTOFFS = 13
LOOKS = (0.25, 0.5, 0.75)
"""The shares of the horizon at which the early check looks."""
LEAST_LOOK = 0.125
AGAINST_ALL_TIME = ("_change_", "_trend_", "price_level")
"""Parts of names of features that compare a window with everything before it."""


@dataclass(frozen=True)
class MonitorOptions:
    """`error_after_days` without an order is an alarm; beyond `most_rows`, a sample of customers is
    used; `with_gain` also estimates the gain of a refit if the labels call for one.
    """

    error_after_days: int = 3
    most_rows: int = 3_000_000
    with_gain: bool = True


def monitor(
    model: ChurnModel,
    snapshot: Snapshot,
    *,
    planned: Iterable[tuple[str, date]] = (),
    campaigns: Sequence[Mapping[str, Any]] = (),
    options: MonitorOptions | None = None,
) -> Analysis:
    """All layers at the snapshot's date.

    `planned` are customer and date of every offer in the ledger; `campaigns` are the facts of
    measurements on record, oldest first.
    """
    options = options or MonitorOptions()
    tables, as_of = snapshot.tables, snapshot.as_of
    feeds = feed_checks(tables, as_of, error_after_days=options.error_after_days)
    cohorts = _Cohorts.of(model, tables, as_of)
    sample = draw_sample(tables, max(len(cohorts.dates), 1), options.most_rows)
    customers = None if sample is None else list(sample.customers)
    early, backtest, notes = _labels(model, tables, cohorts, planned, customers)
    reference = reference_date(model, tables, as_of)
    moved: tuple[Shift, ...] = ()
    if reference is not None:
        moved = _shifts(model, tables, as_of, reference, customers)
    found = signal_of(feeds, early, backtest, moved)
    gain = None
    if options.with_gain and found.action == "refit":
        gain = gain_of_refit(model, tables, as_of, most_rows=options.most_rows)
    found = found.with_gain(gain, closes=cohorts.first_closing)
    if sample is not None:
        notes = (*notes, f"a sample: {sample.left_out:,} customers are left out")
    return _analysis(
        as_of, model, (feeds, early, backtest, moved), found, campaigns, reference, notes
    )


@dataclass(frozen=True)
class _Cohorts:
    """The dates whose predictions are compared with what came, by their use."""

    past: Cutoffs
    matured: Cutoffs
    looks: tuple[tuple[date, int], ...]
    first_closing: date

    @classmethod
    def of(cls, model: ChurnModel, tables: Tables, as_of: date) -> _Cohorts:
        trained: Cutoffs = replace(model.cutoffs_, dates=(), until=as_of)
        begin = trained_until(model)
        looks = () if model.clock_.is_contractual else _looks(trained, begin)
        before = min([cutoff for cutoff, _ in looks], default=as_of)
        first, _ = tables.span()
        past = Cutoffs.every(
            model.clock_.window_days,
            until=before,
            horizon_days=trained.horizon_days,
            count=PAST_CUTOFFS,
            lead_days=trained.lead_days,
            arrival_lag_days=trained.arrival_lag_days,
            first=first + timedelta(days=trained.horizon_days),
        )
        closed = trained.only(_matured_dates(trained, begin, model.clock_))
        if model.clock_.is_contractual:
            closed = trained
        reach = trained.closing_days + trained.arrival_lag_days
        return cls(past if looks else past.only(()), closed, looks, begin + timedelta(days=reach))

    @property
    def dates(self) -> list[date]:
        """All of them, in order."""
        return sorted({*self.past, *self.matured, *(cutoff for cutoff, _ in self.looks)})


def _looks(trained: Cutoffs, begin: date) -> tuple[tuple[date, int], ...]:
    """(cutoff, day) of each look, youngest first; none before `begin`."""
    end = trained.until - timedelta(days=trained.arrival_lag_days + trained.lead_days)
    days = [max(1, round(share * trained.horizon_days)) for share in LOOKS]
    found = [(end - timedelta(days=day), day) for day in days]
    found = [(cutoff, day) for cutoff, day in found if cutoff >= begin]
    elapsed = (end - begin).days
    if not found and elapsed >= max(1, LEAST_LOOK * trained.horizon_days):
        found = [(begin, elapsed)]
    return tuple(dict.fromkeys(found))


def _matured_dates(trained: Cutoffs, begin: date, clock: FeatureClock) -> tuple[date, ...]:
    """Cutoffs from `begin` on whose labels have closed, half a horizon apart."""
    days = (trained.newest_mature - begin).days
    steps = [begin + timedelta(days=step) for step in range(0, days + 1, clock.window_days)]
    return tuple(steps[-MATURED_CUTOFFS:])


def _labels(
    model: ChurnModel,
    tables: Tables,
    cohorts: _Cohorts,
    planned: Iterable[tuple[str, date]],
    customers: Sequence[str] | None,
) -> tuple[tuple[EarlyCheck, ...], tuple[Matured, ...], tuple[str, ...]]:
    """The early checks, the matured cutoffs, and notes on what cannot be checked yet."""
    notes = _not_yet(model, cohorts)
    if not cohorts.dates:
        return (), (), notes
    rows = predictions(model, tables, cohorts.dates, customers=customers)
    early: tuple[EarlyCheck, ...] = ()
    if cohorts.looks and len(cohorts.past) >= LEAST_CUTOFFS:
        early = _early(model, tables, cohorts, rows, offers_received(tables, planned), customers)
    closed: tuple[Matured, ...] = ()
    if cohorts.matured.dates:
        there = with_returns(rows, tables, cohorts.matured, customers=customers)
        there = there.assign(lapse=there["return_day"].isna().astype("float64"))
        closed = tuple(
            matured(some, when, cohorts.matured.label_end(when), looks=len(cohorts.matured))
            for when in cohorts.matured
            if len(some := there[there["cutoff"] == day_number(when)])
        )
    return early, closed, notes


def _early(
    model: ChurnModel,
    tables: Tables,
    cohorts: _Cohorts,
    rows: pd.DataFrame,
    contacts: pd.DataFrame,
    customers: Sequence[str] | None,
) -> tuple[EarlyCheck, ...]:
    past = with_returns(rows, tables, cohorts.past, customers=customers)
    horizon, lead = cohorts.past.horizon_days, cohorts.past.lead_days
    curve = ReturnCurve.of(past, horizon)
    found = []
    for cutoff, day in cohorts.looks:
        window = open_window(cohorts.past, cutoff, day)
        came = with_returns(rows, tables, window, customers=customers)
        kept, treated = with_contacts(came, contacts, cutoff, horizon_days=horizon, lead_days=lead)
        found.append(
            early_check(
                curve, kept, cutoff=cutoff, day=day, looks=len(cohorts.looks), treated=treated
            )
        )
    return tuple(found)


def _not_yet(model: ChurnModel, cohorts: _Cohorts) -> tuple[str, ...]:
    """Notes on checks that have to wait."""
    if model.clock_.is_contractual:
        return ("renewals have no early check yet: their dates say when they come",)
    begin, horizon = trained_until(model), model.clock_.horizon_days
    notes = []
    if not cohorts.looks:
        first = begin + timedelta(days=max(1, round(LEAST_LOOK * horizon)))
        notes.append(f"the model saw the data until {begin}: the early check begins on {first}")
    elif len(cohorts.past) < LEAST_CUTOFFS:
        notes.append("too few past cutoffs for the early check: a longer history is needed")
    if not cohorts.matured.dates:
        notes.append(
            f"no prediction has matured: the first labels close on {cohorts.first_closing}"
        )
    return tuple(notes)


def reference_date(model: ChurnModel, tables: Tables, as_of: date) -> date | None:
    """The night to compare with: the same season last year if the history reaches back a lookback
    before it, else the newest cutoff that the model was trained on; None if there is none.
    """
    first, _ = tables.span()
    season = as_of - timedelta(days=SEASON_DAYS)
    if season - timedelta(days=model.clock_.lookback_days) >= first:
        return season
    earlier = [day for day in model.cutoffs_ if day < as_of]
    return earlier[-1] if earlier else None


def _shifts(
    model: ChurnModel,
    tables: Tables,
    as_of: date,
    reference: date,
    customers: Sequence[str] | None,
) -> tuple[Shift, ...]:
    new, old = (
        features_at(model, tables, when, customers=customers) for when in (as_of, reference)
    )
    first, _ = tables.span()
    exempt = exempt_features(model, (reference - first).days)
    order = ["probability", *model.feature_names_]
    return shifts(
        {name: new[name].to_numpy(dtype=np.float64) for name in order},
        {name: old[name].to_numpy(dtype=np.float64) for name in order},
        exempt=exempt,
    )


def exempt_features(model: ChurnModel, history_days: int) -> frozenset[str]:
    """Features that raise no alarm: those that the shop itself decides, and those that look back
    further than the reference's history, since they grow with the history alone.
    """
    return frozenset(
        name
        for name in model.feature_names_
        if CATALOGUE[name].controlled or reach_days(name, model.clock_) > history_days
    )


def reach_days(name: str, clock: FeatureClock) -> float:
    """How far back a feature looks, in days; infinite if over the whole history.

    >>> clock = FeatureClock(horizon_days=28, lookback_days=56)
    >>> reach_days("net_spend_90d", clock), reach_days("recency_days", clock)
    (90.0, 56.0)
    >>> reach_days("tenure_days", clock)
    inf
    """
    horizon = clock.horizon_days
    stated = {
        "recency_days": clock.lookback_days,
        "net_spend_three_horizons": 3 * horizon,
        "acceleration": 2 * horizon,
        "spend_trend": 4 * horizon,
        "visit_trend": 2 * horizon,
        # After eight half-lives, less than half a percent of a day's weight is left.
        **{f"decayed_{what}_short": 4 * horizon for what in ("days", "spend")},
        **{f"decayed_{what}_medium": 12 * horizon for what in ("days", "spend")},
        **{f"decayed_{what}_long": 32 * horizon for what in ("days", "spend")},
    }
    if name in stated:
        return float(stated[name])
    if name.startswith("new_") or any(part in name for part in AGAINST_ALL_TIME):
        return float("inf")
    window = name.rpartition("_")[2]
    whole = window.removesuffix("d")
    return float(whole) if window.endswith("d") and whole.isdigit() else float("inf")


def _analysis(
    as_of: date,
    model: ChurnModel,
    layers: Layers,
    found: Signal,
    campaigns: Sequence[Mapping[str, Any]],
    reference: date | None,
    notes: tuple[str, ...],
) -> Analysis:
    feeds, early, backtest, moved = layers
    rows = check_rows(layers, reference)
    tables = {
        "checks": pa.Table.from_pylist(rows, schema=CHECKS),
        "signal": pa.Table.from_pylist([found.to_dict()]),
        "early": layer_table(early),
        "backtest": layer_table(backtest),
        "shift": layer_table(moved),
        "data": layer_table(feeds),
        "campaigns": pa.Table.from_pylist([campaign_row(facts) for facts in campaigns]),
    }
    return Analysis(
        "monitor",
        as_of,
        {name: table for name, table in tables.items() if name == "checks" or table.num_rows},
        DEFINITIONS,
        main="checks",
        key=("layer", "check", "what"),
        resolved={
            "model_id": getattr(model, "manifest_", {}).get("model_id"),
            "trained_until": str(trained_until(model)),
            "horizon_days": model.clock_.horizon_days,
            "compared_with": None if reference is None else str(reference),
            "alarms": sum(row["state"] == "alarm" for row in rows),
            "signal": found.text,
        },
        displays=displays(found, layers, campaigns, reference),
        notes=notes,
    )
