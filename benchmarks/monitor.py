"""False alarms of the shift test, and what it finds, on simulated columns and on real cutoffs.

    python benchmarks/monitor.py [simulated | splits | car_loans]

`simulated`: pairs of nights of 40 columns from the same distribution (skewed, tied, sparse, partly
missing), and the same with a fifth more recency. `splits`: the customers of a real cutoff split in
two by a coin, of Complete Journey, the CDNOW sample and Online Retail II (from ../shared/data).
`car_loans`: the synthetic car loans that come with the package nannyml, which is not imported: what
the features, the level of a calibrated score on real labels, and an estimate without labels say of
each 5,000 loans, beside the AUC that came.
"""

import importlib.util
import sys
import time
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import roc_auc_score

from churn.config import load_tables
from churn.data.tables import Tables
from churn.features.builder import sweep_features
from churn.features.clock import FeatureClock
from churn.monitoring.shift import shifts

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared/data"
RUNS = {1_000: 1_000, 10_000: 300, 100_000: 30, 1_000_000: 3}
SPLITS = 500
COLUMNS = 40
FEW = 2_000
LOANS = 5_000
LIMIT = 0.1
"""The usual alarm on the PSI."""


def night(rng, rows):
    """Columns as features are."""
    sparse = np.where(rng.random(rows) < 0.97, 0.0, rng.poisson(2, rows))
    missing = np.where(rng.random(rows) < 0.3, np.nan, rng.lognormal(3, 1, rows))
    made = {"recency_days": rng.exponential(30, rows).round(), "sparse": sparse, "missing": missing}
    return made | {f"x{n}": rng.poisson(n / 4, rows).astype(float) for n in range(COLUMNS - 3)}


def psi(new, old):
    """The population stability index over the deciles of `old`."""
    edges = np.unique(np.nanquantile(old, np.linspace(0, 1, 11)[1:-1]))
    shares = [
        np.bincount(np.searchsorted(edges, one[~np.isnan(one)]), minlength=len(edges) + 1)
        / max((~np.isnan(one)).sum(), 1)
        for one in (new, old)
    ]
    a, b = (np.maximum(share, 1e-4) for share in shares)
    return float(((a - b) * np.log(a / b)).sum())


def alarmed(found):
    """Whether any column raised an alarm."""
    return any(one.state == "alarm" for one in found)


def simulated():
    """False alarms and detections on simulated nights."""
    print("| customers | runs | runs with a false alarm | x 1.2 found | PSI of x 1.2 | s a run |")
    print("|---|---|---|---|---|---|")
    for rows, runs in RUNS.items():
        rng = np.random.default_rng(rows)
        false = hits = 0
        indices, seconds = [], 0.0
        for _ in range(runs):
            new, old = night(rng, rows), night(rng, rows)
            begun = time.process_time()
            false += alarmed(shifts(new, old))
            seconds += time.process_time() - begun
            more = 1.2 * new["recency_days"]
            few = {name: values[:FEW] for name, values in new.items()}  # as many tests as before
            moved = {**few, "recency_days": more}
            one = shifts(moved, {**few, "recency_days": old["recency_days"]})[0]
            hits += one.state == "alarm"
            indices.append(psi(more, old["recency_days"]))
        spent = seconds / runs
        print(f"| {rows:,} | {runs} | {false} | {hits} | {np.mean(indices):.3f} | {spent:.2f} |")


def shops():
    """Tables, a cutoff in their midst, and the horizon."""
    cdnow = pd.read_parquet(SHARED / "cdnow_sample/cdnow_sample.parquet")
    yield "Complete Journey", load_tables(ROOT / "churn.toml"), date(2017, 10, 1), 28
    yield "CDNOW", Tables.from_frames(cdnow, columns={"ordered_at": "date"}), date(1997, 10, 1), 84
    retail = load_tables(ROOT / "benchmarks/online_retail.toml")
    yield "Online Retail II", retail, date(2011, 6, 1), 84


