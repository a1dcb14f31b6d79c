"""Five cycles of training and treating, and what the model still knows of the untreated.

    python benchmarks/cycles.py

Each cycle scores a base, sends an offer to the riskiest four in ten, but for a tenth by lot, and
learns again from all that it has seen. The error is the mean distance between the predicted and
the true untreated probability of lapsing, over ten groups by prediction, of everyone; the truth is
known, for the base is made up.
"""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from churn.data.cutoffs import Cutoffs
from churn.data.days import day_number
from churn.features.clock import FeatureClock
from churn.modeling.dataset import Dataset
from churn.modeling.model import ChurnModel
from churn.modeling.untreated import untreated

__all__ = ["AWARE", "NAIVE", "main", "run_cycles"]

Floats = NDArray[np.float64]

AWARE, NAIVE = True, False
CYCLES, HORIZON_DAYS = 5, 28
TREATED_SHARE, KEPT_BY_LOT = 0.4, 0.1
LEFT_OF_RISK = 0.4  # an offer takes six tenths of the risk away
FIRST = date(2024, 1, 1)
NAMES = ("x0", "x1", "x2")
CLOCK = FeatureClock(  # without histories of purchases to blend: the trees alone
    horizon_days=HORIZON_DAYS, lookback_days=2 * HORIZON_DAYS, mode="contractual"
)


def run_cycles(aware: bool, *, customers: int, seed: int) -> list[float]:
    """The calibration error of each cycle's model; `aware` leaves treated rows out and weighs."""
    rng = np.random.default_rng(seed)
    steady = rng.normal(size=(customers, len(NAMES)))
    rows, contacts, errors = [_cycle(rng, steady, 0, None)], [], []
    for cycle in range(1, CYCLES + 1):
        learnt = _dataset(pd.concat(rows, ignore_index=True), cycle)
        if aware and contacts:
            learnt = untreated(learnt, pd.concat(contacts, ignore_index=True)).dataset
        now = _features(rng, steady, cycle)
        model = ChurnModel(seed=seed, threads=1, rounds=150, feature_share=1.0)
        said = model.forecast_lapse(learnt, now)
        errors.append(_error(said, _risk(now)))
        sent, kept = _lot(rng, said)
        rows.append(_cycle(rng, steady, cycle, sent, now))
        contacts.append(_contacts(now, sent, kept))
    return errors


def _features(rng: np.random.Generator, steady: Floats, cycle: int) -> pd.DataFrame:
    moving = 0.8 * steady + 0.6 * rng.normal(size=steady.shape)
    frame = pd.DataFrame(moving, columns=list(NAMES))
    cutoff = day_number(FIRST + timedelta(days=HORIZON_DAYS * cycle))
    ids = [f"c{number}" for number in range(len(frame))]
    return frame.assign(customer_id=ids, cutoff=cutoff, status="eligible")


def _risk(rows: pd.DataFrame) -> Floats:
    """P(lapse) without an offer."""
    odds = -1.4 + 1.2 * rows["x0"] + 0.6 * rows["x1"] * (rows["x2"] > 0)
    return np.asarray(1 / (1 + np.exp(-odds)))


def _cycle(
    rng: np.random.Generator,
    steady: Floats,
    cycle: int,
    sent: NDArray[np.bool_] | None,
    now: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """The rows of a cycle with what came of them, treated as they were."""
    rows = _features(rng, steady, cycle) if now is None else now
    risk = _risk(rows)
    if sent is not None:
        risk = np.where(sent, LEFT_OF_RISK * risk, risk)
    return rows.assign(lapse=(rng.random(len(rows)) < risk).astype(float))


def _lot(rng: np.random.Generator, said: Floats) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Who is sent the offer, and who is kept without by lot, among the riskiest."""
    candidate = said >= np.quantile(said, 1 - TREATED_SHARE)
    kept = candidate & (rng.random(len(said)) < KEPT_BY_LOT)
    return candidate & ~kept, kept


def _contacts(now: pd.DataFrame, sent: NDArray[np.bool_], kept: NDArray[np.bool_]) -> pd.DataFrame:
    reached = sent | kept
    return pd.DataFrame(
        {
            "customer_id": now["customer_id"][reached],
            "day": now["cutoff"][reached],
            "treated": sent[reached],
            "propensity": np.where(sent, 1 - KEPT_BY_LOT, KEPT_BY_LOT)[reached],
        }
    )


def _dataset(rows: pd.DataFrame, cycles: int) -> Dataset:
    dates = tuple(FIRST + timedelta(days=HORIZON_DAYS * cycle) for cycle in range(cycles))
    until = FIRST + timedelta(days=HORIZON_DAYS * cycles)
    return Dataset(rows, Cutoffs(dates, HORIZON_DAYS, until), CLOCK, NAMES)


def _error(said: Floats, truth: Floats) -> float:
    tenth = np.argsort(np.argsort(said, kind="stable"), kind="stable") * 10 // len(said)
    gaps = [abs(said[tenth == one].mean() - truth[tenth == one].mean()) for one in range(10)]
    return float(np.mean(gaps))


def main() -> None:
    """Print the errors by cycle."""
    print("| loop | " + " | ".join(f"cycle {cycle}" for cycle in range(1, CYCLES + 1)) + " |")
    print("|---|" + "---|" * CYCLES)
    for name, aware in (("knows our campaigns", AWARE), ("naive", NAIVE)):
        runs = [run_cycles(aware, customers=10_000, seed=seed) for seed in range(3)]
        worst = np.max(runs, axis=0)
        print(f"| {name} | " + " | ".join(f"{error:.3f}" for error in worst) + " |")


if __name__ == "__main__":
    main()
