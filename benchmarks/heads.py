"""Expected orders and margin, and who comes back, on real purchases: `benchmarks/heads.py`.

Complete Journey (after `make train`), Online Retail II and the CDNOW sample (from ../shared/data),
and a simulated shop before its Christmas, each at three test cutoffs. A model knows what had closed
before its cutoff, and the features of that day, and nothing else.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

import churn
from churn.commands.simulate import simulate
from churn.modeling.dataset import Dataset
from churn.modeling.evaluate import Evaluation
from churn.modeling.portable import LIFETIME_FEATURES

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared" / "data"
MOST_CUTOFFS = 13


def complete_journey() -> Dataset:
    """14 days apart until 2017-12-03, a horizon of 28 days."""
    tables = churn.load_tables(ROOT / "churn.toml")
    return _panel(tables, newest=date(2017, 12, 3), every=14, horizon=28, count=20)


def online_retail() -> Dataset:
    """30 days apart until 2011-09-10, a horizon of 90 days."""
    lines = pd.read_parquet(SHARED / "online_retail_ii" / "online_retail_ii.parquet")
    lines = lines[lines["CustomerID"].notna()]
    frame = pd.DataFrame(
        {
            "customer_id": lines["CustomerID"].astype(str),
            "order_id": lines["InvoiceNo"].astype(str),
            "ordered_at": lines["InvoiceDate"],
            "amount": lines["Quantity"] * lines["UnitPrice"],
        }
    )
    orders = frame.groupby(["customer_id", "order_id"], as_index=False).agg(
        ordered_at=("ordered_at", "min"), amount=("amount", "sum")
    )
    tables = churn.Tables.from_frames(orders, currency="GBP")
    return _panel(tables, newest=date(2011, 9, 10), every=30, horizon=90, count=17)


def cdnow() -> Dataset:
    """21 days apart until 1998-04-02, a horizon of 90 days."""
    found = pd.read_parquet(SHARED / "cdnow_sample" / "cdnow_sample.parquet")
    names = {"customer_id": "customer_id", "date": "ordered_at", "amount": "amount"}
    orders = found.rename(columns=names)[list(names.values())].copy()
    orders["customer_id"] = orders["customer_id"].astype(str)
    orders["ordered_at"] = pd.to_datetime(orders["ordered_at"].astype(str))
    tables = churn.Tables.from_frames(orders)
    return _panel(tables, newest=date(1998, 4, 2), every=21, horizon=90, count=16)


def simulated() -> Dataset:
    """28 days apart until 2023-11-05, a horizon of 56 days: 10,000 customers, busiest on 15
    December.
    """
    with TemporaryDirectory() as folder:
        simulate(Path(folder) / "shop", customers=10_000, seed=1, lines=False)
        tables = churn.load_tables(Path(folder) / "shop/churn.toml")
        return _panel(tables, newest=date(2023, 11, 5), every=28, horizon=56, count=14)


def _panel(tables: churn.Tables, *, newest: date, every: int, horizon: int, count: int) -> Dataset:
    dates = tuple(newest - timedelta(days=every * k) for k in reversed(range(count)))
    cutoffs = churn.Cutoffs(dates, horizon, newest + timedelta(days=horizon))
    return churn.build_dataset(tables, cutoffs)


def judged(dataset: Dataset, test: date) -> tuple[Evaluation, churn.ChurnModel]:
    """The judgement at one cutoff of a model that learnt from what was known by then."""
    known = dataset.before(test)
    newest = known.cutoffs.only(known.cutoffs.dates[-MOST_CUTOFFS:])
    learnt = replace(known.only(newest), current=known.current)
    model = churn.ChurnModel(seed=7, margin_rate=1.0, threads=1).fit(learnt)
    return churn.evaluate(model, dataset.only(dataset.cutoffs.only((test,)))), model


def main(names: list[str]) -> None:
    """Prints a block of Markdown for each shop."""
    shops: dict[str, tuple[Callable[[], Dataset], int]] = {
        "complete_journey": (complete_journey, 2),
        "online_retail": (online_retail, 3),
        "cdnow": (cdnow, 2),
        "simulated": (simulated, 2),
    }
    for name in names or list(shops):
        build, apart = shops[name]
        dataset = build()
        tests = dataset.cutoffs.dates[-1 : -1 - 3 * apart : -apart]
        print(f"### {name}\n", flush=True)
        print("| cutoff | amount | predictor | expected | came | ratio | error each |")
        print("|---|---|---|---|---|---|---|")
        found = [(test, *judged(dataset, test)) for test in reversed(tests)]
        for test, evaluation, _ in found:
            for one in evaluation.amounts:
                low, high = one.ratio.low, one.ratio.high
                ratio = f"{one.ratio.estimate:.3f} [{low:.3f}, {high:.3f}]"
                cells = (test, one.amount.replace("margin", "spend"), one.predictor)
                sums = f"{one.expected:,.0f} | {one.came:,.0f} | {ratio}"
                print(f"| {' | '.join(map(str, cells))} | {sums} | {one.error.estimate:,.3f} |")
        _tell_the_rest(found)


def _tell_the_rest(found: list[tuple[date, Evaluation, churn.ChurnModel]]) -> None:
    print("\n| cutoff | amounts of the thin | win-back | lapsed | log loss | of the rate | gap |")
    print("|---|---|---|---|---|---|---|")
    for test, evaluation, model in found:
        told = ", ".join(model.amounts_["lifetime"]) or "trees"
        one, rate = (evaluation.of(who, "lapsed") for who in ("model", "group_rate"))
        losses = [f"{j.metrics['log_loss'].estimate:.4f}" for j in (one, rate)]
        gap = evaluation.win_back
        shown = "-" if gap is None else f"{gap.estimate:+.4f} [{gap.low:+.4f}, {gap.high:+.4f}]"
        kind = model.win_back_["kind"]
        print(f"| {test} | {told} | {kind} | {one.rows} | {' | '.join(losses)} | {shown} |")
    assert set(LIFETIME_FEATURES) <= set(found[0][2].feature_names_)
    print(flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
