"""Why a customer is at risk: families of features, in the customer's own numbers.

Contributions are TreeSHAP in log-odds, summed by family. They say what goes along with the risk,
never what causes it. The sentences are data: one pair per family.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from churn.features.catalogue import CATALOGUE
from churn.modeling.model import ChurnModel

__all__ = ["family_contributions", "reasons", "spoken"]

MOST_RAISING = 3
LEAST_LOG_ODDS = 0.05
SENTENCES: dict[str, tuple[str, str]] = {
    "recency": (
        "Last order {recency} ago; usually every {gap}.",
        "Last order only {recency} ago; usually every {gap}.",
    ),
    "frequency": (
        "Bought on {purchase_days_90d:.0f} of the last 90 days.",
        "Bought on as many as {purchase_days_90d:.0f} of the last 90 days.",
    ),
    "money": (
        "Spent {net_spend_90d:,.2f} in the last 90 days.",
        "Spent as much as {net_spend_90d:,.2f} in the last 90 days.",
    ),
    "tenure": (
        "First order {tenure} ago.",
        "A customer for {tenure}.",
    ),
    "activity": (
        "Active in {active_window_share:.0%} of the recent half-horizons.",
        "Active in as many as {active_window_share:.0%} of the recent half-horizons.",
    ),
    "regularity": (
        "Buys at irregular times.",
        "Buys at regular times.",
    ),
    "trend": (
        "Buys less than before.",
        "Buys at least as much as before.",
    ),
}


def reasons(model: ChurnModel, rows: pd.DataFrame) -> list[list[str]]:
    """At most three sentences on what raises the risk and one on what protects, for each row.

    None where a baseline stands in for the model, for then its trees do not speak.
    """
    if model.stand_in is not None or len(rows) == 0:
        return [[] for _ in range(len(rows))]
    families, parts = family_contributions(model, rows)
    records: list[dict[str, Any]] = rows.to_dict("records")  # type: ignore[assignment]
    return [_sentences(families, part, record) for part, record in zip(parts, records, strict=True)]


def family_contributions(model: ChurnModel, rows: pd.DataFrame) -> tuple[list[str], np.ndarray]:
    """The families and what each adds to the log-odds of lapsing, shape (rows, families)."""
    portable = model.portable()
    matrix = portable.matrix(rows)
    shap = portable.boosters["lapse"].predict(
        matrix, pred_contrib=True, num_threads=portable.threads
    )
    family_of = [_told_as(name) for name in model.feature_names_]
    families = list(dict.fromkeys(family_of))
    columns = [
        np.asarray(shap)[:, [i for i, f in enumerate(family_of) if f == family]].sum(axis=1)
        for family in families
    ]
    return families, np.column_stack(columns)


def _told_as(feature: str) -> str:
    """The family of a feature; gaps and recency are told in one sentence."""
    family = CATALOGUE[feature].family
    return "recency" if family == "gaps" else family


def _sentences(families: list[str], part: np.ndarray, record: dict[str, Any]) -> list[str]:
    order = np.argsort(-part, kind="stable")
    raising = [families[i] for i in order[:MOST_RAISING] if part[i] >= LEAST_LOG_ODDS]
    least = order[-1]
    words = spoken(record)
    said = [SENTENCES[family][0].format(**words) for family in raising]
    if part[least] <= -LEAST_LOG_ODDS:
        said.append(SENTENCES[families[least]][1].format(**words))
    return said


def spoken(record: dict[str, Any]) -> dict[str, Any]:
    """A row of features with the lengths of time that sentences name in words, e.g. "1 day"."""
    lengths = {"recency": "recency_days", "tenure": "tenure_days", "gap": "expected_gap_days"}
    words = {word: _days(round(record[feature])) for word, feature in lengths.items()}
    return {**record, **words}


def _days(count: int) -> str:
    return "day" if count == 0 else "1 day" if count == 1 else f"{count} days"
