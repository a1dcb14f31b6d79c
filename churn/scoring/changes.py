"""Comparison with earlier scores: customers newly at risk or recovered, and what moved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from churn.arrays import Floats, Ints
from churn.data.history.columns import Column
from churn.data.tables import Snapshot
from churn.modeling.model import ChurnModel
from churn.scoring.explain import MIN_LOG_ODDS, contributions, feature_columns
from churn.scoring.language import Language, Texts
from churn.scoring.sentences import family_name, rows_of, sentence_pairs, sentence_values

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
    rows: Mapping[str, Column], earlier: EarlierScores, *, as_of: date, horizon_days: int
) -> tuple[Texts, Floats]:
    """`change` and `probability_before` of every row, each of shape (rows,).

    `rows` has customer_id (in Arrow), and status, at_risk and recency_days as arrays.
    `probability_before` is empty if the horizons differ, as the probabilities are then not
    comparable.
    """
    place = _places(rows["customer_id"], earlier.rows["customer_id"])
    scored = place >= 0
    was, lapsed = (
        scored & np.append(earlier.rows[name].eq(other=True).to_numpy(), values=False)[place]
        for name in ("at_risk", "lapsed")
    )
    now = rows["at_risk"]
    bought_since = rows["recency_days"] <= (as_of - earlier.as_of).days
    cases = {
        "returned": lapsed & bought_since,
        "newly_at_risk": now & ~was,
        "still_at_risk": now & was,
        "lapsed": was & (rows["status"] == "lapsed"),
        "recovered": was & bought_since,
        "outranked": was,
        "unchanged": scored,
    }
    change = np.full(len(place), "new", dtype=object)
    for name in reversed(cases):
        change[cases[name]] = name
    probability = np.append(earlier.rows["probability"].to_numpy(dtype=float), np.nan)[place]
    if horizon_days != earlier.horizon_days:
        probability = np.full(len(place), np.nan)
    return change, probability


def _places(ids: pa.ChunkedArray, known: pd.Series[str]) -> Ints:
    """The place of each id among the known ones; -1 for none."""
    places = pc.index_in(ids, value_set=pa.array(known, pa.string()))
    return np.asarray(pc.fill_null(places, -1).to_numpy()).astype(np.int64)


def largest_rises(
    model: ChurnModel,
    snapshot: Snapshot,
    earlier: EarlierScores,
    newly: Mapping[str, Column],
    lang: Language,
) -> tuple[Texts, Texts]:
    """The customers for whom a family's log-odds rose, and for each the family that rose most and
    its sentence then and now.

    `newly` are today's features of the customers newly at risk, in the order of their ids. Today's
    model explains both days, so a new model moves nothing. Customers who were not eligible then
    are left out.
    """
    nobody = np.empty(0, dtype=object)
    if model.stand_in is not None or not len(newly["customer_id"]):
        return nobody, nobody
    then = snapshot.tables.as_of(earlier.as_of)
    before = feature_columns(model, then, set(newly["customer_id"].tolist()))
    before = rows_of(before, before["status"] == "eligible")
    now = rows_of(newly, np.isin(newly["customer_id"], before["customer_id"]))
    if not len(now["customer_id"]):
        return nobody, nobody
    texts = _rises(model, (before, now), snapshot.tables.settings.currency, earlier.as_of, lang)
    found = texts != np.array(None)
    return now["customer_id"][found], texts[found]


def _rises(
    model: ChurnModel,
    days: tuple[Mapping[str, Column], Mapping[str, Column]],
    currency: str,
    since: date,
    lang: Language,
) -> Texts:
    """What rose most from the first day to the second for the same customers; None if nothing."""
    old, new = (contributions(model, columns) for columns in days)
    before, now = (sentence_values(columns, model.clock_, currency) for columns in days)
    explained = np.array(new.explained, dtype=int)
    rise = (new.by_family - old.by_family)[:, explained]
    most = rise.argmax(axis=1)
    has_risen = rise[np.arange(len(rise)), most] >= MIN_LOG_ODDS
    texts = np.full(len(rise), None, dtype=object)
    for place in np.unique(most[has_risen]):
        own = np.flatnonzero(has_risen & (most == place))
        family = new.families[explained[place]]
        weights = dict(zip(new.features, (new.by_feature - old.by_feature)[own].T, strict=True))
        pair = sentence_pairs(
            family, rows_of(before, own), rows_of(now, own), weights, lang, rows=len(own)
        )
        texts[own] = _moved(family, pair, lang.short_date(since), lang)
    return texts


def _moved(family: str, pair: tuple[Texts, Texts], since: str, lang: Language) -> Texts:
    """What moved, with both sentences where there are two different ones."""
    named = {"since": since, "family": family_name(family, lang)}
    templates = lang.texts["changes"]
    texts = lang.rendered(templates["moved_alike"], named, len(pair[0]))
    differs = (pair[0] != np.array(None)) & (pair[0] != pair[1])
    values = named | {"before": pair[0][differs], "now": pair[1][differs]}
    texts[differs] = lang.rendered(templates["moved"], values, int(differs.sum()))
    return texts
