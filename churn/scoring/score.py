"""Scores of all known customers, from a model and a snapshot."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa

from churn.analytics.segments import SegmentBounds, rfm_segments
from churn.data.consent import objectors
from churn.data.tables import Snapshot
from churn.errors import ConfigError, ModelError, check_type
from churn.features.builder import FeatureBatches
from churn.modeling.capacity import Rank, at_risk_count, ranked_by, top_positions
from churn.modeling.model import ChurnModel
from churn.scoring.changes import EarlierScores, compare_scores, largest_rises
from churn.scoring.explain import model_features, reasons
from churn.scoring.language import DEFAULT_LANGUAGE, Language, load_language

Explained: TypeAlias = Literal["all", "at_risk", "none"] | Collection[str]

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
    """The scores, the lowest probability (or value at risk) of those at risk, and the number of
    customers left out, by reason.
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
    """One row for every known customer, `SCORE_SCHEMA`; objectors to profiling have none.

    `capacity` is how many eligible customers count as at risk: a share below 1, or a whole
    number. They are ranked by `rank`: `"probability"` of lapsing, or `"value"` at risk.
    `explain` selects the customers with `reasons`: `"at_risk"`, `"all"`, `"none"`, or customer
    ids. `since` are scores of an earlier date to compare with, for the column `change`.
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
    ).table


def score_snapshot(
    model: ChurnModel,
    snapshot: Snapshot,
    *,
    capacity: float = 0.1,
    rank: Rank = "probability",
    explain: Explained = "at_risk",
    language: str = DEFAULT_LANGUAGE,
    earlier: EarlierScores | None = None,
    run_id: str = "",
) -> Scores:
    """Like `score`, with the threshold and the number of customers left out.

    Features are streamed in batches; only the result is held in memory for all customers. Raises
    ModelError if a feature of the model cannot be built here or a probability is undefined, and
    ConfigError if `earlier` is not of an earlier date.
    """
    check_can_score(model, snapshot)
    tables = snapshot.tables
    if earlier is not None and earlier.as_of >= snapshot.as_of:
        rule = f"scores to compare with must be of a date before {snapshot.as_of}"
        raise ConfigError(rule, got=earlier.as_of, fix="Pass earlier scores, or none.")
    tables.within(snapshot.as_of)
    objecting = objectors(snapshot)
    features = model_features(model, snapshot)
    parts = [_predicted(model, batch.to_pandas(), objecting) for batch in features.batches()]
    rows = pd.concat(parts, ignore_index=True) if parts else _no_rows()
    rows = rows.sort_values("customer_id", ignore_index=True)
    _check_probabilities(rows)
    flagged, threshold = _flag(rows, capacity, ranked_by(rank))
    rows["at_risk"] = flagged
    rows["risk_band"] = np.select(
        [flagged, rows["churn_probability"] > model.base_rate_], ["high", "medium"], default="low"
    )
    rows["segment"] = rfm_segments(rows, _bounds(rows))
    explainer = _Explainer(model, snapshot, load_language(language), features)
    rows = rows.assign(**explainer.reasons(rows, explain), **explainer.changes(rows, earlier))
    facts = _facts(model, snapshot, run_id) | {"since": earlier and earlier.as_of}
    dropped = {"objected to profiling": len(objecting)} if objecting else {}
    return Scores(_to_arrow(rows, facts), threshold, dropped)


@dataclass(frozen=True)
class _Explainer:
    """The columns of the scores that are texts, from the features that were scored."""

    model: ChurnModel
    snapshot: Snapshot
    lang: Language
    features: FeatureBatches

    def reasons(self, rows: pd.DataFrame, explain: Explained) -> dict[str, Any]:
        """The columns `reasons`, labelled sentences, and `reason_families`, those that raise the
        risk, for the selected customers; empty lists for all others.
        """
        texts: dict[str, list[str]] = {}
        families: dict[str, list[str]] = {}
        currency = self.snapshot.tables.settings.currency
        for features in self._features(_selected(rows, explain)):
            listed = reasons(self.model, features, currency=currency, language=self.lang.code)
            for name, own in zip(features["customer_id"], listed, strict=True):
                texts[name] = [reason.labelled(self.lang) for reason in own]
                families[name] = [reason.family for reason in own if reason.direction == "raises"]
        return {
            column: pd.Series(
                [lists.get(name, []) for name in rows["customer_id"]],
                index=rows.index,
                dtype=object,
            )
            for column, lists in (("reasons", texts), ("reason_families", families))
        }

    def changes(self, rows: pd.DataFrame, earlier: EarlierScores | None) -> dict[str, Any]:
        """The columns `change`, `probability_before` and `moved`; empty without earlier scores."""
        if earlier is None:
            return {"change": None, "probability_before": float("nan"), "moved": None}
        horizon_days = self.model.clock_.horizon_days
        compared = compare_scores(
            rows, earlier, as_of=self.snapshot.as_of, horizon_days=horizon_days
        )
        newly = set(rows.loc[compared["change"] == "newly_at_risk", "customer_id"])
        batches = [*self._features(newly)]
        rises = {}
        if batches:
            features = pd.concat(batches, ignore_index=True)
            rises = largest_rises(self.model, self.snapshot, earlier, features, self.lang)
        return {**compared, "moved": rows["customer_id"].map(rises.get)}

    def _features(self, customers: set[str]) -> Iterator[pd.DataFrame]:
        for batch in self.features.only(customers).batches():
            yield batch.to_pandas()


def _selected(rows: pd.DataFrame, explain: Explained) -> set[str]:
    """The customers of the scored rows whose reasons are requested."""
    if isinstance(explain, Collection) and not isinstance(explain, str):
        return set(explain) & set(rows["customer_id"])
    if explain == "at_risk":
        return set(rows.loc[rows["at_risk"], "customer_id"])
    if explain not in ("all", "none"):
        rule = "explain must be 'all', 'at_risk', 'none' or a list of customers"
        raise ConfigError(rule, got=repr(explain), fix='Pass e.g. explain="at_risk".')
    return set(rows["customer_id"]) if explain == "all" else set()


def check_can_score(model: object, snapshot: object) -> None:
    """Raises ConfigError unless the arguments are a ChurnModel and a Snapshot."""
    for value, expected in ((model, ChurnModel), (snapshot, Snapshot)):
        if not isinstance(value, expected):
            raise ConfigError(
                "a ChurnModel scores a Snapshot",
                got=type(value).__name__,
                fix="Pass score(model, tables.as_of(date)).",
            )


def _predicted(model: ChurnModel, batch: pd.DataFrame, objecting: set[str]) -> pd.DataFrame:
    """The predictions of a batch, with status and the features that segments are made from."""
    batch = batch[~batch["customer_id"].isin(objecting)].reset_index(drop=True)
    features = batch[["customer_id", "cutoff", "status", *model.feature_names_]]
    kept = batch[["customer_id", "status", "purchase_days", "net_spend", "recency_days"]]
    return pd.concat([kept, model.predict_frame(features)], axis=1)


def _no_rows() -> pd.DataFrame:
    names = ["customer_id", "status", "probability_source"]
    numbers = ["purchase_days", "net_spend", "recency_days"]
    numbers += ["churn_probability", "decline_probability"]
    numbers += ["expected_orders", "expected_margin", "value_at_risk"]
    kinds = dict.fromkeys(names, "object") | dict.fromkeys(numbers, "float64")
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in kinds.items()})


def _check_probabilities(rows: pd.DataFrame) -> None:
    """Raises ModelError if a probability is missing or outside [0, 1]."""
    broken = int((~rows["churn_probability"].between(0, 1)).sum())
    if broken:
        rule = "every customer's churn_probability must be a number in [0, 1]"
        raise ModelError(rule, got=f"{broken:,} that are not", fix="Train again.")


def _flag(rows: pd.DataFrame, capacity: float, by: str) -> tuple[np.ndarray, float | None]:
    """Whether each row is in the top `capacity` of the eligible by that column, ties broken by
    hash, and the lowest value among them, None if there are none.
    """
    eligible = np.flatnonzero(rows["status"] == "eligible")
    count = at_risk_count(capacity, len(eligible))
    values = rows[by].to_numpy()[eligible]
    names = rows["customer_id"].to_numpy()[eligible]
    top = eligible[top_positions(names, values, count)] if count else eligible[:0]
    flagged = np.zeros(len(rows), dtype=bool)
    flagged[top] = True
    return flagged, float(rows[by].to_numpy()[top].min()) if count else None


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
