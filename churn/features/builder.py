"""From history to one row per customer and cutoff: the one builder for training and scoring."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property, partial
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from churn.arrays import Bools, Floats
from churn.data.days import as_date, day_number
from churn.data.engines.base import Frame, SortedRows
from churn.data.history.blocks import Block
from churn.data.history.columns import arrow_mask, arrow_numbers, arrow_rows, arrow_texts
from churn.data.history.past import Moment, Past, customer_blocks, moments
from churn.data.tables import Tables
from churn.errors import ConfigError, ModelError, check_type
from churn.features.catalogue import CATALOGUE, REQUIRED_FAMILIES, Feature, feature_names
from churn.features.clock import FeatureClock
from churn.features.formulas import Row
from churn.features.lifetime_fits import Fit, expectations, fit_lifetime
from churn.features.plugins import feature_error
from churn.features.population import SHARED_TEXTS, Population, learn_population
from churn.features.status import STATUSES, status

GRAINS = ("days", "lines", "events", "terms")
Rows: TypeAlias = "Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]"
STATUS_TEXTS = arrow_texts(STATUSES)
STATUS_OF_SUBSCRIBERS = ("days_to_expiry", "subscription_tenure_days")


def build_features(
    tables: Tables,
    cutoffs: Sequence[date],
    clock: FeatureClock,
    *,
    names: Sequence[str] | None = None,
    undated: bool = False,
    population: Mapping[str, Any] | None = None,
    customers: Collection[str] | None = None,
) -> Frame:
    """customer_id, cutoff (day number), status and features; one row per known customer.

    `names` chooses the features (default: all that the connected tables allow), and raises
    ModelError if a table for one of them is not connected. `undated` counts customers whose sign-up
    has no date. `population` replaces the statistics learned from all customers, for a history that
    holds only some of them. `customers` limits the rows, not what is learned from everyone.
    """
    built = sweep_features(
        tables,
        cutoffs,
        clock,
        names=names,
        undated=undated,
        population=population,
        customers=customers,
    )
    return built.stored(tables.new_name("features"))


def sweep_features(
    tables: Tables,
    cutoffs: Sequence[date],
    clock: FeatureClock,
    *,
    names: Sequence[str] | None = None,
    undated: bool = False,
    population: Mapping[str, Any] | None = None,
    customers: Collection[str] | None = None,
) -> FeatureBatches:
    """The rows of `build_features` in batches, so that no result has to fit in memory."""
    check_type(tables, Tables, name="tables", fix="Load them with churn.load_tables(...).")
    check_type(clock, FeatureClock, name="clock", fix="Pass FeatureClock(horizon_days=28, ...).")
    days = _dates(cutoffs)
    wanted = feature_names(tables.connected()) if names is None else _names(names)
    plan = Plan.of(wanted, clock, undated=undated)
    plan.check(tables)
    blocks, at = plan.blocks(tables), moments(tables, days)
    if population is None:
        learnt = _learnt(blocks, at, plan)
    else:
        learnt = Population.stated([moment.day for moment in at], population)
    built = FeatureBatches(blocks, at, plan, learnt)
    return built if customers is None else built.only(customers)


@dataclass(frozen=True)
class FeatureBatches:
    """Features still to be computed, block by block; sorted by customer if there is one cutoff."""

    blocks: SortedRows[Block]
    cutoffs: Sequence[Moment]
    plan: Plan
    learnt: Population
    customers: pa.Array | None = None

    def only(self, customers: Collection[str] | pa.ChunkedArray) -> FeatureBatches:
        """The same for some customers, as Arrow in the order of their ids; what is learned from
        everyone stays.
        """
        return replace(self, customers=_listed(customers))

    @property
    def schema(self) -> pa.Schema:
        """customer_id, cutoff, status and the features."""
        return self.plan.schema

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The rows, one batch per block and cutoff."""
        return self.blocks.batches(self.sweep, self.schema)

    def swept(self, function: Rows, schema: pa.Schema) -> pa.Table:
        """What a function makes of the batches of rows, wherever the engine computes these."""
        sweep = partial(_then, self.sweep, function)
        return pa.Table.from_batches(self.blocks.batches(sweep, schema), schema=schema)

    def stored(self, name: str) -> Frame:
        """The rows as a table of the engine with that name."""
        return self.blocks.stored(self.sweep, self.schema, name)

    def table(self) -> pa.Table:
        """The rows in memory."""
        return pa.Table.from_batches(self.batches(), schema=self.schema)

    @property
    def sweep(self) -> Callable[[Iterable[Block]], Iterator[pa.RecordBatch]]:
        """The function of blocks that an engine runs."""
        return partial(feature_batches, self.cutoffs, self.plan, self.learnt, self.customers)


