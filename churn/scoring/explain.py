"""Why a customer is at risk: families of features, in the customer's own numbers.

Contributions are TreeSHAP in log-odds, summed by family. They say what goes along with the risk,
never what causes it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa

from churn.data.consent import objectors
from churn.data.tables import Snapshot
from churn.errors import ConfigError, check_type
from churn.modeling.model import ChurnModel
from churn.scoring.contributions import CONTROLLED, Contributions, contributions, feature_rows
from churn.scoring.language import DEFAULT_LANGUAGE, Language
from churn.scoring.language import language as speech_of
from churn.scoring.sentences import family_name, rule_sentence, sentence, spoken, status_sentence

MOST_RAISING = 3
LEAST_LOG_ODDS = 0.05
ROWS_AT_ONCE = 5_000  # bounds the memory that rows take as Python objects

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
    """One thing that goes along with a customer's risk: it `raises` it, `lowers` it, or is what
    a rule `looked_at` where no model speaks. `log_odds` is then None.
    """

    family: str
    direction: Literal["raises", "lowers", "looked_at"]
    log_odds: float | None
    sentence: str

    def marked(self, speech: Language) -> str:
        """The sentence after the words that tell its direction."""
        mark: str = speech.texts["marks"][self.direction]
        return mark.format(sentence=self.sentence)


def reasons(
    model: ChurnModel,
    rows: pd.DataFrame,
    *,
    currency: str,
    language: str = DEFAULT_LANGUAGE,
) -> list[list[Reason]]:
    """For each row at most three reasons that raise the risk and one that lowers it, strongest
    first.

    Where the model's trees do not speak, because a baseline stands in or the status is not
    `eligible`, what was looked at instead.
    """
    speech = speech_of(language)
    return [
        said
        for start in range(0, len(rows), ROWS_AT_ONCE)
        for said in _reasons(model, rows.iloc[start : start + ROWS_AT_ONCE], currency, speech)
    ]


def explain(
    model: ChurnModel,
    snapshot: Snapshot,
    customers: Collection[str],
    *,
    language: str = DEFAULT_LANGUAGE,
) -> pa.Table:
    """Every family's log-odds and sentence for the eligible among these customers,
    `EXPLAIN_SCHEMA`, strongest first.

    What the shop controls is one family without a sentence. Where the trees do not speak there is
    one line, without log-odds: for the lapsed and the new the family `status`, named by it; under
    a stand-in the family `rule`, named by the rule. Its sentence says what was looked at. Raises
    ConfigError where one of the customers is not known at that date, or has objected to profiling.
    """
    check_type(model, ChurnModel, name="model", fix="Pass explain(model, tables.as_of(date), ids).")
    check_type(snapshot, Snapshot, name="snapshot", fix="Pass tables.as_of(date).")
    speech = speech_of(language)
    asked = _ids(customers)
    refused = asked & objectors(snapshot)
    parts = [*feature_rows(model, snapshot, asked - refused)]
    unknown = len(asked) - sum(map(len, parts))
    if unknown:
        rule = "customers must be known at that date and not have objected to profiling"
        raise ConfigError(rule, got=f"{unknown} others", fix="Leave them out.")
    if not parts:
        return EXPLAIN_SCHEMA.empty_table()
    rows = pd.concat(parts, ignore_index=True)
    modelled = (rows["status"] == "eligible") & (model.stand_in is None)
    currency = snapshot.tables.settings.currency
    lines = [
        *_family_lines(model, rows[modelled], currency, speech),
        *_looked_at_lines(model, rows[~modelled], currency, speech),
    ]
    lines.sort(key=lambda line: str(line["customer_id"]))  # stable: the strongest stay first
    return pa.Table.from_pylist(lines, schema=EXPLAIN_SCHEMA)


def _ids(customers: object) -> set[str]:
    """The customers that were asked for; ConfigError for anything but a collection of ids."""
    fix = 'Pass a list of customer ids, e.g. ["c0001"].'
    is_one = isinstance(customers, (str, bytes)) or not isinstance(customers, Iterable)
    if is_one:
        rule = "customers must be a collection of customer ids"
        raise ConfigError(rule, got=type(customers).__name__, fix=fix)
    listed = list(customers)  # type: ignore[call-overload]
    if not all(isinstance(name, str) for name in listed):
        rule = "customer ids must be texts"
        raise ConfigError(rule, got=f"{type(listed[0]).__name__} and others", fix=fix)
    return set(listed)


def _reasons(
    model: ChurnModel, rows: pd.DataFrame, currency: str, speech: Language
) -> Iterator[list[Reason]]:
    words = [spoken(record, model.clock_, currency) for record in _records(rows)]
    eligible = (
        (rows["status"] == "eligible").to_numpy() if "status" in rows else np.ones(len(rows), bool)
    )
    modelled = model.stand_in is None and bool(eligible.any())
    parts = contributions(model, rows[eligible]) if modelled else None
    place = np.cumsum(eligible) - 1
    for number, own in enumerate(words):
        if not eligible[number]:
            yield _looked_at("status", status_sentence(own["status"], own, speech))
        elif parts is None:
            yield _looked_at("rule", rule_sentence(str(model.stand_in), own, speech))
        else:
            yield _strongest(parts, int(place[number]), own, speech)


def _strongest(
    parts: Contributions, row: int, words: dict[str, Any], speech: Language
) -> list[Reason]:
    part = parts.by_family[row]
    order = np.argsort(-part, kind="stable")
    told = [i for i in order if parts.families[i] != CONTROLLED]
    raising = [i for i in told[:MOST_RAISING] if part[i] >= LEAST_LOG_ODDS]
    lowering = [i for i in told[-1:] if part[i] <= -LEAST_LOG_ODDS]
    said = []
    for chosen, raises in ((raising, True), (lowering, False)):
        weights = parts.weights(row, raises=raises) if chosen else {}
        for i in chosen:
            text = sentence(parts.families[i], words, weights, speech)
            direction: Literal["raises", "lowers"] = "raises" if raises else "lowers"
            said.append(Reason(parts.families[i], direction, float(part[i]), text))
    return said


def _looked_at(what: str, text: str | None) -> list[Reason]:
    return [] if text is None else [Reason(what, "looked_at", None, text)]


def _looked_at_lines(
    model: ChurnModel, rows: pd.DataFrame, currency: str, speech: Language
) -> Iterator[dict[str, Any]]:
    """One line for each customer of whom the trees say nothing."""
    for record, said in zip(_records(rows), _reasons(model, rows, currency, speech), strict=True):
        for reason in said:
            name = record["status"] if reason.family == "status" else model.stand_in
            yield {
                "customer_id": record["customer_id"],
                "family": reason.family,
                "name": name,
                "log_odds": None,
                "sentence": reason.sentence,
            }


def _family_lines(
    model: ChurnModel, rows: pd.DataFrame, currency: str, speech: Language
) -> Iterator[dict[str, Any]]:
    if rows.empty:
        return
    parts = contributions(model, rows)
    for row, record in enumerate(_records(rows)):
        words = spoken(record, model.clock_, currency)
        for i in np.argsort(-np.abs(parts.by_family[row]), kind="stable"):
            family, log_odds = parts.families[i], float(parts.by_family[row, i])
            line = {"customer_id": record["customer_id"], "family": family, "log_odds": log_odds}
            if family != CONTROLLED:
                weights = parts.weights(row, raises=log_odds > 0)
                line["name"] = family_name(family, speech)
                line["sentence"] = sentence(family, words, weights, speech)
            yield line


def _records(rows: pd.DataFrame) -> list[dict[str, Any]]:
    return rows.to_dict("records")  # type: ignore[return-value]
