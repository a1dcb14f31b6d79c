"""Performance of a model and of the baselines it has to beat, on rows it has not seen."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from churn.errors import ConfigError
from churn.modeling.baselines import predict_baseline
from churn.modeling.dataset import Dataset, cutoff_dates, row_weights
from churn.modeling.expectations import JudgedAmount, judge_amounts
from churn.modeling.metrics import Interval, bootstrap_metrics, paired_log_loss_difference
from churn.modeling.model import ChurnModel
from churn.modeling.portable import group_rates


@dataclass(frozen=True)
class Judged:
    """One predictor on one group of rows: each metric with its 95 % interval over customers."""

    group: str
    predictor: str
    rows: int
    customers: int
    base_rate: float
    metrics: Mapping[str, Interval]


@dataclass(frozen=True)
class Evaluation:
    """Every predictor on every group, and the model's log loss compared with each baseline's.

    `amounts` compares expected with observed orders and margin. `win_back` is the difference in log
    loss between the model of lapsed customers and the fixed rate of their group; None if that rate
    is in use. `judged` evaluates lapse, `decline` the head of that name on the rows where a decline
    is defined.
    """

    judged: tuple[Judged, ...]
    against: Mapping[str, Interval]
    cutoffs: tuple[str, ...]
    amounts: tuple[JudgedAmount, ...] = ()
    win_back: Interval | None = None
    decline: tuple[Judged, ...] = ()

    def of(self, predictor: str, group: str = "eligible") -> Judged:
        """The metrics of one predictor on one group."""
        return next(j for j in self.judged if (j.predictor, j.group) == (predictor, group))

    @property
    def best_baseline(self) -> str:
        """The baseline with the lowest log loss on eligible rows."""
        return min(self.against, key=lambda name: self.of(name).metrics["log_loss"].estimate)

    def to_frame(self) -> pd.DataFrame:
        """One row per group and predictor; each metric with its `_low` and `_high`."""
        return pd.DataFrame([_flat(one) for one in self.judged])

    def to_dict(self) -> dict[str, object]:
        """Plain JSON."""
        return {
            "cutoffs": list(self.cutoffs),
            "judged": [_plain(one) for one in self.judged],
            "decline": [_plain(one) for one in self.decline],
            "log_loss_difference": {
                name: [gap.estimate, gap.low, gap.high] for name, gap in self.against.items()
            },
            "amounts": [one.to_dict() for one in self.amounts],
            "win_back_log_loss_difference": self.win_back
            and [self.win_back.estimate, self.win_back.low, self.win_back.high],
        }

    def __str__(self) -> str:
        lines = [f"{'eligible':<16}{'AUC':>9}{'log loss':>10}{'lift 10 %':>11}"]
        for name in ("model", *self.against):
            value = {key: one.estimate for key, one in self.of(name).metrics.items()}
            lines.append(
                f"{name:<16}{value['roc_auc']:>9.4f}{value['log_loss']:>10.4f}"
                f"{value['lift_at_10_percent']:>11.2f}"
            )
        return "\n".join(lines)


def evaluate(
    model: ChurnModel, test: Dataset, *, replicates: int = 200, seed: int = 0
) -> Evaluation:
    """Evaluates the model and its baselines on the eligible rows of `test`, and on strata.

    Strata are customers with three or more purchase days, with one, and with a tenure under one
    horizon. Lapsed customers are a separate group, compared with the fixed rate of their group
    (`group_rate`). The intervals resample customers with all their rows. Rows with a sample weight
    count by it, as in training.
    """
    check_is_judgeable(model, test)
    rows = test.eligible
    predictions, said = predictions_of(model, rows)
    judged = [
        _judge(group, name, rows[chosen], prediction[chosen], replicates=replicates, seed=seed)
        for group, chosen in _groups(rows, test).items()
        for name, prediction in predictions.items()
    ]
    lapsed, rates = _lapsed(model, test)
    judged += [
        _judge("lapsed", name, lapsed, prediction, replicates=replicates, seed=seed)
        for name, prediction in rates.items()
    ]
    customer = rows["customer_id"].to_numpy()
    against = {
        name: paired_log_loss_difference(
            rows["lapse"].to_numpy(),
            predictions["model"],
            predictions[name],
            customer,
            weights=row_weights(rows),
            seed=seed,
        )
        for name in model.baselines_
    }
    dates = tuple(str(date) for date in cutoff_dates(rows))
    amounts = judge_amounts(model, test, replicates=replicates, seed=seed)
    return Evaluation(
        tuple(judged),
        against,
        dates,
        amounts,
        _win_back(model, lapsed, rates, seed=seed),
        tuple(_decline(rows, said, _groups(rows, test), replicates=replicates, seed=seed)),
    )


def _decline(
    rows: pd.DataFrame,
    said: pd.DataFrame,
    groups: dict[str, np.ndarray],
    *,
    replicates: int,
    seed: int,
) -> Iterator[Judged]:
    """The decline head on every group, on rows where a decline is defined."""
    known = rows["decline"].notna().to_numpy()
    probability = said["decline_probability"].to_numpy()
    for group, mask in groups.items():
        chosen = mask & known
        yield _judge(
            group,
            "model",
            rows[chosen],
            probability[chosen],
            target="decline",
            replicates=replicates,
            seed=seed,
        )


def check_is_judgeable(model: object, test: object) -> None:
    """Raises ConfigError unless it is a model and a Dataset to evaluate it on."""
    for value, wanted in ((model, ChurnModel), (test, Dataset)):
        if not isinstance(value, wanted):
            raise ConfigError(
                "evaluate needs a ChurnModel and a Dataset",
                got=type(value).__name__,
                fix="Pass evaluate(model, build_dataset(...)).",
            )


def _lapsed(model: ChurnModel, test: Dataset) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Lapsed customers, and P(stays away) by the model and by the group rate."""
    rows = test.rows[test.rows["status"] == "lapsed"]
    if rows.empty:
        return rows, {}
    features = rows[["customer_id", "status", *model.feature_names_]]
    rate = group_rates(model.fallback_, rows)["lapse"]
    return rows, {"model": model.predict_proba(features)[:, 1], "group_rate": rate}