def splits():
    """False alarms on halves of real cutoffs."""
    print("| shop | customers | columns tested | splits with an alarm of 500 | PSI above .1 |")
    print("|---|---|---|---|---|")
    for name, tables, cutoff, horizon in shops():
        clock = FeatureClock(horizon_days=horizon, lookback_days=2 * horizon)
        rows = sweep_features(tables, [cutoff], clock).table().to_pandas()
        columns = {column: rows[column].to_numpy(dtype=float) for column in rows.columns[3:]}
        rng = np.random.default_rng(7)
        false = usual = tested = 0
        for _ in range(SPLITS):
            heads = rng.random(len(rows)) < 0.5
            new = {column: values[heads] for column, values in columns.items()}
            old = {column: values[~heads] for column, values in columns.items()}
            found = shifts(new, old)
            tested = sum(one.state in ("ok", "alarm") for one in found)
            false += alarmed(found)
            usual += any(psi(new[column], old[column]) > LIMIT for column in columns)
        print(f"| {name} | {len(rows):,} | {tested} | {false} | {usual} |")


def loans():
    """The loans of the reference and of the analysis, every column as numbers."""
    spec = importlib.util.find_spec("nannyml")
    if spec is None:
        sys.exit("needs the files of the package nannyml on the path")
    data = Path(spec.submodule_search_locations[0]) / "datasets/data"
    named = (data / f"synthetic_car_loan_{part}.csv" for part in ("reference", "analysis"))
    reference, analysis = map(pd.read_csv, named)
    analysis = analysis.merge(pd.read_csv(data / "synthetic_car_loan_analysis_target.csv"), on="id")
    salaries = {name: n for n, name in enumerate(sorted(reference["salary_range"].unique()))}
    for rows in (reference, analysis):
        rows["salary_range"] = rows["salary_range"].map(salaries)
        rows["size_of_downpayment"] = rows["size_of_downpayment"].str.rstrip("%")
    unused = ["id", "timestamp", "y_pred"]
    return (rows.drop(columns=unused).astype(float) for rows in (reference, analysis))


def expected_auc(probabilities):
    """The AUC that is to be expected if the probabilities are right."""
    p = np.sort(probabilities)
    losers = np.concatenate([[0.0], np.cumsum(1 - p)[:-1]])
    first, last = np.searchsorted(p, p, side="left"), np.searchsorted(p, p, side="right")
    below = losers[first]
    ties = np.concatenate([[0.0], np.cumsum(1 - p)])
    wins = (p * (below + 0.5 * (ties[last] - ties[first] - (1 - p)))).sum()
    pairs = p.sum() * (1 - p).sum() - (p * (1 - p)).sum()
    return wins / pairs


def car_loans():
    """Every chunk of the analysis beside the reference."""
    reference, analysis = loans()
    level = IsotonicRegression(out_of_bounds="clip")
    level.fit(reference["y_pred_proba"], reference["repaid"])
    old = {n: reference[n].to_numpy() for n in reference.columns if n != "repaid"}
    print("| loans | shifted, with A | repaid, of expected ± 99 % | AUC, estimated | AUC |")
    print("|---|---|---|---|---|")
    for first in range(0, len(analysis), LOANS):
        chunk = analysis.iloc[first : first + LOANS]
        found = shifts({name: chunk[name].to_numpy() for name in old}, old)
        shifted = ", ".join(f"{one.name} {one.larger:.3f}" for one in found if one.state == "alarm")
        p = level.predict(chunk["y_pred_proba"])
        half = 2.576 * np.sqrt((p * (1 - p)).sum()) / p.sum()
        came = chunk["repaid"].sum() / p.sum()
        auc = roc_auc_score(chunk["repaid"], chunk["y_pred_proba"])
        print(
            f"| {first:,} | {shifted or 'none'} | {came:.3f} ± {half:.3f} "
            f"| {expected_auc(p):.3f} | {auc:.3f} |"
        )


if __name__ == "__main__":
    for part in sys.argv[1:] or ("simulated", "splits"):
        {"simulated": simulated, "splits": splits, "car_loans": car_loans}[part]()
