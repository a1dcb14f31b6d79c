"""Whether the probabilities add up: a steady shop, and who stayed away after all."""

import sys
from datetime import date, timedelta
from pathlib import Path

from churn.data.cutoffs import Cutoffs
from churn.data.tables import Tables
from churn.features.clock import FeatureClock
from churn.modeling.dataset import build_dataset
from churn.modeling.model import ChurnModel

sys.path.append(str(Path(__file__).resolve().parents[2] / "tests/shop"))

from steady_shop import DAYS, FIRST_DAY, steady_orders

__all__ = ["steady"]

CUSTOMERS = 50_000
HORIZON_DAYS = 56
LEARNT_CUTOFFS = 6


def steady(customers: int = CUSTOMERS) -> list[list[str]]:
    """One row: the sum of P(lapse) over the eligible at the last cutoff beside who lapsed."""
    tables = Tables.from_frames(steady_orders(customers, seed=2))
    test = FIRST_DAY + timedelta(days=DAYS - HORIZON_DAYS)
    clock = FeatureClock(horizon_days=HORIZON_DAYS, lookback_days=2 * HORIZON_DAYS)
    learnt = Cutoffs.every(28, until=test, horizon_days=HORIZON_DAYS, count=LEARNT_CUTOFFS)
    model = ChurnModel(seed=7).fit(build_dataset(tables, learnt, clock))
    rows = build_dataset(tables, _at(test), clock).eligible
    said = model.predict_frame(rows[["status", *model.feature_names_]])["churn_probability"]
    total, lapsed = said.sum(), rows["lapse"].sum()
    figures = (f"{total:,.0f}", f"{lapsed:,.0f}", f"{total / lapsed:.4f}")
    return [[f"{customers:,}", str(test), f"{len(rows):,}", *figures]]


def _at(cutoff: date) -> Cutoffs:
    return Cutoffs((cutoff,), HORIZON_DAYS, cutoff + timedelta(days=HORIZON_DAYS))
