"""Scores of all known customers, from a model and a snapshot."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any, Literal, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from churn.analytics.segments import MEASURES, SegmentBounds, rfm_segments
from churn.arrays import Bools, Ints
from churn.data.consent import objectors
from churn.data.days import day_number
from churn.data.history.columns import Column, arrow_mask, arrow_numbers, equal_to, numbers
from churn.data.tables import Snapshot
from churn.errors import ConfigError, ModelError, check_type
from churn.features.builder import FeatureBatches
from churn.modeling.capacity import Rank, at_risk_count, ranked_by, top_positions
from churn.modeling.model import ChurnModel
from churn.modeling.portable import OUTPUTS
from churn.scoring.changes import EarlierScores, compare_scores, largest_rises
from churn.scoring.explain import columns_of, model_features, reason_columns
from churn.scoring.language import DEFAULT_LANGUAGE, Language, load_language

Explained: TypeAlias = Literal["all", "at_risk", "none"] | Collection[str]

RISK_BANDS = ("high", "medium", "low")
COMPARED = ("change", "probability_before", "moved")
ROWS_AT_ONCE = 122_880
SCORE_SCHEMA = pa.schema(
    [
        ("customer_id", pa.string()),
        ("run_id", pa.string()),
        ("as_of", pa.date32()),
        ("horizon_days", pa.int32()),
        ("status", pa.string()),
        ("churn_probability", pa.float64()),
        ("probability_source", pa.string()),
        ("decline_probability", pa.float64()),
        ("expected_orders", pa.float64()),
        ("expected_margin", pa.float64()),
        ("value_at_risk", pa.float64()),
        ("currency", pa.string()),
        ("risk_band", pa.string()),
        ("at_risk", pa.bool_()),
        ("segment", pa.string()),
        ("reasons", pa.list_(pa.string())),
        ("reason_families", pa.list_(pa.string())),
        ("change", pa.string()),
        ("since", pa.date32()),
        ("probability_before", pa.float64()),
        ("moved", pa.string()),
        ("model_id", pa.string()),
    ]
)


PREDICTED_SCHEMA = pa.schema(
    [
        *(SCORE_SCHEMA.field(name) for name in ("customer_id", "status", *OUTPUTS)),
        *((name, pa.float64()) for name in ("recency_days", "purchase_days", "net_spend")),
    ]
)
REASON_SCHEMA = pa.schema(
    [SCORE_SCHEMA.field(name) for name in ("customer_id", "reasons", "reason_families")]
)


@dataclass(frozen=True)
class Scores:
    """The scores, the lowest probability (or value at risk) of those at risk, the number of
    customers left out, by reason, and the bounds of the segments.

    `population` is what the features refer to: the averages of all customers. `predicted` holds
    what was predicted (`PREDICTED_SCHEMA`), `facts` what all rows have in common.
    The other columns are made batch by batch: no table of all columns has to fit in memory.
    """

    predicted: pa.Table
    facts: Mapping[str, object]
    threshold: float | None
    dropped: Mapping[str, int]
    at_risk: Bools
    base_rate: float
    bounds: SegmentBounds
    reasons: _Lists
    families: _Lists
    changes: Mapping[str, pa.Array]
    population: Mapping[str, Any]

    def __len__(self) -> int:
        return int(self.predicted.num_rows)

    @property
    def customer_ids(self) -> pa.ChunkedArray:
        """The customers, sorted."""
        return self.predicted["customer_id"]

    @property
    def table(self) -> pa.Table:
        """All rows in memory, `SCORE_SCHEMA`."""
        return self.select(SCORE_SCHEMA.names)

    def select(self, names: Sequence[str]) -> pa.Table:
        """Some columns of all rows."""
        schema = pa.schema([SCORE_SCHEMA.field(name) for name in names])
        return pa.Table.from_batches(self.batches(schema), schema=schema)

    def batches(self, schema: pa.Schema = SCORE_SCHEMA) -> Iterator[pa.RecordBatch]:
        """The rows with the columns of `schema`, in batches."""
        for start in range(0, len(self), ROWS_AT_ONCE):
            rows = slice(start, min(start + ROWS_AT_ONCE, len(self)))
            columns = [self._column(field, rows) for field in schema]
            yield pa.record_batch(columns, schema=schema)

    def _column(self, field: pa.Field, rows: slice) -> pa.Array:
        count = rows.stop - rows.start
        if field.name in self.facts:
            return pa.repeat(pa.scalar(self.facts[field.name], field.type), count)
        if field.name in self.changes:
            return self.changes[field.name].slice(rows.start, count)
        made = getattr(self, f"_{field.name}", None)
        if made is not None:
            return pa.array(made(rows), field.type)
        column = self.predicted[field.name].slice(rows.start, count)
        return column.combine_chunks()

    def _at_risk(self, rows: slice) -> Bools:
        return self.at_risk[rows]

    def _risk_band(self, rows: slice) -> Column:
        probability = self._array("churn_probability", rows)
        at_risk = self.at_risk[rows]
        return np.select([at_risk, probability > self.base_rate], ["high", "medium"], default="low")

    def _segment(self, rows: slice) -> Column:
        names = ("status", "purchase_days", "net_spend")
        return rfm_segments({name: self._array(name, rows) for name in names}, self.bounds)

    def _reasons(self, rows: slice) -> pa.Array:
        return self.reasons.slice(rows)

    def _reason_families(self, rows: slice) -> pa.Array:
        return self.families.slice(rows)

    def _array(self, name: str, rows: slice) -> Column:
        some = self.predicted.select([name]).slice(rows.start, rows.stop - rows.start)
        return columns_of(some)[name]


@dataclass(frozen=True)
class _Lists:
    """A list of texts for each row; `ends` are where the first i rows' texts end in `texts`."""

    ends: Ints
    texts: pa.ChunkedArray

    @classmethod
    def of(cls, rows: Bools, lists: pa.ChunkedArray) -> _Lists:
        """The lists of the rows of a mask; empty for all others."""
        counts = np.zeros(len(rows), dtype=np.int64)
        counts[rows] = pc.list_value_length(lists).to_numpy()
        return cls(np.concatenate([[0], np.cumsum(counts)]), pc.list_flatten(lists))

    def slice(self, rows: slice) -> pa.Array:
        ends = self.ends[rows.start : rows.stop + 1]
        texts = self.texts.slice(ends[0], ends[-1] - ends[0]).combine_chunks()
        return pa.ListArray.from_arrays(pa.array(ends - ends[0], pa.int32()), texts)


