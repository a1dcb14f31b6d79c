"""Why a customer is at risk: families of features, in the customer's own numbers.

Contributions are TreeSHAP in log-odds, summed by family. They say what goes along with the risk,
never what causes it.
"""

from __future__ import annotations

from math import isnan
from typing import Any

import numpy as np
import pandas as pd

from churn.features.catalogue import CATALOGUE
from churn.modeling.model import ChurnModel
from churn.scoring.sentences import sentence

__all__ = ["family_contributions", "reasons", "spoken"]

MOST_RAISING = 3
LEAST_LOG_ODDS = 0.05
CONTROLLED = "controlled by the shop"  # never told: what the shop decides is no news and no advice


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
    one = CATALOGUE[feature]
    if one.controlled:
        return CONTROLLED
    return "recency" if one.family == "gaps" else one.family


def _sentences(families: list[str], part: np.ndarray, record: dict[str, Any]) -> list[str]:
    told = [i for i in np.argsort(-part, kind="stable") if families[i] != CONTROLLED]
    raising = [families[i] for i in told[:MOST_RAISING] if part[i] >= LEAST_LOG_ODDS]
    words = spoken(record)
    said = [sentence(family, words, raises=True) for family in raising]
    if told and part[told[-1]] <= -LEAST_LOG_ODDS:
        said.append(sentence(families[told[-1]], words, raises=False))
    return said


def spoken(record: dict[str, Any]) -> dict[str, Any]:
    """A row of features with the lengths of time that sentences name in words, e.g. "1 day"."""
    lengths = {"recency": "recency_days", "tenure": "tenure_days", "gap": "expected_gap_days"}
    known = {word: record[name] for word, name in lengths.items() if not isnan(record[name])}
    words = {word: _days(round(value)) for word, value in known.items()}
    if record.get("is_cancelled") == 1:
        words["cancelled_and_ends"] = _days(round(record["days_to_expiry"]))
    return {**record, **words}


def _days(count: int) -> str:
    return "day" if count == 0 else "1 day" if count == 1 else f"{count} days"
