"""Out-of-sample rows with each predictor's probabilities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from churn.arrays import Floats
from churn.features.clock import FeatureClock
from churn.modeling.baselines import BASELINES
from churn.modeling.dataset import BASE_HORIZONS, Dataset
from churn.modeling.evaluate import Evaluation, predictions_of
from churn.modeling.model import ChurnModel


@dataclass(frozen=True)
class TestPredictions:
    """Eligible rows of a test, P(lapse) by predictor ("model" and each baseline), and the model's
    other outputs: P(decline), value at risk.

    `rows` has the features and the outcomes; `best_baseline` is the one with the lowest log loss.
    `stand_in` names the baseline that is active as "model", if any.
    """

    rows: pd.DataFrame
    clock: FeatureClock
    lapse: Mapping[str, Floats]
    decline: Floats
    value_at_risk: Floats
    best_baseline: str
    stand_in: str | None = None
    __test__ = False  # for pytest: its name begins like that of a test class

    @classmethod
    def of(cls, model: ChurnModel, test: Dataset, evaluation: Evaluation) -> TestPredictions:
        """The test that `evaluation` summarises."""
        rows = test.eligible.reset_index(drop=True)
        lapse, said = predictions_of(model, rows)
        decline, at_risk = (
            said[name].to_numpy(dtype=np.float64)
            for name in ("decline_probability", "value_at_risk")
        )
        return cls(
            rows, test.clock, lapse, decline, at_risk, evaluation.best_baseline, model.stand_in
        )

    @property
    def shown(self) -> tuple[str, ...]:
        """The predictors shown in charts: the model, the best baseline, recency; an active baseline
        is shown once.
        """
        named = dict.fromkeys(("model", self.best_baseline, BASELINES[0]))
        return tuple(name for name in named if name != self.stand_in and name in self.lapse)

    @cached_property
    def outcome(self) -> Floats:
        """1 where the customer lapsed."""
        return np.asarray(self.rows["lapse"], dtype=np.float64)

    @cached_property
    def customer(self) -> NDArray[np.object_]:
        """The customer of each row."""
        return np.asarray(self.rows["customer_id"], dtype=object)

    @cached_property
    def usual_spend(self) -> Floats:
        """Net spend per horizon, averaged over the last three; never below 0."""
        tenure, spent = (
            self.rows[name].to_numpy(dtype=np.float64)
            for name in ("tenure_days", "net_spend_three_horizons")
        )
        seen_days = np.minimum(tenure, BASE_HORIZONS * self.clock.horizon_days)
        usual = np.maximum(spent, 0.0) * self.clock.horizon_days / seen_days
        return np.asarray(np.nan_to_num(usual))