def _win_back(
    model: ChurnModel, rows: pd.DataFrame, rates: dict[str, np.ndarray], *, seed: int
) -> Interval | None:
    if not rates or model.win_back_["kind"] == "rate":
        return None
    customer = rows["customer_id"].to_numpy()
    said, rate = rates["model"], rates["group_rate"]
    return paired_log_loss_difference(
        rows["lapse"].to_numpy(), said, rate, customer, weights=row_weights(rows), seed=seed
    )


def predictions_of(
    model: ChurnModel, rows: pd.DataFrame
) -> tuple[dict[str, np.ndarray], pd.DataFrame]:
    """P(lapse) of every row by "model" and by each baseline, and all outputs of the model."""
    said = model.predict_frame(rows[["customer_id", "status", *model.feature_names_]])
    found = {"model": said["churn_probability"].to_numpy()}
    for name, spec in model.baselines_.items():
        found[name] = predict_baseline(spec, rows)
    return found, said


def _groups(rows: pd.DataFrame, test: Dataset) -> dict[str, np.ndarray]:
    return {
        "eligible": np.ones(len(rows), dtype=bool),
        "3+ purchase days": (rows["purchase_days"] >= 3).to_numpy(),
        "one-time buyers": (rows["purchase_days"] == 1).to_numpy(),
        "tenure under H": (rows["tenure_days"] < test.clock.horizon_days).to_numpy(),
    }


def _judge(
    group: str,
    predictor: str,
    rows: pd.DataFrame,
    prediction: np.ndarray,
    *,
    replicates: int,
    seed: int,
    target: str = "lapse",
) -> Judged:
    outcome = rows[target].to_numpy()
    customer = rows["customer_id"].to_numpy()
    weight = row_weights(rows)
    metrics = bootstrap_metrics(
        outcome, prediction, customer, weights=weight, replicates=replicates, seed=seed
    )
    base_rate = float(np.average(outcome, weights=weight)) if len(outcome) else float("nan")
    return Judged(group, predictor, len(rows), len(np.unique(customer)), base_rate, metrics)


def _flat(one: Judged) -> dict[str, object]:
    flat: dict[str, object] = {
        "group": one.group,
        "predictor": one.predictor,
        "rows": one.rows,
        "customers": one.customers,
        "base_rate": one.base_rate,
    }
    for name, value in one.metrics.items():
        flat |= {name: value.estimate, f"{name}_low": value.low, f"{name}_high": value.high}
    return flat


def _plain(one: Judged) -> dict[str, object]:
    return {name: _finite(value) for name, value in _flat(one).items()}


def _finite(value: object) -> object:
    """None for undefined values, which JSON cannot represent."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