def score(
    model: ChurnModel,
    snapshot: Snapshot,
    *,
    capacity: float = 0.1,
    rank: Rank = "probability",
    explain: Explained = "at_risk",
    language: str = DEFAULT_LANGUAGE,
    since: pa.Table | None = None,
    bounds: SegmentBounds | None = None,
) -> pa.Table:
    """One row for every known customer, `SCORE_SCHEMA`; objectors to profiling have none.

    `capacity` is how many eligible customers count as at risk: a share below 1, or a whole
    number. They are ranked by `rank`: `"probability"` of lapsing, or `"value"` at risk.
    `explain` selects the customers with `reasons`: `"at_risk"`, `"all"`, `"none"`, or customer
    ids. `since` are scores of an earlier date to compare with, for the column `change`. `bounds`
    are those of the segments; by default they are learnt from the eligible customers scored here.
    """
    if since is not None:
        check_type(since, pa.Table, name="since", fix="Pass an earlier result of churn.score.")
    return score_snapshot(
        model,
        snapshot,
        capacity=capacity,
        rank=rank,
        explain=explain,
        language=language,
        earlier=None if since is None else EarlierScores.of(since),
        bounds=bounds,
    ).table


def score_snapshot(  # noqa: PLR0913 - the arguments of `score`, and those of the command
    model: ChurnModel,
    snapshot: Snapshot,
    *,
    capacity: float = 0.1,
    rank: Rank = "probability",
    explain: Explained = "at_risk",
    language: str = DEFAULT_LANGUAGE,
    earlier: EarlierScores | None = None,
    run_id: str = "",
    bounds: SegmentBounds | None = None,
) -> Scores:
    """Like `score`, with the threshold and the number of customers left out.

    Every engine streams features, predictions and reasons in batches of customers; what was
    predicted is held in memory for all. Raises ModelError if a feature of the model cannot be built
    here or a probability is undefined, and ConfigError if `earlier` is not of an earlier date.
    """
    check_can_score(model, snapshot)
    tables = snapshot.tables
    if earlier is not None and earlier.as_of >= snapshot.as_of:
        rule = f"scores to compare with must be of a date before {snapshot.as_of}"
        raise ConfigError(rule, got=earlier.as_of, fix="Pass earlier scores, or none.")
    tables.within(snapshot.as_of)
    lang = load_language(language)
    features = model_features(model, snapshot)
    objecting = objectors(snapshot)
    predicted = features.swept(partial(predicted_batches, model, objecting), PREDICTED_SCHEMA)
    _check_probabilities(predicted)
    eligible = equal_to(predicted["status"], "eligible")
    at_risk, threshold = at_risk_rows(predicted, eligible, capacity, ranked_by(rank))
    explained = _selected(predicted["customer_id"], at_risk, explain)
    explaining = partial(reason_batches, model, tables.settings.currency, language)
    chosen = features.only(predicted["customer_id"].filter(arrow_mask(explained)))
    texts = chosen.swept(explaining, REASON_SCHEMA)
    return Scores(
        predicted,
        _facts(model, snapshot, run_id) | {"since": earlier and earlier.as_of},
        threshold,
        {"objected to profiling": len(objecting)} if objecting else {},
        at_risk,
        model.base_rate_,
        bounds or _bounds(predicted, eligible, snapshot.as_of, model.clock_.lookback_days),
        _Lists.of(explained, texts["reasons"]),
        _Lists.of(explained, texts["reason_families"]),
        _changes(model, snapshot, features, predicted, at_risk, earlier, lang),
        features.learnt.at(day_number(snapshot.as_of)),
    )


