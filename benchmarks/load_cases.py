"""Requests whose right answers are known, for the load on the service."""

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from served_shop import request
from service import history

import churn

SCORE = (
    "status",
    "churn_probability",
    "probability_source",
    "decline_probability",
    "expected_orders",
    "expected_margin",
    "value_at_risk",
)
SHARES = {"features": 60, "history": 15, "look_up": 15, "decide": 10}
"""The mix of the load, in per cent."""


@dataclass(frozen=True)
class Case:
    """A request, and what is wrong with an answer to it: None if nothing is."""

    kind: str
    content: bytes = field(repr=False)
    fault: Callable[[dict[str, Any]], str | None] = field(repr=False)
    key: str = ""


@dataclass
class Cases:
    """The cases of a shop, and what its answers have been so far."""

    folder: Path
    key: str
    histories_seen: dict[tuple[int, str, str], str] = field(default_factory=dict)
    decisions: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._rng = random.Random(7)
        self.models = {path.name: churn.load_model(path) for path in bundles(self.folder)}
        names = [list(model.feature_names_) for model in self.models.values()]
        assert all(one == names[0] for one in names), "the models must have the same features"
        self.features = names[0]
        self._rows = np.random.default_rng(3).gamma(2.0, 15.0, (50, len(self.features))).round(2)
        self._expected = {name: self._scores(model) for name, model in self.models.items()}
        self._batch = {r["customer_id"]: r for r in rows_of(self.folder / "scores.parquet")}
        self._plan = {r["customer_id"]: r for r in rows_of(self.folder / "plan.parquet")}
        self._histories = [[history(50, self._rng) for _ in range(2)] for _ in range(20)]
        self._customers = sorted(self._batch)

    def mixed(self, seed: int) -> Iterator[Case]:
        """An endless mix of cases; each decision is asked for twice with the same key."""
        rng = random.Random(seed)
        kinds, weights = zip(*SHARES.items(), strict=True)
        made, again = 0, None
        while True:
            (kind,) = rng.choices(kinds, weights)
            if kind == "features":
                yield self.of_features(rng.randrange(len(self._rows)))
            elif kind == "history":
                yield self.of_history(rng.randrange(len(self._histories)))
            elif kind == "look_up":
                yield self.of_look_up(rng.sample(self._customers, 5))
            elif again is not None:
                yield again
                again = None
            else:
                made += 1
                again = self.of_decision(rng.choice(self._customers), f"{seed}-{made}")
                yield again

    def of_features(self, row: int) -> Case:
        """A row of ready features: its score is that of the model which the answer names."""
        body = {"features": self.features, "rows": [self._rows[row].tolist()]}

        def fault(found: dict[str, Any]) -> str | None:
            expected = self._expected.get(found["model_id"])
            if expected is None:
                return f"an unknown model, {found['model_id']}"
            same = [expected[row]] == [score_of(score) for score in found["scores"]]
            return None if same else f"not the score of {found['model_id']}"

        return Case("features", request("POST", "/v1/score/features", self.key, body), fault)

    def of_history(self, number: int) -> Case:
        """Two histories: every answer of a model is the first one that it gave."""
        body = {"as_of": "2026-11-01", "customers": self._histories[number]}

        def fault(found: dict[str, Any]) -> str | None:
            of = (number, found["model_id"], found["population_as_of"])
            if found["model_id"] not in self.models or len(found["customers"]) != 2:
                return "an unknown model, or other customers"
            text = json.dumps(found["customers"])
            return None if self.histories_seen.setdefault(of, text) == text else "another score"

        return Case("history", request("POST", "/v1/score", self.key, body), fault)

    def of_look_up(self, customers: list[str]) -> Case:
        """Customers of the batch: their scores are those of its file."""
        body = {"customer_ids": customers}

        def fault(found: dict[str, Any]) -> str | None:
            for name, entry in zip(customers, found["customers"], strict=True):
                row = self._batch[name]
                if entry["score"] is None or score_of(entry["score"]) != score_of(row):
                    return "not the score of the batch"
            return None

        return Case("look_up", request("POST", "/v1/scores", self.key, body), fault)

    def of_decision(self, customer: str, key: str) -> Case:
        """A customer's offer: that of the plan, and the same for the same key."""
        row, body = self._plan[customer], {"customer_id": customer}
        is_offered = row["arm"] in {"treatment", "explore"} and row["offer_id"] != "none"

        def fault(found: dict[str, Any]) -> str | None:
            if found["code"] != ("offered" if is_offered else "no_offer"):
                return f"code {found['code']}"
            if is_offered and found["offer"]["offer_id"] != row["offer_id"]:
                return "another offer"
            text = json.dumps(found)
            return None if self.decisions.setdefault(key, text) == text else "another decision"

        content = request("POST", "/v1/decide", self.key, body, idempotency_key=key)
        return Case("decide", content, fault, key)

    def _scores(self, model: "churn.ChurnModel") -> list[list[Any]]:
        columns = dict(zip(self.features, self._rows.T.copy(), strict=True))
        columns["status"] = np.full(len(self._rows), "eligible", dtype=object)
        outputs = {"status": columns["status"], **model.predict_columns(columns)}
        return [
            [known(value) for value in row]
            for row in zip(*(outputs[name].tolist() for name in SCORE), strict=True)
        ]


def bundles(folder: Path) -> list[Path]:
    """The two newest models of the shop."""
    found = sorted(path.parent for path in (folder / "models").glob("*/manifest.json"))
    return found[-2:]


def rows_of(path: Path) -> list[dict[str, Any]]:
    """The rows of a file of results."""
    return list(pq.read_table(path).to_pylist())


def score_of(row: dict[str, Any]) -> list[Any]:
    """The outputs of a score, None where unknown."""
    return [known(row[name]) for name in SCORE]


def known(value: Any) -> Any:
    """None for NaN."""
    return None if isinstance(value, float) and value != value else value  # noqa: PLR0124
