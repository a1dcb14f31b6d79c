"""Sensitivity to the horizon: the recipe evaluated with half, once and twice the horizon."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from math import log

from churn.data.tables import Tables
from churn.errors import GateError
from churn.features.clock import FeatureClock
from churn.modeling.dataset import Dataset, build_dataset, check_classes
from churn.modeling.judgement.reliability import Reliability, reliability
from churn.modeling.metrics import Interval, bootstrap_metrics
from churn.modeling.model import ChurnModel
from churn.modeling.panel import Panel, resolve_panel
from churn.modeling.sampling import MOST_ROWS


@dataclass(frozen=True)
class HorizonTrial:
    """The recipe with another horizon for the same eligible customers (contractual: those whose
    subscription expires in it), evaluated on its newest two cutoffs; `refused` states why there is
    no result.

    `skill` is the reduction of log loss relative to the base rate: unlike log loss it can be
    compared across horizons.
    """

    horizon_days: int
    cutoffs: tuple[str, ...] = ()
    rows: int = 0
    base_rate: float | None = None
    roc_auc: Interval | None = None
    skill: float | None = None
    calibration: Reliability | None = None
    refused: str | None = None


def neighbours(horizon_days: int) -> tuple[int, int, int]:
    """Half the horizon, the horizon, and twice the horizon.

    >>> neighbours(28)
    (14, 28, 56)
    """
    return max(1, horizon_days // 2), horizon_days, 2 * horizon_days


def try_horizons(  # noqa: PLR0913 - settings of a panel, each by name
    recipe: ChurnModel,
    tables: Tables,
    as_of: date,
    clock: FeatureClock,
    *,
    names: Sequence[str],
    lead_days: int = 0,
    grace_days: int = 0,
    most_rows: int = MOST_ROWS,
    seed: int = 0,
    progress: Callable[[str], None] = lambda _: None,
) -> tuple[HorizonTrial, ...]:
    """One panel, one fit of the lapse head and one evaluation for each of the three horizons."""
    found = []
    for horizon in neighbours(clock.horizon_days):
        progress(f"trying a horizon of {horizon} days")
        try:
            panel = resolve_panel(
                tables,
                as_of,
                horizon_days=horizon,
                lookback_days=clock.lookback_days,
                min_tenure_days=clock.min_tenure_days,
                lead_days=lead_days,
                mode=clock.mode,
                grace_days=grace_days,
                complete=True,
            )
            dataset = build_dataset(
                tables, panel.cutoffs, panel.clock, names=names, most_rows=most_rows
            )
            found.append(_tried(recipe, dataset, panel, seed))
        except GateError as failure:
            found.append(HorizonTrial(horizon, refused=str(failure)))
    return tuple(found)


def _tried(recipe: ChurnModel, dataset: Dataset, panel: Panel, seed: int) -> HorizonTrial:
    learnt = dataset.before(panel.blocks.test.dates[0])
    check_classes(learnt.eligible["lapse"])
    rows = dataset.only(panel.blocks.test).eligible
    said = recipe.forecast_lapse(learnt, rows)
    lapse, customer = rows["lapse"].to_numpy(), rows["customer_id"].to_numpy()
    metrics = bootstrap_metrics(lapse, said, customer, seed=seed)
    rate = float(lapse.mean())
    return HorizonTrial(
        horizon_days=panel.clock.horizon_days,
        cutoffs=tuple(str(cutoff) for cutoff in panel.blocks.test),
        rows=len(rows),
        base_rate=rate,
        roc_auc=metrics["roc_auc"],
        skill=1 - metrics["log_loss"].estimate / _entropy(rate),
        calibration=reliability("eligible", lapse, said, customer, seed=seed),
    )


def _entropy(rate: float) -> float:
    """Log loss of predicting the base rate for everyone; NaN if nobody or everybody lapsed."""
    if not 0 < rate < 1:
        return float("nan")
    return -rate * log(rate) - (1 - rate) * log(1 - rate)