def feature_batches(
    cutoffs: Sequence[Moment],
    plan: Plan,
    learnt: Population,
    customers: pa.Array | None,
    blocks: Iterable[Block],
) -> Iterator[pa.RecordBatch]:
    """The rows of some blocks, one batch per block and cutoff; of everyone unless `customers`."""
    for block in blocks:
        some = block
        if customers is not None:
            some = block.only(_is_in(block.customer_ids, customers))
            if not len(some):
                continue
        for moment in cutoffs:
            past = Past(some, moment, learnt.limit(moment.day), undated=plan.undated)
            known = past.known(subscribers=plan.clock.is_contractual)
            yield _batch(past, known, _rows(past, plan, learnt), plan)


def _then(
    sweep: Callable[[Iterable[Block]], Iterator[pa.RecordBatch]],
    function: Rows,
    blocks: Iterable[Block],
) -> Iterator[pa.RecordBatch]:
    return function(sweep(blocks))


def _listed(customers: Collection[str] | pa.ChunkedArray) -> pa.Array:
    """The ids as an Arrow array; raises ConfigError for a single one, whose letters are not ids."""
    if isinstance(customers, pa.ChunkedArray):
        return customers.combine_chunks()
    if isinstance(customers, (str, bytes)) or not isinstance(customers, Collection):
        rule, fix = "customers must be a list of ids", 'Pass e.g. ["4711"].'
        raise ConfigError(rule, got=type(customers).__name__, fix=fix)
    return pa.array(sorted(set(customers)), pa.string())


def _is_in(ids: pa.Array, listed: pa.Array) -> Bools:
    """Which of the ids are listed; both are sorted."""
    low = bisect_left(listed, ids[0].as_py(), key=_text)
    high = bisect_right(listed, ids[-1].as_py(), key=_text)
    listed = listed.slice(low, high - low)
    found = pc.is_in(ids, value_set=listed).cast(pa.uint8())
    return np.asarray(np.frombuffer(found.buffers()[1], np.uint8, len(found)) == 1)


def _text(scalar: pa.Scalar) -> str:
    return str(scalar.as_py())


def _rows(past: Past, plan: Plan, learnt: Population) -> Row:
    """Every sum and feature of each customer of a block, shape (customers,)."""
    row: Row = {"cutoff": past.moment.day, **learnt.columns(past, plan.texts)}
    if "customers.signed_up_at" in plan.needs:
        row["signed_up_day"] = past.signed_up_day
    with np.errstate(all="ignore"):  # what is not defined becomes NaN
        for grain in plan.grains:
            table = past.of(grain)
            there = table.has_rows
            everyone = bool(there.all())
            for one in plan.over(grain):
                values = _values(one, table, plan, len(past))
                if not everyone:
                    values = np.where(there, values, np.nan if one.empty is None else one.empty)
                row[one.name] = values
        if plan.has_lifetime:
            numbers = learnt.numbers.get(past.moment.day, {})
            row |= expectations(row, numbers, plan.clock.horizon_days)
        if plan.has_own:
            row["customer_id"] = np.array(past.block.customer_ids.to_pylist(), dtype=object)
        for one in plan.over("row"):
            row[one.name] = _values(one, row, plan, len(past))
    return row


def _values(one: Feature, table: Any, plan: Plan, customers: int) -> Floats:
    """A feature's number for each customer."""
    try:
        values = np.asarray(one.formula(table, plan.clock), dtype=np.float64)
        return values if values.shape == (customers,) else np.broadcast_to(values, customers)
    except Exception as failure:
        if one.is_shipped:
            raise
        raise feature_error(one, failure) from failure


def _batch(past: Past, known: Bools, row: Row, plan: Plan) -> pa.RecordBatch:
    """The rows of those known at the cutoff."""
    everyone = bool(known.all())
    ids = past.block.customer_ids
    columns = [
        ids if everyone else ids.filter(arrow_mask(known)),
        arrow_numbers(np.full(int(known.sum()), past.moment.day, dtype=np.int64)),
        _texts(status(row, plan.clock)[known]),
    ]
    values = np.empty((len(plan.wanted), len(columns[0])))
    for place, name in enumerate(plan.wanted):
        values[place] = row[name] if everyone else row[name][known]
    columns += arrow_rows(values)
    return pa.record_batch(columns, schema=plan.schema)


