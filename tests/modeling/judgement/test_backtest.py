"""The look back equals a count by hand: who was at the top of each list, and who of them left."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from judged_shop import shop_predictions

from churn.modeling.capacity import at_risk_count
from churn.modeling.judgement.backtest import EVERY_CUTOFF, backtest
from churn.scoring.score import at_risk_rows

CAPACITY = 0.15


@pytest.fixture(scope="module")
def looked():
    return backtest(shop_predictions(), capacity=CAPACITY, replicates=20)


def by_hand(rows, score):
    """Sorts each cutoff's customers and counts."""
    counts = dict.fromkeys(("listed", "caught", "lapsed", "spend", "spend_caught"), 0.0)
    for cutoff in set(rows["cutoff"]):
        there = rows[rows["cutoff"] == cutoff].assign(score=score[rows["cutoff"] == cutoff])
        flagged = there.reset_index(drop=True)
        listed = pa.Table.from_pandas(flagged[["customer_id", "score"]])
        mask, _ = at_risk_rows(listed, np.ones(len(flagged), bool), CAPACITY, by="score")
        for listed, (_, row) in zip(mask, flagged.iterrows(), strict=True):
            seen = min(row["tenure_days"], 84)
            usual = max(row["net_spend_three_horizons"], 0) * 28 / seen
            counts["listed"] += listed
            counts["caught"] += listed * row["lapse"]
            counts["lapsed"] += row["lapse"]
            counts["spend"] += usual * row["lapse"]
            counts["spend_caught"] += usual * row["lapse"] * listed
    return counts


@pytest.mark.parametrize("predictor", ["model", "recency", "value_at_risk"])
def test_lists_are_those_of_scoring_and_counted_as_by_hand(looked, predictor):
    tested = shop_predictions()
    score = tested.value_at_risk if predictor == "value_at_risk" else tested.lapse[predictor]
    found = next(o for o in looked if (o.predictor, o.cutoff) == (predictor, EVERY_CUTOFF))
    counts = by_hand(tested.rows, np.asarray(score))
    assert (found.listed, found.lapsed_listed) == (counts["listed"], counts["caught"])
    assert found.precision.estimate == pytest.approx(counts["caught"] / counts["listed"])
    assert found.recall.estimate == pytest.approx(counts["caught"] / counts["lapsed"])
    assert found.spend_caught.estimate == pytest.approx(counts["spend_caught"] / counts["spend"])
    assert found.spend_lost == pytest.approx(counts["spend"])


def test_every_cutoff_has_its_own_list_and_all_are_their_sum(looked):
    cutoffs = {one.cutoff for one in looked} - {EVERY_CUTOFF}
    assert len(cutoffs) == 2
    for predictor in {one.predictor for one in looked}:
        mine = {one.cutoff: one for one in looked if one.predictor == predictor}
        for cutoff in cutoffs:
            assert mine[cutoff].listed == at_risk_count(CAPACITY, mine[cutoff].rows)
        for what in ("rows", "listed", "lapsed_listed"):
            parts = sum(getattr(mine[cutoff], what) for cutoff in cutoffs)
            assert getattr(mine[EVERY_CUTOFF], what) == parts


def test_against_itself_the_recency_rule_catches_no_more(looked):
    found = next(o for o in looked if (o.predictor, o.cutoff) == ("recency", EVERY_CUTOFF))
    assert (found.more_caught.estimate, found.more_caught.low) == (0, 0)
    model = next(o for o in looked if (o.predictor, o.cutoff) == ("model", EVERY_CUTOFF))
    more = model.recall.estimate - found.recall.estimate
    assert model.more_caught.estimate == pytest.approx(more)


def test_where_nobody_lapsed_shares_of_the_lapsed_are_not_defined():
    tested = shop_predictions()
    nobody = replace(tested, rows=tested.rows.assign(lapse=0.0))
    found = backtest(nobody, replicates=2)[0]
    assert found.precision.estimate == 0
    assert np.isnan(found.recall.estimate)
