"""From requests to scores: the builder and the model of the batch, on rows that came by HTTP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np

from churn.arrays import Floats
from churn.errors import ModelError
from churn.features.histories import History, HistoryFeatures
from churn.modeling.portable import OUTPUTS
from churn.scoring.explain import columns_of, reason_columns
from churn.scoring.language import load_language
from churn.scoring.sentences import rows_of
from churn.serving.api.champion import LoadedModel
from churn.serving.api.problems import ProblemError
from churn.serving.api.schemas import CustomerHistory, FeatureRequest

NO_ORDER = "no_order_before_as_of"
NO_SCORE = "no_score"


@dataclass(frozen=True)
class HistoryTask:
    """Histories of one request to be scored; `reasons` asks for explanations."""

    loaded: LoadedModel
    features: HistoryFeatures = field(repr=False)
    as_of: date
    histories: Sequence[History] = field(repr=False)
    reasons: bool = False


@dataclass(frozen=True)
class Explaining:
    """The currency and language of reasons."""

    currency: str
    language: str

    def texts(
        self, loaded: LoadedModel, columns: Mapping[str, Any], rows: Sequence[int]
    ) -> dict[int, list[str]]:
        """The sentences of some rows, by their place."""
        lang = load_language(self.language)
        chosen = rows_of(columns, np.array(rows, dtype=np.int64))
        found = reason_columns(loaded.model, chosen, self.currency, lang)
        sentences, _ = found.arrow(lang)
        return dict(zip(rows, sentences.to_pylist(), strict=True))


def history_of(customer: CustomerHistory, needs: frozenset[str]) -> History:
    """The rows of a customer of a request; problem 422 if the model needs events and none came."""
    if needs and customer.events is None:
        pointer = "#/customers/events"
        detail = f"The model has features of {', '.join(sorted(needs))}: send events, if only [] ."
        raise ProblemError(
            422, "events-needed", "A history is incomplete.", errors=[_at(pointer, detail)]
        )
    orders = [(one.ordered_at, one.amount, one.discount, one.channel) for one in customer.orders]
    events = [(one.at, one.kind, one.value, one.ref) for one in customer.events or ()]
    return History(orders, events)


def score_histories(
    tasks: Sequence[HistoryTask], explaining: Explaining
) -> list[list[dict[str, Any] | None]]:
    """For each task the score of each history, None without an order before the date.

    Tasks of one model and date are built and predicted together.
    """
    results: list[list[dict[str, Any] | None]] = [[None] * len(task.histories) for task in tasks]
    groups: dict[tuple[int, date], list[int]] = {}
    for place, task in enumerate(tasks):
        groups.setdefault((id(task.features), task.as_of), []).append(place)
    for places in groups.values():
        _score_group([tasks[place] for place in places], [results[p] for p in places], explaining)
    return results


def _score_group(
    tasks: Sequence[HistoryTask],
    results: Sequence[list[dict[str, Any] | None]],
    explaining: Explaining,
) -> None:
    first = tasks[0]
    histories = [history for task in tasks for history in task.histories]
    homes = [(task, place) for task in range(len(tasks)) for place in range(len(results[task]))]
    table, known = first.features.build(histories, first.as_of)
    if not known:
        return
    columns = columns_of(table)
    scores = score_dicts(first.loaded.model.predict_columns(columns), columns["status"])
    asked = [row for row, place in enumerate(known) if tasks[homes[place][0]].reasons]
    texts = explaining.texts(first.loaded, columns, asked) if asked else {}
    for row, place in enumerate(known):
        task, slot = homes[place]
        results[task][slot] = scores[row] | ({"reasons": texts[row]} if row in texts else {})


@dataclass(frozen=True)
class FeatureTask:
    """Rows of ready features to be scored: shape (rows, features) in the model's order, NaN where
    unknown; and the status of each row.
    """

    loaded: LoadedModel
    matrix: Floats = field(repr=False)
    status: Any = field(repr=False)
    reasons: bool = False


def score_rows(tasks: Sequence[FeatureTask], explaining: Explaining) -> list[list[dict[str, Any]]]:
    """For each task the score of each row; tasks of one model are predicted together.

    ProblemError 422 for unusable values.
    """
    results: list[list[dict[str, Any]]] = [[] for _ in tasks]
    groups: dict[int, list[int]] = {}
    for place, task in enumerate(tasks):
        groups.setdefault(id(task.loaded), []).append(place)
    for places in groups.values():
        scored = _score_rows([tasks[place] for place in places], explaining)
        for place, scores in zip(places, scored, strict=True):
            results[place] = scores
    return results


def _score_rows(tasks: Sequence[FeatureTask], explaining: Explaining) -> list[list[dict[str, Any]]]:
    loaded = tasks[0].loaded
    matrix = np.concatenate([task.matrix for task in tasks])
    status = np.concatenate([task.status for task in tasks])
    columns = {**dict(zip(loaded.model.feature_names_, matrix.T, strict=True)), "status": status}
    scores = _predicted(loaded, columns)
    ends = np.cumsum([len(task.status) for task in tasks]).tolist()
    slices = [range(end - len(task.status), end) for end, task in zip(ends, tasks, strict=True)]
    asked = [row for task, rows in zip(tasks, slices, strict=True) if task.reasons for row in rows]
    texts = explaining.texts(loaded, columns, asked) if asked else {}
    scores = [
        score | {"reasons": texts[row]} if row in texts else score
        for row, score in enumerate(scores)
    ]
    return [scores[rows.start : rows.stop] for rows in slices]


def feature_task(loaded: LoadedModel, request: FeatureRequest) -> FeatureTask:
    """The rows of a request; ProblemError 422 if their features are not the model's."""
    check_names(loaded, request.features)
    count, width = len(request.rows), len(request.features)
    for place, row in enumerate(request.rows):
        if len(row) != width:
            detail = f"A row must have {width} values, one for each feature."
            raise ProblemError(422, "wrong-width", detail, errors=[_at(f"#/rows/{place}", detail)])
    statuses = request.statuses or ["eligible"] * count
    if len(statuses) != count:
        detail = f"There must be one status for each of the {count} rows."
        raise ProblemError(422, "wrong-length", detail, errors=[_at("#/statuses", detail)])
    matrix = np.array(request.rows, dtype=np.float64).reshape(count, width)
    names = loaded.model.feature_names_
    if request.features != names:
        places = {name: place for place, name in enumerate(request.features)}
        matrix = matrix[:, [places[name] for name in names]]
    return FeatureTask(loaded, matrix, np.array(statuses, dtype=object), request.reasons)


