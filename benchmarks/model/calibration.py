"""How far the calibrated probabilities are off, over many forward cutoffs."""

import numpy as np
import pandas as pd

from churn.data.cutoffs import Cutoffs
from churn.modeling.calibration import KINDS, choose_calibration, fit_calibration
from churn.modeling.dataset import Dataset
from churn.modeling.metrics import log_loss
from churn.modeling.model import ChurnModel
from churn.modeling.panel import Fold, separate_folds
from churn.modeling.portable import corrected
from churn.modeling.slices import slices_of

from .shops import Shop

__all__ = ["calibration"]

BINS = 10
LARGE = 2_000
MOST_CUTOFFS = 11
MODEL = ChurnModel(seed=7, threads=1)


def calibration(shop: Shop) -> list[list[str]]:
    """A row for all forward rows of the trees with a calibration chosen on forward folds, one for
    the worst slice of 2,000 rows or more, one for each correction, had it been made at every
    cutoff, and one for the shipped blend with its level.
    """
    rows = _forecasts(shop)
    slices = {
        name: _error(rows[mask])
        for name, mask in slices_of(rows, shop.rows.clock).items()
        if mask.sum() >= LARGE
    }
    worst = max(slices, key=lambda name: slices[name])
    chosen = ", ".join(sorted(set(rows["kind"])))
    mask = slices_of(rows, shop.rows.clock)[worst]
    return [
        _row(shop, rows, f"all, as chosen ({chosen})"),
        _row(shop, rows[mask], f"worst of {len(slices)} slices: {worst}"),
        *(_row(shop, rows.assign(said=rows[kind]), f"all, always {kind}") for kind in KINDS),
        _row(shop, rows.assign(said=rows["shipped"]), "all, as shipped"),
    ]


def _row(shop: Shop, rows: pd.DataFrame, name: str) -> list[str]:
    mean, high = _floor(rows["said"].to_numpy())
    figures = (f"{log_loss(rows['lapse'], rows['said']):.4f}", f"{_error(rows):.4f}")
    count = rows["cutoff"].nunique()
    return [shop.name, f"{len(rows):,}", str(count), name, *figures, f"{mean:.4f}, {high:.4f}"]


def _forecasts(shop: Shop) -> pd.DataFrame:
    """The eligible at each forward cutoff with what was said of them, calibrated on its past."""
    panel = _panel(shop)
    dataset = shop.rows.only(panel)
    raw: dict[str, pd.DataFrame] = {}
    found = []
    for cutoff in panel.dates[-MOST_CUTOFFS:]:
        known = panel.before(cutoff)
        past = [_raw(dataset, fold, raw) for fold in separate_folds(known)]
        if len(known) < 3 or not past:
            continue
        seen = pd.concat(past)
        line = choose_calibration(
            seen["lapse"].to_numpy(),
            seen["probability"].to_numpy(),
            seen["customer_id"],
            seed=MODEL.seed,
            fold=seen["cutoff"].to_numpy(),
        )
        now = _raw(dataset, Fold(known, panel.only((cutoff,))), raw)
        rows = dataset.only(panel.only((cutoff,))).eligible
        said = now["probability"].to_numpy()
        always = {
            kind: corrected(
                fit_calibration(kind, seen["lapse"].to_numpy(), seen["probability"].to_numpy()),
                said,
            )
            for kind in KINDS
        }
        always["shipped"] = MODEL.forecast_lapse(dataset.before(cutoff), rows)
        found.append(rows.assign(said=corrected(line, said), kind=line["kind"], **always))
    return pd.concat(found, ignore_index=True)


def _panel(shop: Shop) -> Cutoffs:
    """Every cutoff half a horizon apart whose label closes by the test cutoff, however old."""
    return shop.learnt_by(shop.test, count=60)


def _raw(dataset: Dataset, fold: Fold, heard: dict[str, pd.DataFrame]) -> pd.DataFrame:
    key = str(fold.judge.dates[0])
    if key not in heard:
        heard[key] = _trees(dataset, fold)
    return heard[key]


def _trees(dataset: Dataset, fold: Fold) -> pd.DataFrame:
    model = ChurnModel(seed=MODEL.seed, threads=1)
    model.feature_names_ = list(dataset.feature_names)
    return model._forecast("lapse", dataset, fold)


def _error(rows: pd.DataFrame) -> float:
    return _ece(rows["lapse"].to_numpy(), rows["said"].to_numpy())


def _ece(happened: np.ndarray, said: np.ndarray) -> float:
    """Mean distance of what was said from what happened, over ten bins of equal size."""
    order = np.argsort(said, kind="stable")
    gaps = [abs(said[part].sum() - happened[part].sum()) for part in np.array_split(order, BINS)]
    return float(sum(gaps) / len(said))


def _floor(said: np.ndarray) -> tuple[float, float]:
    """The same of a model whose every probability is true: mean and 95 % point of 200 draws."""
    rng = np.random.default_rng(1)
    draws = [_ece((rng.random(len(said)) < said).astype(float), said) for _ in range(200)]
    return float(np.mean(draws)), float(np.quantile(draws, 0.95))
