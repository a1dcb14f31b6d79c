"""Reasons for a customer's score: contributions of the feature families, as sentences.

Contributions are TreeSHAP in log-odds, summed by family. They describe associations with the
risk, not causes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa

from churn.data.consent import objectors
from churn.data.tables import Snapshot
from churn.errors import ConfigError, check_type
from churn.features.builder import FeatureBatches, sweep_features
from churn.features.catalogue import CATALOGUE
from churn.modeling.model import ChurnModel
from churn.scoring.language import DEFAULT_LANGUAGE, Language, load_language
from churn.scoring.sentences import (
    baseline_sentence,
    family_name,
    sentence,
    sentence_values,
    status_sentence,
)

MAX_RAISING = 3
MIN_LOG_ODDS = 0.05
ROWS_AT_ONCE = 5_000  # bounds the memory that rows take as Python objects
CONTROLLED = "controlled by the shop"  # never a reason: the shop decides these features itself

EXPLAIN_SCHEMA = pa.schema(
    [
        ("customer_id", pa.string()),
        ("family", pa.string()),
        ("name", pa.string()),
        ("log_odds", pa.float64()),
        ("sentence", pa.string()),
    ]
)


@dataclass(frozen=True)
class Reason:
    """A feature family that `raises` or `lowers` a customer's risk or, if no model is active,
    what was `looked_at`. `log_odds` is then None.
    """

    family: str
    direction: Literal["raises", "lowers", "looked_at"]
    log_odds: float | None
    sentence: str

    def labelled(self, lang: Language) -> str:
        """The sentence after the label of its direction."""
        label: str = lang.texts["labels"][self.direction]
        return label.format(sentence=self.sentence)


@dataclass(frozen=True)
class Contributions:
    """TreeSHAP in log-odds: `by_feature` has the shape (rows, features), `by_family` (rows,
    families). What the shop controls is one family of its own.
    """

    features: list[str]
    families: list[str]
    by_feature: np.ndarray
    by_family: np.ndarray

    def weights(self, row: int, *, raises: bool) -> Mapping[str, float]:
        """Log-odds of each feature, positive in the direction of the reason."""
        signed = self.by_feature[row] if raises else -self.by_feature[row]
        return dict(zip(self.features, signed.tolist(), strict=True))

    @property
    def explained(self) -> list[int]:
        """Positions of the families that may become reasons."""
        return [i for i, family in enumerate(self.families) if family != CONTROLLED]


def contributions(model: ChurnModel, rows: pd.DataFrame) -> Contributions:
    """Contributions of the features to the lapse head, for every row of features."""
    portable = model.portable()
    shap = portable.boosters["lapse"].predict(
        portable.matrix(rows), pred_contrib=True, num_threads=portable.threads
    )
    by_feature = np.asarray(shap)[:, :-1]  # the last column is the same for everyone
    family_of = [_explained_family(name) for name in model.feature_names_]
    families = list(dict.fromkeys(family_of))
    by_family = np.zeros((len(rows), len(families)))
    # Column by column: rounding in a matrix product would depend on the number of rows.
    for column, family in enumerate(family_of):
        by_family[:, families.index(family)] += by_feature[:, column]
    return Contributions(list(model.feature_names_), families, by_feature, by_family)


def family_contributions(model: ChurnModel, rows: pd.DataFrame) -> tuple[list[str], np.ndarray]:
    """The families and what each adds to the log-odds of lapsing, shape (rows, families)."""
    parts = contributions(model, rows)
    return parts.families, parts.by_family


def feature_rows(
    model: ChurnModel, snapshot: Snapshot, customers: Collection[str]
) -> Iterator[pd.DataFrame]:
    """The model's features of these customers at the snapshot's date, in batches; customers
    unknown at that date have no row.
    """
    for batch in model_features(model, snapshot).only(customers).batches():
        yield batch.to_pandas()


def model_features(model: ChurnModel, snapshot: Snapshot) -> FeatureBatches:
    """The model's features of every customer known at the snapshot's date: what scores are made of
    and explained by. Customers of the customer list without a date of sign-up count as known.
    """
    tables = snapshot.tables
    tables.within(snapshot.as_of)
    names = model.feature_names_
    return sweep_features(tables, [snapshot.as_of], model.clock_, names=names, undated=True)


def reasons(
    model: ChurnModel,
    rows: pd.DataFrame,
    *,
    currency: str,
    language: str = DEFAULT_LANGUAGE,
) -> list[list[Reason]]:
    """For each row at most three reasons that raise the risk and one that lowers it, strongest
    first.

    Under a fallback model, and for customers who are not `eligible`, what was looked at instead.
    """
    lang = load_language(language)
    return [
        row_reasons
        for start in range(0, len(rows), ROWS_AT_ONCE)
        for row_reasons in _reasons(model, rows.iloc[start : start + ROWS_AT_ONCE], currency, lang)
    ]


def explain(
    model: ChurnModel,
    snapshot: Snapshot,
    customers: Collection[str],
    *,
    language: str = DEFAULT_LANGUAGE,
) -> pa.Table:
    """Log-odds and sentence of every family for the eligible among these customers,
    `EXPLAIN_SCHEMA`, strongest first.

    What the shop controls is one family without a sentence. Customers whom the model does not
    score have one row without log-odds, whose sentence states what was looked at: lapsed and new
    ones the family `status`, named by it; under a fallback model the family `rule`, named by the
    baseline. Raises ConfigError if a customer is unknown at that date or objected to profiling.
    """
    check_type(model, ChurnModel, name="model", fix="Pass explain(model, tables.as_of(date), ids).")
    check_type(snapshot, Snapshot, name="snapshot", fix="Pass tables.as_of(date).")
    lang = load_language(language)
    ids = _checked_ids(customers)
    parts = [*feature_rows(model, snapshot, ids - objectors(snapshot))]
    unknown = len(ids) - sum(map(len, parts))
    if unknown:
        rule = "customers must be known at that date and not have objected to profiling"
        raise ConfigError(rule, got=f"{unknown} others", fix="Leave them out.")
    if not parts:
        return EXPLAIN_SCHEMA.empty_table()
    rows = pd.concat(parts, ignore_index=True)
    modelled = (rows["status"] == "eligible") & (model.stand_in is None)
    currency = snapshot.tables.settings.currency
    lines = [
        *_family_lines(model, rows[modelled], currency, lang),
        *_looked_at_lines(model, rows[~modelled], currency, lang),
    ]
    lines.sort(key=lambda line: str(line["customer_id"]))  # stable: the strongest stay first
    return pa.Table.from_pylist(lines, schema=EXPLAIN_SCHEMA)


def _explained_family(feature: str) -> str:
    """The family under which a feature is explained; gaps and recency share their sentences."""
    spec = CATALOGUE[feature]
    if spec.controlled:
        return CONTROLLED
    return "recency" if spec.family == "gaps" else spec.family


def _checked_ids(customers: object) -> set[str]:
    """The customer ids; ConfigError for anything but a collection of strings."""
    fix = 'Pass a list of customer ids, e.g. ["c0001"].'
    if isinstance(customers, (str, bytes)) or not isinstance(customers, Iterable):
        rule = "customers must be a collection of customer ids"
        raise ConfigError(rule, got=type(customers).__name__, fix=fix)
    listed = list(customers)
    if not all(isinstance(name, str) for name in listed):
        rule = "customer ids must be texts"
        raise ConfigError(rule, got=f"{type(listed[0]).__name__} and others", fix=fix)
    return set(listed)


def _reasons(
    model: ChurnModel, rows: pd.DataFrame, currency: str, lang: Language
) -> Iterator[list[Reason]]:
    records = [sentence_values(record, model.clock_, currency) for record in _records(rows)]
    eligible = (
        (rows["status"] == "eligible").to_numpy() if "status" in rows else np.ones(len(rows), bool)
    )
    modelled = model.stand_in is None and bool(eligible.any())
    parts = contributions(model, rows[eligible]) if modelled else None
    position = np.cumsum(eligible) - 1
    for row, values in enumerate(records):
        if not eligible[row]:
            yield _looked_at("status", status_sentence(values["status"], values, lang))
        elif parts is None:
            yield _looked_at("rule", baseline_sentence(str(model.stand_in), values, lang))
        else:
            yield _strongest(parts, int(position[row]), values, lang)


def _strongest(
    parts: Contributions, row: int, values: dict[str, Any], lang: Language
) -> list[Reason]:
    part = parts.by_family[row]
    order = sorted(parts.explained, key=lambda i: -part[i])
    raising = [i for i in order[:MAX_RAISING] if part[i] >= MIN_LOG_ODDS]
    lowering = [i for i in order[-1:] if part[i] <= -MIN_LOG_ODDS]
    strongest = []
    for selected, raises in ((raising, True), (lowering, False)):
        weights = parts.weights(row, raises=raises) if selected else {}
        for i in selected:
            text = sentence(parts.families[i], values, weights, lang)
            direction: Literal["raises", "lowers"] = "raises" if raises else "lowers"
            strongest.append(Reason(parts.families[i], direction, float(part[i]), text))
    return strongest


def _looked_at(family: str, text: str | None) -> list[Reason]:
    return [] if text is None else [Reason(family, "looked_at", None, text)]


def _looked_at_lines(
    model: ChurnModel, rows: pd.DataFrame, currency: str, lang: Language
) -> Iterator[dict[str, Any]]:
    """One line for each customer whom the trees do not score."""
    for record, own in zip(_records(rows), _reasons(model, rows, currency, lang), strict=True):
        for reason in own:
            name = record["status"] if reason.family == "status" else model.stand_in
            yield {
                "customer_id": record["customer_id"],
                "family": reason.family,
                "name": name,
                "log_odds": None,
                "sentence": reason.sentence,
            }


def _family_lines(
    model: ChurnModel, rows: pd.DataFrame, currency: str, lang: Language
) -> Iterator[dict[str, Any]]:
    if rows.empty:
        return
    parts = contributions(model, rows)
    for row, record in enumerate(_records(rows)):
        values = sentence_values(record, model.clock_, currency)
        for i in np.argsort(-np.abs(parts.by_family[row]), kind="stable"):
            family, log_odds = parts.families[i], float(parts.by_family[row, i])
            line = {"customer_id": record["customer_id"], "family": family, "log_odds": log_odds}
            if family != CONTROLLED:
                weights = parts.weights(row, raises=log_odds > 0)
                line["name"] = family_name(family, lang)
                line["sentence"] = sentence(family, values, weights, lang)
            yield line


def _records(rows: pd.DataFrame) -> list[dict[str, Any]]:
    return rows.to_dict("records")  # type: ignore[return-value]
