"""The real shops that a recipe is chosen and judged on, each as rows of features and labels."""

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from churn.config import load_tables
from churn.data.cutoffs import Cutoffs
from churn.data.tables import Tables
from churn.features.clock import FeatureClock
from churn.modeling.dataset import Dataset, build_dataset

__all__ = ["Shop", "shops"]

ROOT = Path(__file__).resolve().parents[2]
RETAIL = ROOT.parent / "shared/data/online_retail_ii/online_retail_ii.parquet"


@dataclass(frozen=True)
class Shop:
    """A shop's rows: at development cutoffs whose labels close by `test`, and at `test` itself.

    Forward folds judge each of the newest `folds` of its `panel`, half a horizon apart; `dense`
    is the same stretch of time with more cutoffs.
    """

    name: str
    rows: Dataset
    test: date
    folds: int
    panel: int
    dense_step_days: int

    @property
    def horizon(self) -> int:
        """In days."""
        return self.rows.clock.horizon_days

    def learnt_by(self, cutoff: date, *, step_days: int = 0, count: int = 0) -> Cutoffs:
        """The panel whose newest label closes at that cutoff."""
        step = step_days or self.horizon // 2
        newest = cutoff - timedelta(days=self.horizon)
        wanted = {newest - timedelta(days=step * k) for k in range(count or self.panel)}
        return self.rows.cutoffs.only(tuple(day for day in self.rows.cutoffs if day in wanted))

    def judged(self) -> tuple[date, ...]:
        """The cutoffs of the forward folds, oldest first; the label of each closes by `test`."""
        newest = self.test - timedelta(days=self.horizon)
        step = timedelta(days=self.horizon // 2)
        return tuple(newest - step * k for k in reversed(range(self.folds)))

    def at(self, cutoff: date) -> Dataset:
        """The rows at one cutoff."""
        return self.rows.only(self.rows.cutoffs.only((cutoff,)))


def shops() -> list[Shop]:
    """The Complete Journey and, where its file is there, Online Retail II."""
    found = [_complete_journey()]
    if RETAIL.exists():
        found.append(_online_retail())
    return found


def _complete_journey() -> Shop:
    tables = load_tables(ROOT / "churn.toml")
    rows = _rows(tables, horizon=28, step=7, test=date(2017, 12, 3), first=date(2017, 1, 29))
    return Shop("Complete Journey", rows, date(2017, 12, 3), folds=8, panel=13, dense_step_days=7)


def _online_retail() -> Shop:
    tables = load_tables(ROOT / "benchmarks/online_retail.toml")
    rows = _rows(tables, horizon=90, step=15, test=date(2011, 9, 10), first=date(2010, 3, 1))
    return Shop("Online Retail II", rows, date(2011, 9, 10), folds=6, panel=13, dense_step_days=15)


def _rows(tables: Tables, *, horizon: int, step: int, test: date, first: date) -> Dataset:
    until = test + timedelta(days=horizon)
    cutoffs = Cutoffs.every(step, until=until, horizon_days=horizon, count=60, first=first)
    clock = FeatureClock(horizon_days=horizon, lookback_days=2 * horizon)
    rows = build_dataset(tables, cutoffs, clock)
    tables.engine.close()
    return rows