def _texts(codes: Any) -> pa.Array:
    return STATUS_TEXTS.take(arrow_numbers(codes.astype(np.int64)))


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
    plan = Plan.of(tuple(names), clock)
    learnt = _learnt(plan.blocks(tables), moments(tables, [cutoff]), plan)
    return learnt.at(day_number(cutoff))


def _learnt(blocks: SortedRows[Block], cutoffs: Sequence[Moment], plan: Plan) -> Population:
    cutoffs = list(dict.fromkeys(cutoffs))  # two that are the same would count everything twice
    learnt = learn_population(blocks, cutoffs, texts=plan.texts, undated=plan.undated)
    if not plan.has_lifetime:
        return learnt
    fits = [
        Fit(moment, learnt.buyers.get(moment.day, 0), learnt.limit(moment.day))
        for moment in cutoffs
    ]
    return learnt.extended(fit_lifetime(blocks, fits))


@dataclass(frozen=True)
class Plan:
    """The sums and features needed to compute the wanted ones.

    A feature may depend on sums, on its own family and on the required families.
    """

    wanted: tuple[str, ...]
    features: tuple[Feature, ...]
    clock: FeatureClock
    undated: bool = False

    @classmethod
    def of(cls, names: Sequence[str], clock: FeatureClock, *, undated: bool = False) -> Plan:
        """The plan for those features; ModelError if one is unknown."""
        chosen = [known_feature(name) for name in names]
        if clock.is_contractual:
            chosen += [known_feature(name) for name in STATUS_OF_SUBSCRIBERS]
        needs = frozenset({"orders"}).union(*(one.needs for one in chosen))
        families = {"sums", *REQUIRED_FAMILIES, *(one.family for one in chosen)}
        features = [o for o in CATALOGUE.values() if o.needs <= needs and o.family in families]
        return cls(tuple(names), tuple(features), clock, undated)

    @cached_property
    def schema(self) -> pa.Schema:
        """customer_id, cutoff, status and the wanted features."""
        keys = [("customer_id", pa.string()), ("cutoff", pa.int64()), ("status", pa.string())]
        return pa.schema([*keys, *((name, pa.float64()) for name in self.wanted)])

    @cached_property
    def needs(self) -> frozenset[str]:
        """What must be connected."""
        return frozenset().union(*(one.needs for one in self.features))

    @cached_property
    def grains(self) -> tuple[str, ...]:
        """The tables whose rows are reduced."""
        return tuple(grain for grain in GRAINS if self.over(grain))

    @property
    def texts(self) -> list[str]:
        """The texts whose shares are needed."""
        return [text for text, need in SHARED_TEXTS.items() if need in self.needs]

    @property
    def has_lifetime(self) -> bool:
        """Whether BG/NBD and Gamma-Gamma are needed."""
        return any(one.family == "lifetime" for one in self.features)

    @property
    def has_own(self) -> bool:
        """Whether there are features of a user's own."""
        return not all(one.is_shipped for one in self.features)

    def over(self, grain: str) -> list[Feature]:
        """The sums and features of that grain."""
        return [one for one in self.features if one.over == grain]

    def blocks(self, tables: Tables) -> SortedRows[Block]:
        """The rows that these features read."""
        others = [grain for grain in self.grains if grain != "days"]
        listed = ["customers"] if tables.has("customers") else []
        return customer_blocks(tables, ["orders", *others, *listed])

    def check(self, tables: Tables) -> None:
        """ModelError if a table or column is missing; an event may not have happened yet."""
        there = tables.connected() | {one for one in self.needs if one.startswith("events.")}
        lacking = sorted(self.needs - there)
        if lacking:
            rule = "the tables and columns that features are built from must be connected"
            fix = "Connect it in [data], or train again without."
            raise ModelError(rule, got=f"nothing for {lacking}", fix=fix)


def known_feature(name: str) -> Feature:
    """The feature of that name; ModelError if this release has none."""
    if name not in CATALOGUE:
        rule = "features must be among those of this release and of [features] module"
        raise ModelError(rule, got=name, fix="Name the module, or train again.")
    return CATALOGUE[name]
