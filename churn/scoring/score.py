"""A model and a snapshot in, one score for every known customer out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from churn.analytics.segments import SegmentBounds, rfm_segments
from churn.data.consent import objectors
from churn.data.tables import Snapshot
from churn.errors import ConfigError, ModelError, check_type
from churn.features.builder import build_features
from churn.modeling.capacity import Rank, at_risk_count, ranked_by, top_positions
from churn.modeling.model import ChurnModel
from churn.scoring.changes import Earlier
from churn.scoring.explanations import Explained, Telling
from churn.scoring.language import DEFAULT_LANGUAGE
from churn.scoring.language import language as speech_of

RISK_BANDS = ("high", "medium", "low")
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


@dataclass(frozen=True)
class Scores:
    """The scores, the probability (or value at risk) from which a customer counts as at risk, and
    who was left out.
    """

    table: pa.Table
    threshold: float | None
    dropped: Mapping[str, int]


def score(
    model: ChurnModel,
    snapshot: Snapshot,
    *,
    capacity: float = 0.1,
    rank: Rank = "probability",
    explain: Explained = "at_risk",
    language: str = DEFAULT_LANGUAGE,
    since: pa.Table | None = None,
) -> pa.Table:
    """The scores of every known customer, `SCORE_SCHEMA`; objectors to profiling have no row.

    `capacity` is how many of the eligible count as at risk: a share below 1, or a whole number;
    `rank` says by what they are ranked: `"probability"` of lapsing, or `"value"` at risk.
    `explain` says whose `reasons` are given: `"at_risk"`, `"all"`, `"none"`, or customer ids.
    `since` are scores of an earlier date, with which `change` compares.
    """
    if since is not None:
        check_type(since, pa.Table, name="since", fix="Pass what churn.score gave then.")
    return score_snapshot(
        model,
        snapshot,
        capacity=capacity,
        rank=rank,
        explain=explain,
        language=language,
        earlier=None if since is None else Earlier.of(since),
    ).table


def score_snapshot(
    model: ChurnModel,
    snapshot: Snapshot,
    *,
    capacity: float = 0.1,
    rank: Rank = "probability",
    explain: Explained = "at_risk",
    language: str = DEFAULT_LANGUAGE,
    earlier: Earlier | None = None,
    run_id: str = "",
) -> Scores:
    """The same with its threshold and what was dropped.

    Features are streamed in batches; only what is written is held for the whole base. Raises
    ModelError where the model wants features that cannot be built here, or where it gives no
    probability, and ConfigError where `earlier` is not of an earlier date.
    """
    check_can_score(model, snapshot)
    tables = snapshot.tables
    if earlier is not None and earlier.as_of >= snapshot.as_of:
        rule = f"scores to compare with must be of a date before {snapshot.as_of}"
        raise ConfigError(rule, got=earlier.as_of, fix="Pass earlier ones, or none.")
    tables.within(snapshot.as_of)
    objecting = objectors(snapshot)
    features = build_features(
        tables, [snapshot.as_of], model.clock_, names=model.feature_names_, undated=True
    )
    tables.engine.store(features, "scored_features")
    stored = tables.engine.lazy("scored_features")
    parts = [
        _predicted(model, batch.to_pandas(), objecting) for batch in tables.engine.batches(stored)
    ]
    rows = pd.concat(parts, ignore_index=True) if parts else _no_rows()
    rows = rows.sort_values("customer_id", ignore_index=True)
    _check_probabilities(rows)
    flagged, threshold = _flag(rows, capacity, ranked_by(rank))
    rows["at_risk"] = flagged
    rows["risk_band"] = np.select(
        [flagged, rows["churn_probability"] > model.base_rate_], ["high", "medium"], default="low"
    )
    rows["segment"] = rfm_segments(rows, _bounds(rows))
    told = Telling(model, snapshot, speech_of(language), stored)
    rows = rows.assign(**told.reasons(rows, explain), **told.changes(rows, earlier))
    facts = _facts(model, snapshot, run_id) | {"since": earlier and earlier.as_of}
    dropped = {"objected to profiling": len(objecting)} if objecting else {}
    return Scores(_to_arrow(rows, facts), threshold, dropped)


def check_can_score(model: object, snapshot: object) -> None:
    """Nothing, or ConfigError where it is not a model, or not tables at a date."""
    for value, wanted in ((model, ChurnModel), (snapshot, Snapshot)):
        if not isinstance(value, wanted):
            raise ConfigError(
                "a ChurnModel scores a Snapshot",
                got=type(value).__name__,
                fix="Pass score(model, tables.as_of(date)).",
            )


def _predicted(model: ChurnModel, batch: pd.DataFrame, objecting: set[str]) -> pd.DataFrame:
    """What is kept of a batch: who, status, the scores, and what segments look at."""
    batch = batch[~batch["customer_id"].isin(objecting)].reset_index(drop=True)
    wanted = batch[["customer_id", "cutoff", "status", *model.feature_names_]]
    kept = batch[["customer_id", "status", "purchase_days", "net_spend", "recency_days"]]
    return pd.concat([kept, model.predict_frame(wanted)], axis=1)


def _no_rows() -> pd.DataFrame:
    names = ["customer_id", "status", "probability_source"]
    numbers = ["purchase_days", "net_spend", "recency_days"]
    numbers += ["churn_probability", "decline_probability"]
    numbers += ["expected_orders", "expected_margin", "value_at_risk"]
    kinds = dict.fromkeys(names, "object") | dict.fromkeys(numbers, "float64")
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in kinds.items()})


def _check_probabilities(rows: pd.DataFrame) -> None:
    """Nothing, or ModelError where a customer's probability is none."""
    broken = int((~rows["churn_probability"].between(0, 1)).sum())
    if broken:
        rule = "every customer's churn_probability must be a number in [0, 1]"
        raise ModelError(rule, got=f"{broken:,} that are not", fix="Train again.")


def _flag(rows: pd.DataFrame, capacity: float, by: str) -> tuple[np.ndarray, float | None]:
    """Exactly the top `capacity` of the eligible, ties by hash, and the lowest of that column
    among them.
    """
    eligible = np.flatnonzero(rows["status"] == "eligible")
    count = at_risk_count(capacity, len(eligible))
    height = rows[by].to_numpy()[eligible]
    names = rows["customer_id"].to_numpy()[eligible]
    top = eligible[top_positions(names, height, count)] if count else eligible[:0]
    flagged = np.zeros(len(rows), dtype=bool)
    flagged[top] = True
    lowest = rows[by].to_numpy()[top]
    return flagged, float(lowest.min()) if count else None


def _bounds(rows: pd.DataFrame) -> SegmentBounds:
    eligible = rows[rows["status"] == "eligible"]
    return SegmentBounds.learn(
        eligible["purchase_days"].to_numpy(), eligible["net_spend"].to_numpy()
    )


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


def _to_arrow(rows: pd.DataFrame, facts: Mapping[str, object]) -> pa.Table:
    columns = [
        pa.array([facts[field.name]] * len(rows), type=field.type)
        if field.name in facts
        else pa.array(rows[field.name], type=field.type, from_pandas=True)
        for field in SCORE_SCHEMA
    ]
    return pa.Table.from_arrays(columns, schema=SCORE_SCHEMA)
