"""Short histories: shops cut to their first days, judged on the horizon after the cut.

`cells.py [SHOP...]` prints one row for each shop, length of history and horizon. The model has
learnt what `churn train` would have: all that was known on the last day. Every loss is that of the
eligible on that day; differences are to BG/NBD fitted to the same histories, with 95 % intervals
over customers.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from churn.config import load_tables
from churn.data.cutoffs import Cutoffs
from churn.data.tables import Tables
from churn.modeling.baselines import LINEAR_TERMS, fit_line, predict_baseline
from churn.modeling.boosting import predict_booster
from churn.modeling.dataset import build_dataset, has_classes
from churn.modeling.level import fit_bg_nbd
from churn.modeling.metrics import Interval, log_loss, paired_log_loss_difference, roc_auc
from churn.modeling.model import ChurnModel
from churn.modeling.panel import Panel, resolve_panel
from churn.modeling.portable import bg_nbd_no_purchase, blended, corrected

ROOT = Path(__file__).resolve().parents[1]
CDNOW = ROOT.parent / "shared/data/cdnow_sample/cdnow_sample.parquet"
LENGTHS = (60, 90, 120, 180, 270, 365)
HORIZONS = (28, 56, 90)
Said = dict[str, np.ndarray]


@dataclass(frozen=True)
class Cell:
    """One shop cut at `as_of`: the eligible, whether they lapsed, and what each predictor said."""

    shop: str
    length: int
    horizon: int
    cutoffs: int
    lapse: np.ndarray
    customer: np.ndarray
    said: Said

    def loss(self, name: str) -> float:
        """The log loss of a predictor."""
        return log_loss(self.lapse, self.said[name]) if name in self.said else float("nan")

    def gap(self, name: str, other: str = "bg_nbd") -> Interval | None:
        """The log loss of one predictor minus that of another; None if one needs labels."""
        if name not in self.said or other not in self.said:
            return None
        return paired_log_loss_difference(
            self.lapse, self.said[name], self.said[other], self.customer, seed=1
        )

    def line(self) -> list[str]:
        """The row of the table."""
        gaps = (self.gap(name) for name in ("model", "no level", "trees"))
        return [
            *(self.shop, str(self.length), str(self.horizon), str(self.cutoffs)),
            f"{len(self.lapse):,}",
            f"{self.lapse.mean():.3f}",
            f"{roc_auc(self.lapse, self.said['model']):.4f}",
            f"{roc_auc(self.lapse, self.said['bg_nbd']):.4f}",
            f"{self.loss('bg_nbd'):.4f}",
            *map(_shown, gaps),
            _shown(self.gap("model", "recency")),
        ]


def _shown(gap: Interval | None) -> str:
    return "" if gap is None else f"{gap.estimate:+.4f} [{gap.low:+.4f}, {gap.high:+.4f}]"


def shops() -> dict[str, Tables]:
    """The three shops by name."""
    found = {
        "Complete Journey": load_tables(ROOT / "churn.toml"),
        "Online Retail II": load_tables(ROOT / "benchmarks/online_retail.toml"),
    }
    orders = pd.read_parquet(CDNOW)
    return found | {"CDNOW": Tables.from_frames(orders, columns={"ordered_at": "date"})}


def cells(shop: str, tables: Tables) -> Iterator[Cell]:
    """Every cell of a shop whose horizon has closed by the end of its data."""
    first, last = tables.span()
    for length in LENGTHS:
        as_of = first + timedelta(days=length)
        for horizon in HORIZONS:
            if as_of + timedelta(days=horizon - 1) <= last:
                yield _cell(
                    shop, tables, as_of, length, resolve_panel(tables, as_of, horizon_days=horizon)
                )


def _cell(shop: str, tables: Tables, as_of: date, length: int, panel: Panel) -> Cell:
    horizon = panel.clock.horizon_days
    until = as_of + timedelta(days=horizon)
    later = build_dataset(tables, Cutoffs((as_of,), horizon, until), panel.clock).eligible
    learnt = build_dataset(tables, panel.cutoffs, panel.clock)
    said = {"bg_nbd": bg_nbd_no_purchase(fit_bg_nbd(learnt.newest), horizon, later)}
    said |= _with_labels(learnt, later)
    said.setdefault("model", said["bg_nbd"])
    return Cell(
        shop,
        length,
        horizon,
        len(panel.cutoffs),
        later["lapse"].to_numpy(),
        later["customer_id"].to_numpy(),
        said,
    )


def _with_labels(learnt, later: pd.DataFrame) -> Said:  # type: ignore[no-untyped-def]
    """What is said by whoever needs labels: the model, its parts, and recency."""
    rows = learnt.eligible
    if not has_classes(rows["lapse"]):
        return {}
    model = ChurnModel(seed=7, threads=1)
    model.feature_names_, model.clock_ = list(learnt.feature_names), learnt.clock
    model.heads_ = {"lapse": model._fit_head("lapse", rows)}
    model._fit_lapse(learnt)
    trees = predict_booster(model.heads_["lapse"], model._matrix(later))
    blend = blended(model.blend_, later, trees)
    recency = fit_line({"terms": LINEAR_TERMS["recency"]}, rows, rows["lapse"].to_numpy())
    return {
        "trees": trees,
        "no level": blend,
        "model": corrected(model.calibration_["lapse"], blend),
        "logistic_rfm": predict_baseline(model.blend_["logistic_rfm"], later),
        "recency": predict_baseline(recency, later),
    }


def summary(found: list[Cell]) -> list[str]:
    """How often the model is worse or better beyond chance, and its mean difference, in cells with
    a closed cutoff; elsewhere the model is BG/NBD.
    """
    found, lines = [cell for cell in found if "trees" in cell.said], []
    for name, other in (
        *((name, "bg_nbd") for name in ("model", "no level", "trees")),
        ("model", "recency"),
        ("model", "no level"),
        ("model", "trees"),
    ):
        gaps = [gap for cell in found if (gap := cell.gap(name, other)) is not None]
        mean = float(np.mean([gap.estimate for gap in gaps])) if gaps else float("nan")
        worse, better = sum(gap.low > 0 for gap in gaps), sum(gap.high < 0 for gap in gaps)
        lines.append(
            f"{name} against {other}: {len(gaps)} cells, mean {mean:+.4f}, "
            f"worse beyond chance {worse}, better {better}"
        )
    return lines


HEADER = (
    *("shop", "days", "H", "cutoffs", "rows", "lapsed", "AUC", "of BG/NBD", "log loss of BG/NBD"),
    *("model", "without level", "trees alone", "model against recency"),
)


def main() -> None:
    """Prints the table and its summary."""
    chosen, found = sys.argv[1:], []
    print("| " + " | ".join(HEADER) + " |\n" + "|---" * len(HEADER) + "|")
    for shop, tables in shops().items():
        if not chosen or shop in chosen:
            for cell in cells(shop, tables):
                found.append(cell)
                print("| " + " | ".join(cell.line()) + " |", flush=True)
        tables.close()
    print("\n".join(["", *summary(found)]))


if __name__ == "__main__":
    main()