def check_names(loaded: LoadedModel, names: Sequence[str]) -> None:
    """Problem 422 unless these are the model's features, each once; foreign names are counted."""
    given, known = set(names), loaded.known_features
    if given == known and len(names) == len(known):
        return
    missing = sorted(known - given)
    detail = (
        f"The model expects its own {len(known)} features, each once; "
        f"missing: {missing}, unknown: {len(given - known)}. GET /v1/model lists them."
    )
    raise ProblemError(422, "wrong-features", detail, errors=[_at("#/features", detail)])


def _predicted(loaded: LoadedModel, columns: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The scores of columns of features and statuses; ProblemError 422 for unusable values."""
    if not len(columns["status"]):
        return []
    try:
        outputs = loaded.model.predict_columns(columns)
    except ModelError:
        detail = "Features must be finite in single precision, and not all null in eligible rows."
        raise ProblemError(422, "unusable-features", detail) from None
    return score_dicts(outputs, columns["status"])


def score_dicts(outputs: Mapping[str, Any], status: Any) -> list[dict[str, Any]]:
    """One dictionary for each row; NaN becomes null in JSON."""
    names = ("status", *OUTPUTS)
    values = [status.tolist(), *(outputs[name].tolist() for name in OUTPUTS)]
    return [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)]


def _at(pointer: str, detail: str) -> dict[str, str]:
    return {"pointer": pointer, "detail": detail}
