"""Training rows: features at each cutoff, joined to the labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from churn.data.consent import current_objectors
from churn.data.cutoffs import Cutoffs
from churn.data.days import as_date, date_of, day_number
from churn.data.engines.base import Frame
from churn.data.fences import order_fence
from churn.data.labels import outcomes, renewals
from churn.data.tables import Snapshot, Tables
from churn.errors import ConfigError, GateError, check_type
from churn.features.builder import FeatureBatches, sweep_features
from churn.features.catalogue import feature_names
from churn.features.clock import FeatureClock
from churn.modeling.sampling import draw_sample
from churn.modeling.seasons import NAMES as SEASON_NEEDS
from churn.modeling.seasons import YEAR_DAYS, Season, season_of, year_ago

LEAST_PER_CLASS = 30
"""Rows of each class that training takes at least."""
LABELS = ("lapse", "decline", "horizon_orders", "horizon_net_spend", "horizon_fenced_spend")
AMOUNT_LABELS = ("horizon_orders", "horizon_net_spend", "horizon_fenced_spend")
AMOUNTS = {"orders": "horizon_orders", "spend": "horizon_fenced_spend"}
"""The target of each head."""
AMOUNT_DECIMALS = 6  # as amounts are parsed; float sums are not reproducible to the last digit
WEIGHT = "weight"
DECLINE_SHARE = 0.5
BASE_HORIZONS = 3
LABELS_NEED = ("tenure_days", "net_spend_three_horizons")
"""Features that define the decline label, built whether or not a model uses them."""


@dataclass(frozen=True)
class Dataset:
    """One row per customer and cutoff: customer_id, cutoff, status, the features, the labels.

    `horizon_fenced_spend` is net spend for which an order counts at most the fence of the
    log-normal (`churn.data.fences`): what models learn from; `horizon_net_spend` is the observed
    spend. `rows` is sorted by cutoff and customer. `dropped_rows` counts the rows that a split
    dropped because their label window was still open; `customers_left_out` are those outside a
    sample, `objectors_left_out` those who have objected to profiling, at all cutoffs. An optional
    column `weight` holds sample weights.

    `current` has the features, without labels, at the date from which predictions are made:
    `cutoffs.until`, or the first date after a split. `seasons` has, by day number of a cutoff or of
    that date, what happened one year before it.
    """

    rows: pd.DataFrame
    cutoffs: Cutoffs
    clock: FeatureClock
    feature_names: tuple[str, ...]
    dropped_rows: Mapping[str, int] = field(default_factory=dict)
    customers_left_out: int = 0
    objectors_left_out: int = 0
    current: pd.DataFrame | None = None
    seasons: Mapping[int, Season] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def eligible(self) -> pd.DataFrame:
        """The rows that the model is trained and evaluated on."""
        return self.rows[self.rows["status"] == "eligible"]

    def only(self, cutoffs: Cutoffs) -> Dataset:
        """The rows at those cutoffs, without the `current` features."""
        wanted = [day_number(cutoff) for cutoff in cutoffs]
        rows = self.rows[self.rows["cutoff"].isin(wanted)]
        return replace(self, rows=rows, cutoffs=cutoffs, current=None)

    def before(self, at: date) -> Dataset:
        """What was known at that cutoff: the rows whose labels had closed and arrived by then, and
        its features as the `current` ones.
        """
        known = self.rows[self.rows["cutoff"] == day_number(at)].drop(columns=list(LABELS))
        return replace(self.only(self.cutoffs.before(at)), current=known)

    @property
    def newest(self) -> pd.DataFrame:
        """The newest features known: the `current` ones, otherwise those of the newest cutoff."""
        if self.current is not None and len(self.current):
            return self.current
        is_newest = self.rows["cutoff"] == self.rows["cutoff"].max()
        return pd.DataFrame(self.rows[is_newest])

    def season(self, rows: pd.DataFrame) -> Season | None:
        """The season of rows of one cutoff, if it is known."""
        return self.seasons.get(int(rows["cutoff"].iloc[0])) if len(rows) else None

    def split(self, at: date | str) -> tuple[Dataset, Dataset]:
        """Rows whose labels close by `at`, and rows from `at` on; those in between are dropped.

        Raises ConfigError if one side is empty.
        """
        when = as_date(at, name="at")
        earlier, later = self.cutoffs.before(when), self.cutoffs.since(when)
        if not earlier.dates or not later.dates:
            raise ConfigError(
                f"split(at={str(when)!r}) leaves one side empty: cutoffs run "
                f"{self.cutoffs.dates[0]}..{self.cutoffs.dates[-1]} with a "
                f"{self.cutoffs.horizon_days}-day horizon",
                fix="Pick a date inside that range.",
            )
        left = replace(self.only(earlier), current=self.before(later.dates[0]).current)
        right = self.only(later)
        purged = len(self.rows) - len(left.rows) - len(right.rows)
        dropped = {**self.dropped_rows, "label window open at the split": purged}
        return replace(left, dropped_rows=dropped), right


def row_weights(rows: pd.DataFrame) -> np.ndarray | None:
    """The sample weights; None if there are none."""
    return rows[WEIGHT].to_numpy(dtype="float64") if WEIGHT in rows else None


def build_dataset(
    tables: Tables | Snapshot,
    cutoffs: Cutoffs,
    clock: FeatureClock | None = None,
    *,
    names: Sequence[str] | None = None,
    most_rows: int | None = None,
) -> Dataset:
    """Features and labels at every cutoff; `clock` defaults to a lookback of two horizons.

    `names` selects the features (default: all that the connected tables allow). With `most_rows` a
    larger panel is limited to a sample of customers; population aggregates in features still use
    everyone.
    """
    source = _source(tables)
    if not isinstance(cutoffs, Cutoffs):
        rule, fix = "cutoffs must be Cutoffs", "Make them with Cutoffs.every(...)."
        raise ConfigError(rule, got=type(cutoffs).__name__, fix=fix)
    if clock is None:
        horizon = cutoffs.horizon_days
        clock = FeatureClock(horizon_days=horizon, lookback_days=2 * horizon)
    check_type(clock, FeatureClock, name="clock", fix="Pass FeatureClock(horizon_days=28, ...).")
    _check_lead(cutoffs, clock)
    chosen = feature_names(source.connected()) if names is None else tuple(names)
    needed = tuple(dict.fromkeys((*chosen, *LABELS_NEED)))
    sample = None if most_rows is None else draw_sample(source, len(cutoffs), most_rows)
    sampled = None if sample is None else sample.customers
    dates = [*cutoffs, cutoffs.until]
    built = sweep_features(source, dates, clock, names=needed, customers=sampled)
    rows, objecting = _without_objectors(_by_cutoff(built), source)
    labelled = int(rows["cutoff"].searchsorted(day_number(cutoffs.until)))  # the newest come last
    return Dataset(
        _labelled(_with_outcomes(rows[:labelled], source, cutoffs, clock, sampled), clock),
        cutoffs,
        clock,
        chosen,
        customers_left_out=0 if sample is None else sample.left_out,
        objectors_left_out=objecting,
        current=rows[labelled:].reset_index(drop=True),
        seasons=_seasons(source, cutoffs, clock, sampled),
    )


def _by_cutoff(built: FeatureBatches) -> pd.DataFrame:
    """The rows sorted by cutoff and customer. Engines that return the batches in the order of
    customers leave nothing to sort but these.
    """
    some = (batch for batch in built.batches() if batch.num_rows)
    batches = sorted(some, key=lambda batch: batch["cutoff"][0].as_py())
    table = pa.Table.from_batches(batches, schema=built.schema)
    del batches
    in_order = _is_sorted(table["cutoff"], table["customer_id"])
    rows: pd.DataFrame = table.to_pandas(self_destruct=True)
    return rows if in_order else rows.sort_values(["cutoff", "customer_id"], ignore_index=True)


def _is_sorted(first: pa.ChunkedArray, second: pa.ChunkedArray) -> bool:
    """Whether rows are in the order of two columns without nulls."""
    if not len(first):
        return True
    (this, next_one), (also, next_also) = (
        (whole.slice(0, len(whole) - 1), whole.slice(1))
        for whole in (first.combine_chunks(), second.combine_chunks())
    )
    same = pc.and_(pc.equal(this, next_one), pc.less_equal(also, next_also))
    in_order = pc.all(pc.or_(pc.less(this, next_one), same), min_count=0)
    return bool(in_order.as_py())


def _with_outcomes(
    rows: pd.DataFrame,
    tables: Tables,
    cutoffs: Cutoffs,
    clock: FeatureClock,
    customers: Sequence[str] | None,
) -> pd.DataFrame:
    """The rows with what came in the label window of each; NaN if nothing did."""
    rows = rows.reset_index(drop=True)
    keys = rows[["customer_id", "cutoff"]]
    for came_next in _labels(tables, cutoffs, clock, customers):
        table = tables.engine.collect(came_next).to_pandas()
        labels = keys.merge(table, on=list(keys), how="left").drop(columns=list(keys))
        rows = pd.concat([rows, labels], axis=1)
    return rows


def _seasons(
    tables: Tables, cutoffs: Cutoffs, clock: FeatureClock, customers: Sequence[str] | None
) -> dict[int, Season]:
    """What happened one year before each cutoff, and before the end of the panel."""
    first, _ = tables.span()
    dates = year_ago([*cutoffs, cutoffs.until], first, clock)
    if not dates:
        return {}
    earlier = replace(cutoffs, dates=dates)
    built = sweep_features(tables, list(dates), clock, names=SEASON_NEEDS, customers=customers)
    rows = _with_outcomes(built.table().to_pandas(), tables, earlier, clock, customers)
    for name in AMOUNT_LABELS:
        rows[name] = rows[name].astype("float64").fillna(0.0)
    found = {
        int(day) + YEAR_DAYS: season_of(rows[rows["cutoff"] == day])
        for day in rows["cutoff"].unique()
    }
    return {day: season for day, season in found.items() if season is not None}


def _without_objectors(rows: pd.DataFrame, tables: Tables) -> tuple[pd.DataFrame, int]:
    """The rows without customers who object to profiling, and the number of these customers."""
    objectors = current_objectors(tables)
    if not objectors:
        return rows, 0
    objects = rows["customer_id"].isin(objectors)
    left_out = rows.loc[objects, "customer_id"].nunique()
    return rows[~objects].reset_index(drop=True), left_out


def _source(tables: Tables | Snapshot) -> Tables:
    """The tables; ConfigError for anything else."""
    if isinstance(tables, Snapshot):
        return tables.tables
    if not isinstance(tables, Tables):
        rule, fix = "features must be built from Tables", "Load them with load_tables(...)."
        raise ConfigError(rule, got=type(tables).__name__, fix=fix)
    return tables


def _check_lead(cutoffs: Cutoffs, clock: FeatureClock) -> None:
    """Raises ConfigError if the two do not describe the same subscriptions."""
    if clock.is_contractual and clock.lead_days != cutoffs.lead_days:
        raise ConfigError(
            f"the clock of a contractual panel must have the same lead_days, {cutoffs.lead_days}",
            got=clock.lead_days,
            fix=f"Pass FeatureClock(lead_days={cutoffs.lead_days}, ...).",
        )


def _labels(
    tables: Tables, cutoffs: Cutoffs, clock: FeatureClock, customers: Sequence[str] | None
) -> list[Frame]:
    fence = order_fence(tables.engine) or 0.0
    found = [outcomes(tables, cutoffs, fence=fence, customers=customers)]
    return [*found, renewals(tables, cutoffs)] if clock.is_contractual else found


def _labelled(rows: pd.DataFrame, clock: FeatureClock) -> pd.DataFrame:
    for name in (*AMOUNT_LABELS, "renewed", "begun"):
        if name in rows:
            rows[name] = rows[name].astype("float64").fillna(0.0).round(AMOUNT_DECIMALS)
    lapse = _not_renewed(rows) if clock.is_contractual else rows["horizon_orders"] <= 0
    rows = rows.drop(columns=["renewed", "begun"], errors="ignore")
    rows["lapse"] = lapse.astype("float64")
    rows["decline"] = _declined(rows, clock).where(~lapse, 1.0).where(_base(rows) > 0)
    return rows


def _not_renewed(rows: pd.DataFrame) -> pd.Series[bool]:
    """Eligible: the subscription is not renewed.

    Covered: never. Others: none begins in the horizon.
    """
    stays = rows["begun"].where(rows["status"] != "eligible", rows["renewed"])
    return (stays <= 0) & (rows["status"] != "covered")


def _declined(rows: pd.DataFrame, clock: FeatureClock) -> pd.Series[float]:
    """Net spend in the horizon below half of the usual, which is `_base` scaled to H."""
    seen = np.minimum(rows["tenure_days"], BASE_HORIZONS * clock.horizon_days)
    usual: pd.Series[float] = _base(rows) * clock.horizon_days / seen
    return (rows["horizon_net_spend"] < DECLINE_SHARE * usual).astype("float64")


def _base(rows: pd.DataFrame) -> pd.Series[float]:
    return rows["net_spend_three_horizons"]


def cutoff_dates(rows: pd.DataFrame) -> list[date]:
    """The cutoffs that occur in rows, oldest first."""
    return [date_of(int(number)) for number in sorted(rows["cutoff"].unique())]


def reference_rows(dataset: Dataset, *, rows: int = 2_000, seed: int = 0) -> pd.DataFrame:
    """A sample of eligible rows at the newest cutoff, without ids: the reference for drift."""
    newest = dataset.eligible[dataset.eligible["cutoff"] == dataset.eligible["cutoff"].max()]
    sample = newest.sample(min(rows, len(newest)), random_state=seed)
    columns = list(dataset.feature_names)
    return _steady(pd.DataFrame(sample[columns].reset_index(drop=True)))


def canary_rows(dataset: Dataset, *, rows: int = 30, seed: int = 0) -> pd.DataFrame:
    """A few rows of every status, without ids: a loaded model must reproduce their predictions."""
    kept = ["status", *dataset.feature_names]
    parts = [
        part.sample(min(rows, len(part)), random_state=seed)[kept]
        for _, part in dataset.rows.groupby("status")
    ]
    return _steady(pd.concat(parts, ignore_index=True))


def _steady(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows rounded to the precision that trees see, so that each build is identical."""
    floats = rows.select_dtypes("float64").columns
    return rows.astype(dict.fromkeys(floats, "float32")).astype(dict.fromkeys(floats, "float64"))


def has_classes(lapse: pd.Series[float]) -> bool:
    """Whether each class has the 30 rows needed for training."""
    lapsed = int(lapse.sum())
    return min(lapsed, len(lapse) - lapsed) >= LEAST_PER_CLASS


def check_classes(lapse: pd.Series[float]) -> None:
    """Raises GateError if either class has fewer than 30 rows."""
    if not has_classes(lapse):
        lapsed = int(lapse.sum())
        raise GateError(
            f"a model needs {LEAST_PER_CLASS} eligible rows that lapsed and as many that did not",
            got=f"{lapsed:,} lapsed and {len(lapse) - lapsed:,} retained",
            fix="Pass a longer history or another horizon_days.",
        )


def check_amounts(target: pd.Series[float]) -> None:
    """Raises GateError if retained customers ordered nothing: there is no value to learn."""
    if not target.sum() > 0:
        rule = "retained customers must have ordered something in the horizon"
        raise GateError(rule, got=f"{len(target):,} rows with 0", fix="Check the orders' amounts.")
