"""Predictions of learnt effects for every scored customer, as of the date of a plan."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from churn.data.tables import Snapshot
from churn.features.builder import build_features
from churn.features.clock import FeatureClock
from churn.offers.catalogue import Offers
from churn.offers.effects import Effects
from churn.uplift.learnt import LearntEffects


def measured_effects(
    learnt: LearntEffects, scores: pa.Table, snapshot: Snapshot, offers: Offers, clock: FeatureClock
) -> Effects | None:
    """Effects of the offers on the scored customers, in the order of `scores`; None if no offer has
    a measured effect.

    Features are built only if an effect differs by customer, and streamed.
    """
    found = [learnt.measured(offer.offer_id) for offer in offers]
    if all(one is None for one in found):
        return None
    probability = scores["churn_probability"].to_numpy(zero_copy_only=False)
    base_rate = _mean_of_eligible(scores)
    if not any(one is not None and one.text for one in found):
        return learnt.of(pd.DataFrame(), probability, offers.offers, base_rate=base_rate)
    shape = (scores.num_rows, len(offers))
    whole = {name: np.full(shape, np.nan) for name in ("mean", "low", "high")}
    source: tuple[str, ...] = ()
    for place, rows in _placed(learnt, scores, snapshot, clock):
        part = learnt.of(rows, probability[place], offers.offers, base_rate=base_rate)
        for name, matrix in whole.items():
            matrix[place] = getattr(part, name)
        source = part.source
    return Effects(**whole, source=source) if source else None


def _placed(
    learnt: LearntEffects, scores: pa.Table, snapshot: Snapshot, clock: FeatureClock
) -> Iterator[tuple[np.ndarray, pd.DataFrame]]:
    """The features of scored customers in batches, each with the rows' positions in the scores."""
    engine = snapshot.tables.engine
    built = build_features(
        snapshot.tables, [snapshot.as_of], clock, names=learnt.feature_names, undated=True
    )
    engine.store(built, "planned_features")
    ids = scores["customer_id"].combine_chunks()
    for batch in engine.batches(engine.lazy("planned_features")):
        rows = batch.to_pandas()
        place = pc.index_in(pa.array(rows["customer_id"], ids.type), value_set=ids)
        known = np.asarray(place.is_valid())
        yield place.drop_null().to_numpy(), rows[known].reset_index(drop=True)


def _mean_of_eligible(scores: pa.Table) -> float:
    """The mean churn probability of eligible customers; of everyone if nobody is eligible."""
    eligible = scores.filter(pc.equal(scores["status"], "eligible"))
    chosen = eligible if eligible.num_rows else scores
    mean = pc.mean(chosen["churn_probability"]).as_py()
    return float("nan") if mean is None else float(mean)
