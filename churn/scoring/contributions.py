"""Feature rows of some customers, batch by batch, and the contribution of each to the score."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from churn.data.engines.base import Engine, Frame
from churn.data.tables import Snapshot
from churn.features.builder import build_features
from churn.features.catalogue import CATALOGUE
from churn.modeling.model import ChurnModel

CONTROLLED = "controlled by the shop"  # never told: what the shop decides is no news and no advice


@dataclass(frozen=True)
class Contributions:
    """TreeSHAP in log-odds: `by_feature` has the shape (rows, features), `by_family` (rows,
    families). What the shop controls is one family of its own.
    """

    features: list[str]
    families: list[str]
    by_feature: np.ndarray
    by_family: np.ndarray

    def weights(self, row: int, *, raises: bool) -> Mapping[str, float]:
        """Each feature's log-odds in the direction that is told."""
        signed = self.by_feature[row] if raises else -self.by_feature[row]
        return dict(zip(self.features, signed.tolist(), strict=True))


def contributions(model: ChurnModel, rows: pd.DataFrame) -> Contributions:
    """What the trees of the lapse head make of every row of features."""
    portable = model.portable()
    shap = portable.boosters["lapse"].predict(
        portable.matrix(rows), pred_contrib=True, num_threads=portable.threads
    )
    by_feature = np.asarray(shap)[:, :-1]  # the last column is the same for everyone
    family_of = [_told_as(name) for name in model.feature_names_]
    families = list(dict.fromkeys(family_of))
    by_family = np.zeros((len(rows), len(families)))
    for column, family in enumerate(family_of):  # one by one: other sums round by the rows' number
        by_family[:, families.index(family)] += by_feature[:, column]
    return Contributions(list(model.feature_names_), families, by_feature, by_family)


def family_contributions(model: ChurnModel, rows: pd.DataFrame) -> tuple[list[str], np.ndarray]:
    """The families and what each adds to the log-odds of lapsing, shape (rows, families)."""
    found = contributions(model, rows)
    return found.families, found.by_family


def _told_as(feature: str) -> str:
    """The family of a feature; gaps and recency are told in one sentence."""
    one = CATALOGUE[feature]
    if one.controlled:
        return CONTROLLED
    return "recency" if one.family == "gaps" else one.family


def feature_rows(
    model: ChurnModel, snapshot: Snapshot, customers: Collection[str]
) -> Iterator[pd.DataFrame]:
    """The model's features of those customers at the snapshot's date; who is not known then has
    no row.
    """
    tables = snapshot.tables
    tables.within(snapshot.as_of)
    built = build_features(
        tables, [snapshot.as_of], model.clock_, names=model.feature_names_, undated=True
    )
    yield from only(tables.engine, built, customers)


def only(engine: Engine, frame: Frame, customers: Collection[str]) -> Iterator[pd.DataFrame]:
    """The rows of those customers, chosen by the engine."""
    import pyarrow as pa

    if customers:
        named = pa.table({"customer_id": pa.array(sorted(customers), pa.string())})
        listed = engine.lazy(engine.accept(named))
        chosen = frame.join(listed, on="customer_id", how="semi")
        yield from (batch.to_pandas() for batch in engine.batches(chosen))
