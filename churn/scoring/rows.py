"""Rows of features for some customers, batch by batch, as the model wants them."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import pandas as pd

from churn.data.engines.base import Engine, Frame
from churn.data.tables import Snapshot
from churn.features.builder import build_features
from churn.modeling.model import ChurnModel

__all__ = ["feature_rows", "only"]


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
