"""The customer base by segment and cluster, their personas, and the migration between two dates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from churn.analytics.analysis import Analysis
from churn.analytics.cells import Cell, listed
from churn.analytics.clusters import (
    MEASURES,
    NO_CLUSTER,
    Clustering,
    Scaling,
    stable_clusters,
)
from churn.analytics.customer_base import OBJECTED
from churn.analytics.segments import (
    NOT_YET,
    SEGMENTS,
    SegmentBounds,
    learnt_bounds,
    rfm_scores,
    rfm_segments,
)
from churn.analytics.segments_shown import DEFINITIONS, PERSONAS, displays, personas
from churn.arrays import Bools
from churn.data.consent import current_objectors
from churn.data.days import day_number
from churn.data.tables import Tables
from churn.errors import ConfigError, DataError
from churn.features.builder import build_features
from churn.features.clock import FeatureClock

if TYPE_CHECKING:
    import pandas as pd

FEATURES = ("tenure_days", "recency_days", "purchase_days", "net_spend")


@dataclass(frozen=True)
class Segmentation:
    """What is frozen: the bounds of the segments, and the scaling and centroids of the clusters.

    `clusters` is None before clusters were sought, and empty if no groups are stable.
    """

    bounds: SegmentBounds
    scaling: Scaling | None = None
    clusters: Clustering | None = None

    @classmethod
    def learn(
        cls, rows: pd.DataFrame, as_of: date, clock: FeatureClock, *, seed: int, version: int = 1
    ) -> Segmentation:
        """Bounds and clusters of the rows of one date."""
        bounds = learnt_bounds(rows, as_of, clock, version=version)
        return cls(bounds).with_clusters(rows, seed=seed)

    def with_clusters(self, rows: pd.DataFrame, *, seed: int) -> Segmentation:
        """The same with the clusters of the active customers with two purchase days or more."""
        points = rows.loc[clusterable(rows), list(MEASURES)].to_numpy(np.float64)
        if not len(points):
            return Segmentation(self.bounds, None, Clustering(np.empty((0, 3)), (), {}, 1.0))
        scaling = Scaling.learn(points)
        return Segmentation(self.bounds, scaling, stable_clusters(scaling.apply(points), seed=seed))

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        found: dict[str, Any] = {"bounds": self.bounds.to_json(), "clusters": None}
        if self.clusters is not None:
            clusters = asdict(self.clusters) | {"centroids": self.clusters.centroids.tolist()}
            found["clusters"] = clusters
        if self.scaling is not None:
            found["scaling"] = {name: list(v) for name, v in asdict(self.scaling).items()}
        return found

    @classmethod
    def from_json(cls, found: object) -> Segmentation:
        """What `to_json` wrote. Raises DataError for anything else."""
        try:
            assert isinstance(found, Mapping)
            bounds = SegmentBounds.from_json(found["bounds"])
            scaling, clusters = found.get("scaling"), found["clusters"]
            if scaling is not None:
                scaling = Scaling(**{name: np.array(values) for name, values in scaling.items()})
            if clusters is not None:
                centroids = np.array(clusters["centroids"], dtype=np.float64).reshape(-1, 3)
                tried = {int(k): float(least) for k, least in clusters["tried"].items()}
                stability = tuple(map(float, clusters["stability"]))
                clusters = Clustering(centroids, stability, tried, float(clusters["p_value"]))
        except (AssertionError, KeyError, TypeError, ValueError) as failure:
            rule, fix = "segments must be as churn wrote them", "Restore the file, or refit."
            raise DataError(rule, got=type(failure).__name__, fix=fix) from failure
        return cls(bounds, scaling, clusters)

    def applied(self, rows: pd.DataFrame) -> pd.DataFrame:
        """The rows with segment, r_score, f_score, m_score and cluster (a text, from 1)."""
        found = rows.assign(segment=rfm_segments(rows, self.bounds), cluster=NO_CLUSTER)
        found = found.join(rfm_scores(rows, self.bounds))
        if self.clusters is not None and len(self.clusters) and self.scaling is not None:
            inside = clusterable(rows)
            points = rows.loc[inside, list(MEASURES)].to_numpy(np.float64)
            numbers = self.clusters.assign(self.scaling.apply(points)) + 1
            found.loc[inside, "cluster"] = numbers.astype(str).astype(object)
        return found


def clusterable(rows: pd.DataFrame) -> Bools:
    """The customers that clusters are sought among: one-time buyers and the lapsed are apart."""
    return np.asarray((rows["purchase_days"] >= 2) & is_active(rows))


def is_active(rows: pd.DataFrame) -> Bools:
    """Who has bought and has not lapsed."""
    return np.asarray((rows["purchase_days"] > 0) & (rows["status"] != "lapsed"))


def segment_rows(
    tables: Tables, dates: list[date], clock: FeatureClock
) -> tuple[list[pd.DataFrame], dict[str, int]]:
    """One frame per date, by customer_id: status and `FEATURES` of everyone known then; objectors
    to profiling are left out and counted.
    """
    frame = build_features(tables, dates, clock, names=FEATURES, undated=True)
    rows = tables.engine.collect(frame).to_pandas()
    objecting = current_objectors(tables)
    rows = rows[~rows["customer_id"].isin(objecting)]
    by_date = [
        rows[rows["cutoff"] == day_number(one)]
        .drop(columns="cutoff")
        .sort_values("customer_id")
        .set_index("customer_id")
        for one in dates
    ]
    return by_date, {OBJECTED: len(objecting)} if objecting else {}


def segment_base(
    tables: Tables,
    as_of: date,
    since: date,
    clock: FeatureClock,
    *,
    frozen: Segmentation | None = None,
    seed: int = 7,
) -> tuple[Analysis, Segmentation]:
    """The base by segment as of a date, with the migration since an earlier one, and what is to be
    frozen. Bounds and clusters that are not frozen yet are learnt.
    """
    (before, now), left_out = segment_rows(tables, [since, as_of], clock)
    fixed = frozen or Segmentation.learn(now, as_of, clock, seed=seed)
    if fixed.clusters is None:
        fixed = fixed.with_clusters(now, seed=seed)
    now, before = fixed.applied(now), fixed.applied(before)
    table, moved = _segment_table(now), migration(before, now)
    clusters, people = _cluster_table(now, fixed), personas(now)
    found = Analysis(
        "segments",
        as_of,
        {
            "segments": pa.Table.from_pandas(table, preserve_index=False),
            "migration": pa.Table.from_pandas(moved, preserve_index=False),
            "clusters": pa.Table.from_pandas(clusters, preserve_index=False),
            "personas": pa.Table.from_pylist(people, schema=PERSONAS),
        },
        DEFINITIONS,
        main="segments",
        key=("segment",),
        resolved={
            "since": str(since),
            "active_days": clock.lookback_days,
            "bounds": fixed.bounds.to_json(),
            "balance": balance_of(before, now),
        },
        displays=displays(
            table,
            moved,
            clusters,
            people,
            fixed.bounds,
            since=since,
            as_of=as_of,
            currency=tables.settings.currency,
        ),
        notes=_notes(fixed, clock, now),
        left_out={"customers": left_out} if left_out else {},
    )
    return found, fixed


def _segment_table(rows: pd.DataFrame) -> pd.DataFrame:
    """One row per segment, in the order of `SEGMENTS`."""
    import pandas as pd

    total, spend = max(len(rows), 1), rows["net_spend"].sum()
    found = []
    for name in SEGMENTS:
        own = rows[rows["segment"] == name]
        bought = own[own["purchase_days"] > 0]
        found.append(
            {
                "segment": name,
                "customers": len(own),
                "share": 100 * len(own) / total,
                "active": int(is_active(own).sum()),
                **{
                    score: float(bought[score].mean())
                    for score in ("r_score", "f_score", "m_score")
                },
                "recency_days": float(bought["recency_days"].median()),
                "purchase_days": float(bought["purchase_days"].median()),
                "net_spend": float(own["net_spend"].sum()),
                "spend_share": float(100 * own["net_spend"].sum() / spend) if spend else np.nan,
            }
        )
    return pd.DataFrame(found)


def migration(before: pd.DataFrame, now: pd.DataFrame) -> pd.DataFrame:
    """from_segment, to_segment, customers: everyone known at the later date, by segment at both.

    The rows of active segments sum to S, the columns to E; see `balance_of`.
    """
    import pandas as pd

    earlier = before["segment"].reindex(now.index).fillna(NOT_YET)
    counts = pd.crosstab(earlier.to_numpy(), now["segment"].to_numpy())
    counts = counts.reindex(index=[*SEGMENTS, NOT_YET], columns=[*SEGMENTS], fill_value=0)
    rows = [
        {"from_segment": row, "to_segment": column, "customers": int(counts.loc[row, column])}
        for row in counts.index
        for column in counts.columns
    ]
    return pd.DataFrame(rows)


def balance_of(before: pd.DataFrame, now: pd.DataFrame) -> dict[str, int]:
    """The balance between the dates: S = kept + lost, E = kept + new + won back."""
    earlier = before.reindex(now.index)
    start = is_active(earlier) & earlier["status"].notna().to_numpy()
    end = is_active(now)
    known = (earlier["purchase_days"] > 0).to_numpy()
    counts = {
        "start": start,
        "kept": start & end,
        "lost": start & ~end,
        "new": end & ~start & ~known,
        "won_back": end & ~start & known,
        "end": end,
    }
    return {name: int(held.sum()) for name, held in counts.items()}


def _cluster_table(rows: pd.DataFrame, fixed: Segmentation) -> pd.DataFrame:
    """cluster, customers, stability and the medians of the measures."""
    import pandas as pd

    clusters = fixed.clusters
    stability = () if clusters is None else clusters.stability
    found = []
    for number, similarity in enumerate(stability, start=1):
        own = rows[rows["cluster"] == str(number)]
        medians = {name: float(own[name].median()) for name in MEASURES}
        row = {"cluster": str(number), "customers": len(own), "stability": similarity}
        found.append(row | medians)
    columns = ["cluster", "customers", "stability", *MEASURES]
    return pd.DataFrame(found, columns=columns).astype({"cluster": "object"})


def _notes(fixed: Segmentation, clock: FeatureClock, rows: pd.DataFrame) -> tuple[str, ...]:
    notes = []
    learnt_with = fixed.bounds.lookback_days
    if learnt_with is not None and learnt_with != clock.lookback_days:
        notes.append(
            f"customers now lapse after {clock.lookback_days} days, {learnt_with} when the bounds "
            "were learnt: who is lapsed may have changed for that reason alone"
        )
    if fixed.clusters is not None and not len(fixed.clusters):
        notes.append("no stable groups: the customers form no clusters that samples confirm")
    return tuple(notes)


def customers_of(
    tables: Tables,
    as_of: date,
    since: date,
    clock: FeatureClock,
    frozen: Segmentation,
    cell: Cell,
) -> pa.Table:
    """The customers of `customers,segment=…`, `customers,cluster=…` or `migrated,from=…,to=…`."""
    keys = {"customers": ("segment", "cluster"), "migrated": ("from", "to")}
    cell.check(names=tuple(keys), keys=keys.get(cell.name, ()))
    (before, now), _ = segment_rows(tables, [since, as_of], clock)
    now = frozen.applied(now)
    earlier = frozen.applied(before)["segment"].reindex(now.index).fillna(NOT_YET)
    columns = {
        "segment": now["segment"],
        "cluster": now["cluster"],
        "from": earlier,
        "to": now["segment"],
    }
    held = np.ones(len(now), dtype=bool)
    for key, value in cell.keys.items():
        _check_value(key, value)
        held &= (columns[key] == value).to_numpy()
    return listed(cell, pa.table({"customer_id": pa.array(now.index[held], pa.string())}))


def _check_value(key: str, value: str) -> None:
    """ConfigError if there is no such segment."""
    known = [*SEGMENTS, NOT_YET]
    if key != "cluster" and value not in known:
        raise ConfigError(f"{key} must be one of {known}", got=repr(value), fix="Pass one of them.")
