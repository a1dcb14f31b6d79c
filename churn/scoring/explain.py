"""Reasons for a customer's score: contributions of the feature families, as sentences.

Contributions are in log-odds, summed by family. They describe associations with the
risk, not causes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa

from churn.arrays import Bools, Floats, Ints
from churn.data.consent import objectors
from churn.data.history.columns import Column, numbers
from churn.data.tables import Snapshot
from churn.errors import ConfigError, check_type
from churn.features.builder import FeatureBatches, sweep_features
from churn.features.catalogue import CATALOGUE
from churn.modeling.model import ChurnModel
from churn.modeling.portable import Rows, simple_parts, statuses
from churn.scoring.language import DEFAULT_LANGUAGE, Language, Texts, load_language
from churn.scoring.sentences import (
    baseline_sentences,
    family_name,
    rows_of,
    sentence_values,
    sentences,
    status_sentences,
)
from churn.scoring.tree_shap import tree_shap

MAX_RAISING = 3
MIN_LOG_ODDS = 0.05
CONTROLLED = "controlled by the shop"  # never a reason: the shop decides these features itself
DIRECTIONS = ("raises", "lowers", "looked_at")

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
class ReasonColumns:
    """Reasons of many customers, one array each of shape (reasons,), by customer, strongest first.

    `row` is the customer's place among `rows`; `log_odds` is NaN for what was looked at.
    """

    rows: int
    row: Ints
    family: Texts
    direction: Texts
    log_odds: Floats
    sentence: Texts

    @classmethod
    def joined(cls, rows: int, parts: Sequence[ReasonColumns]) -> ReasonColumns:
        """The reasons of all parts, by customer."""
        names = ("row", "family", "direction", "log_odds", "sentence")
        if not parts:
            none = np.empty(0, dtype=object)
            return cls(rows, np.empty(0, dtype=int), none, none, np.empty(0), none)
        arrays = [np.concatenate([getattr(part, name) for part in parts]) for name in names]
        order = np.argsort(arrays[0], kind="stable")
        return cls(rows, *(array[order] for array in arrays))

    def listed(self) -> list[list[Reason]]:
        """The reasons of each customer."""
        found: list[list[Reason]] = [[] for _ in range(self.rows)]
        columns = (self.row, self.family, self.direction, self.log_odds, self.sentence)
        for row, family, direction, log_odds, text in zip(*columns, strict=True):
            weight = None if direction == "looked_at" else float(log_odds)
            found[row].append(Reason(family, direction, weight, text))
        return found

    def arrow(self, lang: Language) -> tuple[pa.Array, pa.Array]:
        """The labelled sentences of each customer, and the families that raise the risk."""
        texts = np.full(len(self.row), "", dtype=object)
        for direction in DIRECTIONS:
            before, after = str(lang.texts["labels"][direction]).split("{sentence}")
            own = self.direction == direction
            texts[own] = before + self.sentence[own] + after
        raises = self.direction == "raises"
        return self._lists(self.row, texts), self._lists(self.row[raises], self.family[raises])

    def _lists(self, row: Ints, texts: Texts) -> pa.Array:
        ends = np.cumsum(np.bincount(row, minlength=self.rows))
        offsets = pa.array(np.concatenate([[0], ends]), pa.int32())
        return pa.ListArray.from_arrays(offsets, pa.array(texts, pa.string()))


@dataclass(frozen=True)
class Contributions:
    """Contributions in log-odds: `by_feature` has the shape (rows, features), `by_family` (rows,
    families). What the shop controls is one family of its own.
    """

    features: list[str]
    families: list[str]
    by_feature: np.ndarray
    by_family: np.ndarray

    def weights(self, rows: Any, *, raises: bool) -> Mapping[str, Floats]:
        """Log-odds of each feature in some rows, positive in the direction of the reason."""
        signed = self.by_feature[rows] if raises else -self.by_feature[rows]
        return dict(zip(self.features, signed.T, strict=True))

    @property
    def explained(self) -> list[int]:
        """Positions of the families that may become reasons."""
        return [i for i, family in enumerate(self.families) if family != CONTROLLED]


def contributions(model: ChurnModel, rows: Rows) -> Contributions:
    """Contributions of the features to the log-odds of lapsing, for every row of features: TreeSHAP
    of the trees, and the terms of the two simple models, each with its weight in the blend.
    """
    portable = model.portable()
    trees = portable.boosters["lapse"]
    by_feature = tree_shap(trees, portable.matrix(rows), threads=portable.threads)
    if model.blend_ is not None:
        by_feature = (1 - model.blend_["weight"]) * by_feature
        for name, part in simple_parts(model.blend_, rows).items():
            known = name if name in model.feature_names_ else "recency_days"
            by_feature[:, model.feature_names_.index(known)] += part
    family_of = [_explained_family(name) for name in model.feature_names_]
    families = list(dict.fromkeys(family_of))
    by_family = np.zeros((len(by_feature), len(families)))
    # Column by column: rounding in a matrix product would depend on the number of rows.
    for column, family in enumerate(family_of):
        by_family[:, families.index(family)] += by_feature[:, column]
    return Contributions(list(model.feature_names_), families, by_feature, by_family)


def family_contributions(model: ChurnModel, rows: pd.DataFrame) -> tuple[list[str], np.ndarray]:
    """The families and what each adds to the log-odds of lapsing, shape (rows, families)."""
    parts = contributions(model, rows)
    return parts.families, parts.by_family


def feature_columns(
    model: ChurnModel, snapshot: Snapshot, customers: Collection[str]
) -> dict[str, Column]:
    """customer_id, status and the model's features of these customers at the snapshot's date;
    customers unknown at that date have no row.
    """
    return columns_of(model_features(model, snapshot).only(customers).table())


def columns_of(rows: pa.Table | pa.RecordBatch) -> dict[str, Column]:
    """The columns as arrays of numbers (NaN for null) or of texts."""
    table = pa.Table.from_batches([rows]) if isinstance(rows, pa.RecordBatch) else rows
    return {
        field.name: numbers(column)
        if pa.types.is_floating(field.type)
        else column.to_numpy(zero_copy_only=False)
        for field, column in zip(table.schema, table.columns, strict=True)
    }


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
    columns = {str(name): rows[name].to_numpy() for name in rows.columns}
    lang = load_language(language)
    return reason_columns(model, {**columns, "status": statuses(rows)}, currency, lang).listed()


def reason_columns(
    model: ChurnModel, columns: Mapping[str, Column], currency: str, lang: Language
) -> ReasonColumns:
    """The same for columns of `status` and of the model's features."""
    values = sentence_values(columns, model.clock_, currency)
    status = columns["status"]
    parts = []
    for one in dict.fromkeys(status.tolist()):
        own = np.flatnonzero(status == one)
        some = rows_of(values, own)
        if one != "eligible":
            texts = status_sentences(one, some, lang, rows=len(own))
            parts.append(_looked_at("status", own, texts))
        elif model.stand_in is not None:
            texts = baseline_sentences(model.stand_in, some, lang, rows=len(own))
            parts.append(_looked_at("rule", own, texts))
        else:
            parts.append(_strongest(contributions(model, some), own, some, lang))
    return ReasonColumns.joined(len(status), parts)


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
    columns = feature_columns(model, snapshot, ids - objectors(snapshot))
    unknown = len(ids) - len(columns["customer_id"])
    if unknown:
        rule = "customers must be known at that date and not have objected to profiling"
        raise ConfigError(rule, got=f"{unknown} others", fix="Leave them out.")
    modelled = (columns["status"] == "eligible") & (model.stand_in is None)
    currency = snapshot.tables.settings.currency
    lines = [
        *_family_lines(model, rows_of(columns, modelled), currency, lang),
        *_looked_at_lines(model, rows_of(columns, ~modelled), currency, lang),
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


def _strongest(
    parts: Contributions, places: Ints, values: Mapping[str, Any], lang: Language
) -> ReasonColumns:
    """The reasons of eligible customers, who have those places among all."""
    explained = np.array(parts.explained, dtype=int)
    by_family = parts.by_family[:, explained]
    order = np.argsort(-by_family, axis=1, kind="stable")
    ordered = np.take_along_axis(by_family, order, axis=1)
    slots = np.concatenate([order[:, :MAX_RAISING], order[:, -1:]], axis=1)
    is_reason = np.concatenate(
        [ordered[:, :MAX_RAISING] >= MIN_LOG_ODDS, ordered[:, -1:] <= -MIN_LOG_ODDS], axis=1
    )
    row, slot = np.nonzero(is_reason)
    family = explained[slots[row, slot]]
    raises = slot < slots.shape[1] - 1
    texts = np.full(len(row), None, dtype=object)
    for one in np.unique(family):
        for direction in (True, False):
            own = np.flatnonzero((family == one) & (raises == direction))
            if len(own):
                texts[own] = _family_texts(parts, one, row[own], values, lang, raises=direction)
    names = np.array(parts.families, dtype=object)
    directions = np.where(raises, *np.array(DIRECTIONS[:2], dtype=object))
    log_odds = parts.by_family[row, family]
    return ReasonColumns(len(places), places[row], names[family], directions, log_odds, texts)


def _family_texts(
    parts: Contributions,
    family: int,
    rows: Ints | Bools,
    values: Mapping[str, Any],
    lang: Language,
    *,
    raises: bool,
) -> Texts:
    """A family's sentence for each of those rows."""
    weights = parts.weights(rows, raises=raises)
    count = len(parts.by_feature[rows])
    return sentences(parts.families[family], rows_of(values, rows), weights, lang, rows=count)


def _looked_at(family: str, places: Ints, texts: Texts) -> ReasonColumns:
    """One reason for each customer with a text."""
    found = np.flatnonzero(texts != np.array(None))
    rows, families = len(found), np.full(len(found), family, dtype=object)
    directions = np.full(rows, "looked_at", dtype=object)
    unknown = np.full(rows, np.nan)
    return ReasonColumns(len(places), places[found], families, directions, unknown, texts[found])


def _looked_at_lines(
    model: ChurnModel, columns: Mapping[str, Column], currency: str, lang: Language
) -> Iterator[dict[str, Any]]:
    """One line for each customer whom the trees do not score."""
    found = reason_columns(model, columns, currency, lang)
    for row, family, text in zip(found.row, found.family, found.sentence, strict=True):
        yield {
            "customer_id": columns["customer_id"][row],
            "family": family,
            "name": columns["status"][row] if family == "status" else model.stand_in,
            "log_odds": None,
            "sentence": text,
        }


def _family_lines(
    model: ChurnModel, columns: Mapping[str, Column], currency: str, lang: Language
) -> Iterator[dict[str, Any]]:
    """One line for each family of each customer whom the trees score."""
    ids = columns["customer_id"]
    if not len(ids):
        return
    parts = contributions(model, columns)
    values = sentence_values(columns, model.clock_, currency)
    texts = np.full(parts.by_family.shape, None, dtype=object)
    for family in parts.explained:
        for raises in (True, False):
            own = np.flatnonzero((parts.by_family[:, family] > 0) == raises)
            texts[own, family] = _family_texts(parts, family, own, values, lang, raises=raises)
    for row, order in enumerate(np.argsort(-np.abs(parts.by_family), axis=1, kind="stable")):
        for i in order:
            family = parts.families[i]
            log_odds = float(parts.by_family[row, i])
            line = {"customer_id": ids[row], "family": family, "log_odds": log_odds}
            if family != CONTROLLED:
                line |= {"name": family_name(family, lang), "sentence": texts[row, i]}
            yield line
