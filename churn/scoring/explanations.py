"""What is told of scored customers in words: reasons for those asked for, and what changed."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import pandas as pd

from churn.data.engines.base import Frame
from churn.data.tables import Snapshot
from churn.errors import ConfigError
from churn.modeling.model import ChurnModel
from churn.scoring.changes import Earlier, changed, moved
from churn.scoring.contributions import only
from churn.scoring.explain import reasons
from churn.scoring.language import Language

Explained: TypeAlias = Literal["all", "at_risk", "none"] | Collection[str]


@dataclass(frozen=True)
class Telling:
    """A model, a date and its stored features, seen by the one who tells of them."""

    model: ChurnModel
    snapshot: Snapshot
    speech: Language
    stored: Frame

    def reasons(self, rows: pd.DataFrame, explain: Explained) -> dict[str, Any]:
        """The columns `reasons`, marked sentences, and `reason_families`, those that raise the
        risk, of those asked for; empty lists for all others.
        """
        engine = self.snapshot.tables.engine
        texts: dict[str, list[str]] = {}
        families: dict[str, list[str]] = {}
        for features in only(engine, self.stored, asked_for(rows, explain)):
            for name, said in zip(features["customer_id"], self._reasons(features), strict=True):
                texts[name] = [reason.marked(self.speech) for reason in said]
                families[name] = [one.family for one in said if one.direction == "raises"]
        names = rows["customer_id"]
        columns = {"reasons": texts, "reason_families": families}
        return {
            column: pd.Series(
                [told.get(name, []) for name in names], index=rows.index, dtype=object
            )
            for column, told in columns.items()
        }

    def changes(self, rows: pd.DataFrame, earlier: Earlier | None) -> dict[str, Any]:
        """The columns `change`, `probability_before` and `moved`; empty without earlier scores."""
        if earlier is None:
            return {"change": None, "probability_before": float("nan"), "moved": None}
        horizon_days = self.model.clock_.horizon_days
        found = changed(rows, earlier, as_of=self.snapshot.as_of, horizon_days=horizon_days)
        newly = set(rows.loc[found["change"] == "newly_at_risk", "customer_id"])
        risen = self._risen(earlier, newly)
        return {**found, "moved": rows["customer_id"].map(risen.get)}

    def _reasons(self, features: pd.DataFrame) -> list[list[Any]]:
        currency = self.snapshot.tables.settings.currency
        return reasons(self.model, features, currency=currency, language=self.speech.code)

    def _risen(self, earlier: Earlier, newly: set[str]) -> dict[str, str]:
        """What moved, from the features of both days, of those newly at risk."""
        parts = [*only(self.snapshot.tables.engine, self.stored, newly)]
        if not parts:
            return {}
        features = pd.concat(parts, ignore_index=True)
        return moved(self.model, self.snapshot, earlier, features, self.speech)


def asked_for(rows: pd.DataFrame, explain: Explained) -> set[str]:
    """Which customers of the scored rows are to be explained."""
    if not isinstance(explain, (str, Collection)):
        rule = "explain must be 'all', 'at_risk', 'none' or a list of customers"
        raise ConfigError(rule, got=type(explain).__name__, fix='Pass e.g. explain="at_risk".')
    if not isinstance(explain, str):
        return set(explain) & set(rows["customer_id"])
    if explain == "at_risk":
        return set(rows.loc[rows["at_risk"], "customer_id"])
    if explain not in ("all", "none"):
        rule = "explain must be 'all', 'at_risk', 'none' or a list of customers"
        raise ConfigError(rule, got=repr(explain), fix='Pass e.g. explain="at_risk".')
    return set(rows["customer_id"]) if explain == "all" else set()
