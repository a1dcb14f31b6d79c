"""Hillstrom's e-mail test: uplift and Qini of every learner, out of fold, and the verdicts.

Kevin Hillstrom's MineThatData challenge (2008): 64,000 customers, a women's e-mail, a men's e-mail
or none by lot; the outcome is a visit within two weeks.

    python benchmarks/hillstrom.py PATH/hillstrom.parquet
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from churn.uplift.experiment import ExperimentData
from churn.uplift.ranking import (
    Contrast,
    UpliftReport,
    evaluate_rankings,
)
from churn.uplift.study import OutOfFold, StudySettings, cross_fit, study

sys.path.append(str(Path(__file__).parents[1] / "tests" / "shop"))
from plain_ranking import PlainRanking

__all__ = ["hillstrom_experiment", "main", "plain_report"]

EMAILS = {"Womens E-Mail": "womens", "Mens E-Mail": "mens", "No E-Mail": "none"}
DAYS = 14


def hillstrom_experiment(path: Path) -> ExperimentData:
    """The test as an experiment; a row's number stands for its customer."""
    raw = pd.read_parquet(path)
    features = pd.DataFrame(
        {
            "months_since_purchase": raw["recency"],
            "spend_of_a_year": raw["history"],
            "bought_mens": raw["mens"],
            "bought_womens": raw["womens"],
            "is_new": raw["newbie"],
            **{f"lives_{kind.lower()}": raw["zip_code"] == kind for kind in ("Rural", "Urban")},
            **{f"by_{kind.lower()}": raw["channel"] == kind for kind in ("Phone", "Web")},
        }
    ).astype("float64")
    columns = pd.DataFrame(
        {
            "customer_id": np.arange(len(raw)).astype(str),
            "lot": "hillstrom",
            "offer_id": raw["segment"].map(EMAILS).astype("object"),
            "propensity": 1 / len(EMAILS),
            "retained": raw["visit"].astype("float64"),
            "margin": raw["spend"].astype("float64"),
        }
    )
    return ExperimentData(pd.concat([columns, features], axis=1), tuple(features.columns), DAYS)


def plain_report(
    data: ExperimentData, offer: str, seen: OutOfFold, settings: StudySettings
) -> UpliftReport:
    """Each ranking by the plain difference of both arms, as the literature does."""
    contrast, rows = Contrast.of(data, offer)
    column = seen.offers.index(offer)
    scores = {name: effects[rows, column] for name, effects in seen.effects.items()}
    scores["risk"] = -seen.outcomes[rows, 0]
    rankings = {name: PlainRanking.of(contrast, score) for name, score in scores.items()}
    return evaluate_rankings(rankings, contrast.customer, replicates=settings.replicates)


def main(path: Path) -> None:
    """Print the table and the verdicts."""
    data = hillstrom_experiment(path)
    settings = StudySettings(folds=5, replicates=1000)
    found = study(data, settings).findings
    seen = cross_fit(data, data.offers, settings)
    print("| e-mail | ranking | uplift at 30 % | Qini area | dr less it, uplift | area |")
    print("|---|---|---|---|---|---|")
    for name in found:
        report = plain_report(data, name, seen, settings)
        for ranking, uplift in report.uplift.items():
            gaps = (report.ahead.get(ranking), report.qini_ahead.get(ranking))
            cells = (uplift, report.qini[ranking], *gaps)
            said = " | ".join("" if c is None else _interval(c) for c in cells)
            print(f"| {name} | {ranking} | {said} |")
    for name, one in found.items():
        average = one.line.average
        print(f"\n{name}: {one.verdict}; average {average.estimate:.4f} ", end="")
        print(f"[{average.low:.4f}, {average.high:.4f}] (90 %), slope {one.line.slope:.2f}")
        print("\n".join(f"- {reason}" for reason in one.reasons))
        for kind, groups in one.groups.items():
            for group in groups:
                print(f"- {kind}: {group.rule}: {group.effect:.4f} [{group.low:.4f}, ", end="")
                print(f"{group.high:.4f}]")


def _interval(one: object) -> str:
    return "{estimate:.4f} [{low:.4f}, {high:.4f}]".format(**vars(one))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
