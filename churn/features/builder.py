"""From history to one row per customer and cutoff: the one builder for training and scoring."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import narwhals as nw

from churn.data.days import as_date, day_number
from churn.data.engines.base import Frame
from churn.data.history import KEYS, History, history
from churn.data.tables import Tables
from churn.errors import ConfigError, ModelError, check_type
from churn.features.arithmetic import with_arithmetic
from churn.features.catalogue import CATALOGUE, REQUIRED_FAMILIES, Feature, feature_names
from churn.features.clock import FeatureClock
from churn.features.lifetime_fits import BUYING, buying_histories, expectations, fit_lifetime
from churn.features.plugins import naming
from churn.features.population import (
    SHARED_TEXTS,
    Population,
    capped,
    first_channel,
    learn_population,
)
from churn.features.status import status

GRAINS = ("days", "lines", "events", "terms")
STATUS_OF_SUBSCRIBERS = ("days_to_expiry", "subscription_tenure_days")


def build_features(
    tables: Tables,
    cutoffs: Sequence[date],
    clock: FeatureClock,
    *,
    names: Sequence[str] | None = None,
    undated: bool = False,
    population: Mapping[str, Any] | None = None,
) -> Frame:
    """customer_id, cutoff (day number), status and features; one row per known customer.

    `names` chooses the features (default: all that the connected tables allow), and raises
    ModelError if a table for one of them is not connected. `undated` counts customers whose sign-up
    has no date. `population` replaces the statistics learned from all customers, for a history that
    holds only some of them.
    """
    check_type(tables, Tables, name="tables", fix="Load them with churn.load_tables(...).")
    check_type(clock, FeatureClock, name="clock", fix="Pass FeatureClock(horizon_days=28, ...).")
    days = _dates(cutoffs)
    wanted = feature_names(tables.connected()) if names is None else _names(names)
    plan = _Plan.of(wanted, clock)
    plan.check(tables)
    known = _prepared(tables, days, plan, undated=undated, population=population)
    numbers = [day_number(cutoff) for cutoff in days]
    rows = _aggregated(known.past, plan)
    rows = rows.join(known.learnt.frame(tables, numbers), on="cutoff", how="left")
    for text in plan.texts:
        rows = rows.join(known.learnt.share_frame(tables, text), on=["cutoff", text], how="left")
    if known.histories is not None:
        expected = expectations(
            tables, known.histories, known.learnt.numbers, horizon_days=clock.horizon_days
        )
        rows = rows.join(expected, on=["cutoff", *BUYING], how="left")
    rows = with_arithmetic(rows, plan.over("row"), clock)
    return rows.with_columns(status=status(clock)).select(*KEYS, "status", *wanted)


def _dates(cutoffs: object) -> list[date]:
    """The cutoffs as dates; raises ConfigError for anything else."""
    if isinstance(cutoffs, (str, bytes)) or not isinstance(cutoffs, Iterable):
        rule, fix = "cutoffs must be a list of dates", 'Pass e.g. ["2024-06-01"].'
        raise ConfigError(rule, got=type(cutoffs).__name__, fix=fix)
    return [as_date(cutoff, name="a cutoff") for cutoff in cutoffs]


def _names(names: object) -> tuple[str, ...]:
    """The names of the requested features; raises ConfigError for anything else."""
    if isinstance(names, (str, bytes)) or not isinstance(names, Iterable):
        rule, fix = "names must be a list of features", 'Pass e.g. ["recency_days"].'
        raise ConfigError(rule, got=type(names).__name__, fix=fix)
    return tuple(map(str, names))


def newest_population(
    tables: Tables, cutoff: date, clock: FeatureClock, names: Sequence[str]
) -> dict[str, Any]:
    """The statistics that those features learn from all customers before a cutoff, as plain JSON:
    the `population` of `build_features`.
    """
    known = _prepared(tables, [cutoff], _Plan.of(tuple(names), clock))
    return known.learnt.at(day_number(cutoff))


@dataclass(frozen=True)
class _Plan:
    """The aggregates and features needed to compute the requested ones.

    A feature may depend on sums, on its own family and on the required families.
    """

    features: tuple[Feature, ...]
    clock: FeatureClock

    @classmethod
    def of(cls, names: Sequence[str], clock: FeatureClock) -> _Plan:
        wanted = [_known(name) for name in names]
        if clock.is_contractual:
            wanted += [_known(name) for name in STATUS_OF_SUBSCRIBERS]
        needs = frozenset({"orders"}).union(*(one.needs for one in wanted))
        families = {"sums", *REQUIRED_FAMILIES, *(one.family for one in wanted)}
        return cls(
            tuple(o for o in CATALOGUE.values() if o.needs <= needs and o.family in families), clock
        )

    @property
    def needs(self) -> frozenset[str]:
        return frozenset().union(*(one.needs for one in self.features))

    @property
    def grains(self) -> tuple[str, ...]:
        return tuple(grain for grain in GRAINS if self.over(grain))

    @property
    def texts(self) -> list[str]:
        return [text for text, need in SHARED_TEXTS.items() if need in self.needs]

    @property
    def has_lifetime(self) -> bool:
        return any(one.family == "lifetime" for one in self.features)

    def over(self, grain: str) -> list[Feature]:
        return [one for one in self.features if one.over == grain]

    def check(self, tables: Tables) -> None:
        """ModelError if a table or column is missing; an event may not have happened yet."""
        there = tables.connected() | {one for one in self.needs if one.startswith("events.")}
        lacking = sorted(self.needs - there)
        if lacking:
            rule = "the tables and columns that features are built from must be connected"
            fix = "Connect it in [data], or train again without."
            raise ModelError(rule, got=f"nothing for {lacking}", fix=fix)


def _known(name: str) -> Feature:
    if name not in CATALOGUE:
        rule = "features must be among those of this release and of [features] module"
        raise ModelError(rule, got=name, fix="Name the module, or train again.")
    return CATALOGUE[name]


@dataclass(frozen=True)
class _Prepared:
    """The history with winsorised days, population statistics, and histories for lifetimes."""

    past: History
    learnt: Population
    histories: Frame | None


def _prepared(
    tables: Tables,
    cutoffs: Sequence[date],
    plan: _Plan,
    *,
    undated: bool = False,
    population: Mapping[str, Any] | None = None,
) -> _Prepared:
    past = history(
        tables,
        cutoffs,
        undated=undated,
        subscribers=plan.clock.is_contractual,
        grains=plan.grains,
    )
    numbers = [day_number(cutoff) for cutoff in cutoffs]
    if population is None:
        learnt = learn_population(tables, past, texts=plan.texts)
    else:
        learnt = Population.stated(numbers, population)
    limits = learnt.frame(tables, numbers).select("cutoff", "population_day_limit")
    days = past.days.join(limits, on="cutoff", how="left").with_columns(
        net_capped=capped(nw.col("net")), spend_capped=capped(nw.col("spend"))
    )
    histories = buying_histories(tables, days) if plan.has_lifetime else None
    if histories is not None and population is None:
        learnt = learnt.extended(fit_lifetime(tables, histories))
    return _Prepared(replace(past, days=days), learnt, histories)


def _aggregated(past: History, plan: _Plan) -> Frame:
    """Everyone known, with all aggregates, including customers who have not ordered."""
    rows = _totals(past.days, plan, "days")
    if past.listed:
        rows = past.customers.join(rows, on=list(KEYS), how="left")
    for grain in plan.grains[1:]:
        rows = rows.join(_totals(past.grain(grain), plan, grain), on=list(KEYS), how="left")
        rows = rows.with_columns(
            nw.col(one.name).fill_null(one.empty)
            for one in plan.over(grain)
            if one.empty is not None
        )
    return rows


def _totals(table: Frame, plan: _Plan, grain: str) -> Frame:
    for one in plan.over(grain):
        if not one.is_shipped:
            with naming(one):
                table.group_by(*KEYS).agg(one.formula(plan.clock).alias(one.name)).collect_schema()
    numbers = {one.name: one.formula(plan.clock) for one in plan.over(grain)}
    texts = {}
    if grain == "days" and "first_channel" in plan.texts:
        texts["first_channel"] = first_channel()
    totals = table.group_by(*KEYS).agg(**numbers, **texts)
    return totals.with_columns(*(nw.col(name).cast(nw.Float64) for name in numbers))
