"""Recommendations forward in time, beside the customer's own best sellers and the shop's.

    .venv/bin/python benchmarks/recommend.py

Complete Journey needs `make train` to have been run once, for its data; Online Retail II is read
from `../shared/data` (UCI, CC BY 4.0), which is no part of the project, and is left out where it is
absent. The method and its constants were chosen on label windows that end by 2017-10-08 and by
2011-06-06; judged here are later ones. Prints Markdown; each figure with its 95 % interval over
customers, each difference paired.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import churn
from churn.data.product_days import Level
from churn.data.tables import Tables
from churn.modeling.metrics import Interval
from churn.recommendations.evaluation import KindJudgement
from churn.recommendations.recommend import fit_recommender
from churn.recommendations.settings import RecommendSettings

ROOT = Path(__file__).resolve().parents[1]
RETAIL = ROOT.parent / "shared/data/online_retail_ii/online_retail_ii.parquet"
# What stands among the wholesaler's products and is none: postage, fees, corrections, samples.
NO_PRODUCTS = ("ADJUST", "BANK CHARGES", "C2", "D", "DOT", "M", "PADS", "POST")
HEADER = (
    *("shop", "lists", "learnt", "own", "own, then shop", "shop"),
    *("learnt has more hits by", "NDCG, learnt", "more by"),
)
SHOWN = ("learnt", "own", "own_then_shop", "shop")


@dataclass(frozen=True)
class Case:
    """A shop as of a date, and on how many horizons before it lists are judged."""

    shop: str
    as_of: str
    horizon_days: int
    cutoffs: int
    level: Level = "product"


JOURNEY = (
    Case("Complete Journey, 28 days", "2017-12-31", 28, 3),
    Case("Complete Journey, 28 days, categories", "2017-12-31", 28, 3, "category"),
)
WHOLESALER = (
    Case("Online Retail II, 84 days", "2011-12-09", 84, 2),
    Case("Online Retail II, 28 days", "2011-12-09", 28, 3),
)


def main() -> None:
    """Print the table."""
    print(row(HEADER), row(["---"] * len(HEADER)), sep="\n")
    show(churn.load_tables(ROOT / "churn.toml"), JOURNEY)
    if not RETAIL.exists():
        print("skipped: there is no ../shared/data/online_retail_ii beside the project")
        return
    tables = churn.load_tables(ROOT / "benchmarks/online_retail.toml")
    show(tables, WHOLESALER, exclude=NO_PRODUCTS)


def show(tables: Tables, cases: tuple[Case, ...], exclude: tuple[str, ...] = ()) -> None:
    """The lines of a shop's cases, one for each kind of list."""
    for case in cases:
        learnt = fit_recommender(
            tables.as_of(case.as_of),
            horizon_days=case.horizon_days,
            level=case.level,
            settings=RecommendSettings(exclude=exclude),
            cutoffs=case.cutoffs,
        )
        dates = ", ".join(str(one) for one in sorted(learnt.cutoffs))
        for kind, judged in learnt.judgement.items():
            print(row([f"{case.shop}, from {dates}", *cells(kind, judged)]), flush=True)
    tables.engine.close()


def cells(kind: str, judged: KindJudgement) -> list[str]:
    """Hit rates of all predictors, and by how much the learnt lists beat what would stand in."""
    rates = [
        f"{judged.figures[name]['hit_rate'].estimate:.3f}" if name in judged.figures else ""
        for name in SHOWN
    ]
    more = judged.differences[judged.fallback]
    ndcg = f"{judged.figures['learnt']['ndcg'].estimate:.3f}"
    gaps = text(more["hit_rate"]), ndcg, text(more["ndcg"])
    return [f"{judged.lists:,} {kind}", *rates, *gaps]


def text(found: Interval) -> str:
    """`+.123 [+.111, +.135]`."""
    numbers = (f"{one:+.3f}" for one in (found.estimate, found.low, found.high))
    return "{} [{}, {}]".format(*numbers)


def row(texts: Iterable[str]) -> str:
    """A line of a Markdown table."""
    return f"| {' | '.join(texts)} |"


if __name__ == "__main__":
    main()
