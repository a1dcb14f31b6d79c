"""The complete evaluation of a model, in one object."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, fields
from math import isfinite
from typing import Any

import numpy as np
import pandas as pd

from churn.modeling.capacity import Rank
from churn.modeling.dataset import Dataset
from churn.modeling.evaluate import Evaluation
from churn.modeling.judgement.backtest import EVERY_CUTOFF, Listed, backtest
from churn.modeling.judgement.horizons import HorizonTrial
from churn.modeling.judgement.importance import Ablated, FamilyImportance, family_importance
from churn.modeling.judgement.plain import as_plain
from churn.modeling.judgement.pooled import Pooled, pool_forecasts
from churn.modeling.judgement.predictions import TestPredictions
from churn.modeling.judgement.profit import CampaignRules, Gain, Profit, gain_curve, profit_curve
from churn.modeling.judgement.rates import Rate, rates_over_time
from churn.modeling.judgement.reliability import Reliability, reliability
from churn.modeling.model import ChurnModel
from churn.modeling.slices import slices_of

SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """The evaluation of one model on cutoffs that it has not seen.

    `calibration`: eligible test rows, then each slice of them. `decline_calibration`: the decline
    head on eligible rows. `pooled`: forward forecasts of earlier cutoffs by the same recipe,
    together with the test. `stand_in` names the baseline that is active as "model" in every figure,
    if any. `ablation` and `horizons` are empty unless requested.
    """

    evaluation: Evaluation
    capacity: float
    gains: tuple[Gain, ...]
    calibration: tuple[Reliability, ...]
    decline_calibration: Reliability
    pooled: Pooled | None
    rules: CampaignRules
    profits: tuple[Profit, ...]
    rates: tuple[Rate, ...]
    importance: tuple[FamilyImportance, ...]
    backtest: tuple[Listed, ...]
    rank: Rank = "probability"
    stand_in: str | None = None
    ablation: tuple[Ablated, ...] = ()
    horizons: tuple[HorizonTrial, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON: every figure not in `evaluation`, intervals as [estimate, low, high]."""
        return {
            one.name: as_plain(getattr(self, one.name))
            for one in fields(self)
            if one.name != "evaluation"
        }

    def to_json(self) -> str:
        """The text of `judgement.json`: every figure, including the evaluation."""
        told = {"schema": SCHEMA, "evaluation": self.evaluation.to_dict(), **self.to_dict()}
        return json.dumps(told, indent=1, sort_keys=True, allow_nan=False) + "\n"

    def metrics(self) -> dict[str, float]:
        """Finite numbers by flat names, for experiment trackers."""
        return {name: value for name, value in self._metrics() if isfinite(value)}

    @property
    def speaker(self) -> str:
        """The display name of "model": the baseline, if one is active instead."""
        return "model" if self.stand_in is None else f"{self.stand_in} (fallback)"

    def named(self, predictor: str) -> str:
        """The display name of a predictor."""
        return self.speaker if predictor == "model" else predictor

    def listed(self, predictor: str) -> Listed:
        """The backtest of that predictor's lists, all cutoffs together."""
        pairs = [(one.predictor, one.cutoff) for one in self.backtest]
        return self.backtest[pairs.index((predictor, EVERY_CUTOFF))]

    def _metrics(self) -> Iterator[tuple[str, float]]:
        decline = self.evaluation.decline[0]
        for name, value in decline.metrics.items():
            yield f"decline_{name}", value.estimate
        yield "decline_base_rate", decline.base_rate
        yield from _calibration("calibration", self.calibration[0])
        yield from _calibration("decline_calibration", self.decline_calibration)
        if self.pooled is not None:
            yield from _calibration("pooled_calibration", self.pooled.calibration[0])
            yield "pooled_rows", self.pooled.calibration[0].rows
        for profit in self.profits:
            yield f"{profit.predictor}_expected_maximum_profit", profit.best.estimate
        for predictor in dict.fromkeys(one.predictor for one in self.backtest):
            listed = self.listed(predictor)
            yield f"{predictor}_precision_at_capacity", listed.precision.estimate
            yield f"{predictor}_recall_at_capacity", listed.recall.estimate
            yield f"{predictor}_spend_caught_at_capacity", listed.spend_caught.estimate


def judge_run(  # noqa: PLR0913 - independent settings
    model: ChurnModel,
    test: Dataset,
    evaluation: Evaluation,
    *,
    history: Dataset,
    forecasts: pd.DataFrame | None = None,
    capacity: float = 0.1,
    rank: Rank = "probability",
    replicates: int = 200,
    seed: int = 0,
) -> Judgement:
    """The complete evaluation of a model on eligible rows of `test`, summarised by `evaluation`.

    `history` gives the base rates of earlier cutoffs. `forecasts` (customer_id, cutoff, model) are
    forward forecasts of rows of `history`, to be pooled with the test. `capacity` and `rank` are
    the contact capacity and ranking, as in scoring.
    """
    tested = TestPredictions.of(model, test, evaluation)
    rules = CampaignRules()
    return Judgement(
        evaluation=evaluation,
        capacity=capacity,
        gains=tuple(gain_curve(one, tested.outcome, tested.lapse[one]) for one in tested.shown),
        calibration=tuple(_by_slice(tested, replicates, seed)),
        decline_calibration=_of_decline(tested, replicates, seed),
        pooled=None if forecasts is None else pool_forecasts(forecasts, history, tested, seed=seed),
        rules=rules,
        profits=tuple(
            profit_curve(
                one,
                tested.outcome,
                tested.lapse[one],
                tested.customer,
                rules=rules,
                replicates=replicates,
                seed=seed,
            )
            for one in tested.shown
        ),
        rates=rates_over_time(history, tested, forecasts, replicates=replicates, seed=seed),
        importance=family_importance(model, tested, replicates=replicates, seed=seed),
        backtest=backtest(tested, capacity=capacity, replicates=replicates, seed=seed),
        rank=rank,
        stand_in=model.stand_in,
    )


def _by_slice(tested: TestPredictions, replicates: int, seed: int) -> Iterator[Reliability]:
    everyone = {"eligible": np.ones(len(tested.rows), dtype=bool)}
    for name, chosen in (everyone | slices_of(tested.rows, tested.clock)).items():
        yield reliability(
            name,
            tested.outcome[chosen],
            tested.lapse["model"][chosen],
            tested.customer[chosen],
            replicates=replicates,
            seed=seed,
        )


def _of_decline(tested: TestPredictions, replicates: int, seed: int) -> Reliability:
    known = tested.rows["decline"].notna().to_numpy()
    return reliability(
        "decline",
        tested.rows["decline"].to_numpy()[known],
        tested.decline[known],
        tested.customer[known],
        replicates=replicates,
        seed=seed,
    )


def _calibration(name: str, found: Reliability) -> Iterator[tuple[str, float]]:
    yield f"{name}_error", found.error.estimate
    yield f"{name}_floor_mean", found.floor.mean
    yield f"{name}_floor_95", found.floor.high