def predicted_batches(
    model: ChurnModel, objecting: Collection[str], batches: Iterable[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    """The predictions for batches of features without those who object: `PREDICTED_SCHEMA`."""
    refused = pa.array(sorted(objecting), pa.string())
    for batch in batches:
        kept = batch.filter(pc.invert(pc.is_in(batch["customer_id"], value_set=refused)))
        columns = columns_of(kept)
        columns |= model.predict_columns(columns)
        arrays = [
            arrow_numbers(columns[field.name])
            if pa.types.is_floating(field.type)
            else pa.array(columns[field.name], field.type)
            for field in PREDICTED_SCHEMA
        ]
        yield pa.record_batch(arrays, schema=PREDICTED_SCHEMA)


def reason_batches(
    model: ChurnModel, currency: str, language: str, batches: Iterable[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    """The reasons for batches of features: `REASON_SCHEMA`."""
    lang = load_language(language)
    for batch in batches:
        found = reason_columns(model, columns_of(batch), currency, lang)
        yield pa.record_batch([batch["customer_id"], *found.arrow(lang)], schema=REASON_SCHEMA)


def _changes(
    model: ChurnModel,
    snapshot: Snapshot,
    features: FeatureBatches,
    predicted: pa.Table,
    at_risk: Bools,
    earlier: EarlierScores | None,
    lang: Language,
) -> dict[str, pa.Array]:
    """The columns `change`, `probability_before` and `moved`; empty without earlier scores."""
    rows = predicted.num_rows
    if earlier is None:
        return {name: pa.nulls(rows, SCORE_SCHEMA.field(name).type) for name in COMPARED}
    ids = predicted["customer_id"]
    columns = columns_of(predicted.select(["status", "recency_days"]))
    change, probability = compare_scores(
        {**columns, "customer_id": ids, "at_risk": at_risk},
        earlier,
        as_of=snapshot.as_of,
        horizon_days=model.clock_.horizon_days,
    )
    newly = features.only(ids.filter(arrow_mask(change == "newly_at_risk")))
    moved, texts = largest_rises(model, snapshot, earlier, columns_of(newly.table()), lang)
    place = pc.index_in(ids, value_set=pa.array(moved, pa.string()))
    return {
        "change": pa.array(change, pa.string()),
        "probability_before": arrow_numbers(probability),
        "moved": pa.array(texts, pa.string()).take(place.combine_chunks()),
    }


def _selected(ids: pa.ChunkedArray, at_risk: Bools, explain: Explained) -> Bools:
    """The scored rows whose reasons are requested."""
    if isinstance(explain, Collection) and not isinstance(explain, str):
        listed = pa.array([name for name in explain if isinstance(name, str)], pa.string())
        return np.asarray(pc.is_in(ids, value_set=listed).to_numpy())
    if explain == "at_risk":
        return at_risk
    if explain not in ("all", "none"):
        rule = "explain must be 'all', 'at_risk', 'none' or a list of customers"
        raise ConfigError(rule, got=repr(explain), fix='Pass e.g. explain="at_risk".')
    return np.full(len(ids), explain == "all")


def check_can_score(model: object, snapshot: object) -> None:
    """Raises ConfigError unless the arguments are a ChurnModel and a Snapshot."""
    for value, expected in ((model, ChurnModel), (snapshot, Snapshot)):
        if not isinstance(value, expected):
            raise ConfigError(
                "a ChurnModel scores a Snapshot",
                got=type(value).__name__,
                fix="Pass score(model, tables.as_of(date)).",
            )


def _check_probabilities(predicted: pa.Table) -> None:
    """Raises ModelError if a probability is missing or outside [0, 1]."""
    probability = numbers(predicted["churn_probability"])
    broken = int((~((probability >= 0) & (probability <= 1))).sum())
    if broken:
        rule = "every customer's churn_probability must be a number in [0, 1]"
        raise ModelError(rule, got=f"{broken:,} that are not", fix="Train again.")


def at_risk_rows(
    rows: pa.Table, eligible: Bools, capacity: float, by: str
) -> tuple[Bools, float | None]:
    """Whether each row is in the top `capacity` of the eligible by that column, ties broken by
    hash, and the lowest value among them, None if there are none.
    """
    places = np.flatnonzero(eligible)
    count = at_risk_count(capacity, len(places))
    at_risk = np.zeros(len(eligible), dtype=bool)
    if not count:
        return at_risk, None
    values = numbers(rows[by])[places]
    top = top_positions(rows["customer_id"].filter(arrow_mask(eligible)), values, count)
    at_risk[places[top]] = True
    return at_risk, float(values[top].min())


def _bounds(predicted: pa.Table, eligible: Bools, as_of: date, lookback_days: int) -> SegmentBounds:
    """The bounds of the segments among the eligible."""
    measures = {name: numbers(predicted[name])[eligible] for name in MEASURES}
    return SegmentBounds.learn(measures, learnt_as_of=as_of, lookback_days=lookback_days)


def _facts(model: ChurnModel, snapshot: Snapshot, run_id: str) -> dict[str, object]:
    manifest: Mapping[str, Any] = getattr(model, "manifest_", {})
    as_of: date = snapshot.as_of
    return {
        "run_id": run_id,
        "as_of": as_of,
        "horizon_days": model.clock_.horizon_days,
        "currency": snapshot.tables.settings.currency,
        "model_id": manifest.get("model_id", "in-memory"),
    }
