"""Comparison with earlier scores: customers newly at risk or recovered, and what moved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd
import pyarrow as pa

from churn.data.tables import Snapshot
from churn.modeling.model import ChurnModel
from churn.scoring.explain import MIN_LOG_ODDS, Contributions, contributions, feature_rows
from churn.scoring.language import Language
from churn.scoring.sentences import family_name, sentence_pair, sentence_values

# Values of `change`; the first that applies is used. A customer who returned had lapsed. Customers
# no longer at risk have recovered only if they bought since; otherwise they lapsed or were
# outranked by others.
CHANGES = (
    "returned",
    "newly_at_risk",
    "still_at_risk",
    "recovered",
    "outranked",
    "lapsed",
    "unchanged",
    "new",
)
WERE_NOT_AT_RISK = ("returned", "newly_at_risk", "unchanged", "new")


@dataclass(frozen=True)
class EarlierScores:
    """Earlier scores to compare with: `rows` has customer_id, probability, at_risk, lapsed."""

    as_of: date
    horizon_days: int
    model_id: str
    rows: pd.DataFrame
    rank: str | None = None

    @classmethod
    def of(
        cls, scores: pa.Table, facts: Mapping[str, object] | None = None
    ) -> EarlierScores | None:
        """A table of scores as earlier scores; None if it is empty. `facts` of its manifest hold
        how it was ranked.
        """
        if scores.num_rows == 0:
            return None
        names = ["customer_id", "churn_probability", "at_risk", "status"]
        rows = scores.select(names).to_pandas()
        rows = rows.rename(columns={"churn_probability": "probability"})
        rows["lapsed"] = rows.pop("status") == "lapsed"
        first = scores.slice(0, 1).select(["as_of", "horizon_days", "model_id"]).to_pylist()[0]
        rank = _text((facts or {}).get("rank"))
        return cls(first["as_of"], first["horizon_days"], first["model_id"], rows, rank)

    @classmethod
    def behind(cls, scores: pa.Table, facts: Mapping[str, object]) -> EarlierScores | None:
        """The scores that a table was itself compared with, so that its run can be repeated.

        `facts` are those of its manifest. None if it was not compared.
        """
        since = facts.get("since")
        if not isinstance(since, Mapping) or "change" not in scores.schema.names:
            return None
        names = ["customer_id", "probability_before", "change"]
        rows = scores.select(names).to_pandas().query("change != 'new'")
        rows = rows.rename(columns={"probability_before": "probability"})
        rows["at_risk"] = ~rows["change"].isin(WERE_NOT_AT_RISK)
        rows["lapsed"] = rows.pop("change") == "returned"
        day = date.fromisoformat(str(since["as_of"]))
        rank = _text(since.get("rank"))
        return cls(day, int(since["horizon_days"]), str(since["model_id"]), rows, rank)

    def facts(self) -> dict[str, object]:
        """Entry `since` in the manifest of the scores compared with these."""
        return {
            "as_of": str(self.as_of),
            "horizon_days": self.horizon_days,
            "model_id": self.model_id,
            "rank": self.rank,
        }


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def compare_scores(
    rows: pd.DataFrame, earlier: EarlierScores, *, as_of: date, horizon_days: int
) -> pd.DataFrame:
    """`change` and `probability_before` of every row, in the same order.

    `rows` has customer_id, status, at_risk and recency_days. `probability_before` is empty if the
    horizons differ, as the probabilities are then not comparable.
    """
    before = earlier.rows.set_index("customer_id").reindex(rows["customer_id"])
    was, lapsed = (before[name].eq(other=True).to_numpy() for name in ("at_risk", "lapsed"))
    now = rows["at_risk"].to_numpy(dtype=bool)
    bought_since = (rows["recency_days"] <= (as_of - earlier.as_of).days).to_numpy()
    cases = {
        "returned": lapsed & bought_since,
        "newly_at_risk": now & ~was,
        "still_at_risk": now & was,
        "lapsed": was & (rows["status"] == "lapsed").to_numpy(),
        "recovered": was & bought_since,
        "outranked": was,
        "unchanged": rows["customer_id"].isin(earlier.rows["customer_id"]).to_numpy(),
    }
    change = np.select(list(cases.values()), list(cases), default="new")
    known = before["probability"].to_numpy(dtype=float)
    probability = known if horizon_days == earlier.horizon_days else np.full(len(rows), np.nan)
    return pd.DataFrame({"change": change, "probability_before": probability}, index=rows.index)


def largest_rises(
    model: ChurnModel,
    snapshot: Snapshot,
    earlier: EarlierScores,
    newly: pd.DataFrame,
    lang: Language,
) -> dict[str, str]:
    """Per customer, the family whose log-odds rose most, and its sentence then and now.

    `newly` are today's feature rows of the customers newly at risk. Today's model explains both
    days, so a new model moves nothing. Customers who were not eligible then are left out.
    """
    then = snapshot.tables.as_of(earlier.as_of)
    parts = [*feature_rows(model, then, set(newly["customer_id"]))]
    if not parts or model.stand_in is not None:
        return {}
    before = pd.concat(parts, ignore_index=True).query("status == 'eligible'")
    both = before[["customer_id"]].merge(newly, on="customer_id").reset_index(drop=True)
    before = both[["customer_id"]].merge(before, on="customer_id")
    if len(both) == 0:
        return {}
    old, new = (_Side.of(model, rows, snapshot) for rows in (before, both))
    since = lang.short_date(earlier.as_of)
    texts = (_rise(old, new, row, since, lang) for row in range(len(both)))
    return {name: text for name, text in zip(both["customer_id"], texts, strict=True) if text}


@dataclass(frozen=True)
class _Side:
    """The rows of one of the two days, as sentence values and as contributions."""

    values: list[dict[str, object]]
    parts: Contributions

    @classmethod
    def of(cls, model: ChurnModel, rows: pd.DataFrame, snapshot: Snapshot) -> _Side:
        currency = snapshot.tables.settings.currency
        records = rows.to_dict("records")
        values = [
            sentence_values({str(k): v for k, v in record.items()}, model.clock_, currency)
            for record in records
        ]
        return cls(values, contributions(model, rows))


def _rise(old: _Side, new: _Side, row: int, since: str, lang: Language) -> str | None:
    rise = new.parts.by_family[row] - old.parts.by_family[row]
    most = max(new.parts.explained, key=lambda i: float(rise[i]), default=None)
    if most is None or rise[most] < MIN_LOG_ODDS:
        return None
    family = new.parts.families[most]
    weights = dict(
        zip(new.parts.features, new.parts.by_feature[row] - old.parts.by_feature[row], strict=True)
    )
    values = {"since": since, "family": family_name(family, lang)}
    pair = sentence_pair(family, old.values[row], new.values[row], weights, lang)
    if pair is None or pair[0] == pair[1]:
        return lang.render(lang.texts["changes"]["moved_alike"], values)
    values |= dict(zip(("before", "now"), pair, strict=True))
    return lang.render(lang.texts["changes"]["moved"], values)
