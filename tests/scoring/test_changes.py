"""Comparison with earlier scores: independent of the model, and repeatable."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulated_shop import AS_OF, shop_model, shop_tables

from churn.errors import ConfigError
from churn.modeling.model import ChurnModel
from churn.scoring.changes import CHANGES, EarlierScores, compare_scores
from churn.scoring.score import SCORE_SCHEMA, score, score_snapshot

THEN = AS_OF - timedelta(days=14)


@pytest.fixture(scope="module")
def before():
    return score(shop_model(), shop_tables().as_of(THEN))


@pytest.fixture(scope="module")
def now(before):
    return score(shop_model(), shop_tables().as_of(AS_OF), since=before)


def compared_with(now, then, *, as_of=AS_OF):
    """`compare_scores` of a data frame."""
    columns = {name: now[name].to_numpy() for name in ("status", "at_risk", "recency_days")}
    ids = pa.chunked_array([pa.array(now["customer_id"], pa.string())])
    return compare_scores({**columns, "customer_id": ids}, then, as_of=as_of, horizon_days=28)


def today(status, *, at_risk=False, recency=3.0):
    return pd.DataFrame(
        {
            "customer_id": ["ann"],
            "status": [status],
            "at_risk": [at_risk],
            "recency_days": [recency],
        }
    )


def earlier(*, at_risk=False, lapsed=False, name="ann", horizon_days=28):
    row = {"customer_id": [name], "probability": [0.4], "at_risk": [at_risk], "lapsed": [lapsed]}
    return EarlierScores(THEN, horizon_days, "m", pd.DataFrame(row))


@pytest.mark.parametrize(
    ("now", "then", "change"),
    [
        (today("eligible", at_risk=True), earlier(), "newly_at_risk"),
        (today("eligible", at_risk=True), earlier(at_risk=True), "still_at_risk"),
        (today("eligible", recency=14.0), earlier(at_risk=True), "recovered"),
        (today("eligible", recency=15.0), earlier(at_risk=True), "outranked"),
        (today("lapsed", recency=60.0), earlier(at_risk=True), "lapsed"),
        (today("lapsed", recency=90.0), earlier(lapsed=True), "unchanged"),
        (today("eligible", recency=2.0), earlier(lapsed=True), "returned"),
        (today("eligible", at_risk=True, recency=2.0), earlier(lapsed=True), "returned"),
        (today("eligible"), earlier(), "unchanged"),
        (today("eligible"), earlier(name="bob"), "new"),
        (today("eligible", at_risk=True), earlier(name="bob"), "newly_at_risk"),
        (today("new", recency=float("nan")), earlier(), "unchanged"),
    ],
)
def test_change_compares_risk_status_and_purchases(now, then, change):
    """A customer recovers by buying, not by being outranked."""
    assert compared_with(now, then)[0].item() == change
    assert change in CHANGES


def test_probabilities_of_different_horizons_are_not_compared():
    then = earlier(at_risk=True, horizon_days=56)
    now = today("eligible", at_risk=True)
    change, probability = compared_with(now, then)
    assert change.item() == "still_at_risk"
    assert np.isnan(probability.item())


def test_changes_account_for_every_customer_at_risk_then_or_now(before, now):
    was = set(before.to_pandas().query("at_risk")["customer_id"])
    frame = now.to_pandas()
    assert set(frame["change"]) <= set(CHANGES)
    still = set(frame.query("change == 'still_at_risk'")["customer_id"])
    gone = set(frame.query("change in ['recovered', 'outranked', 'lapsed']")["customer_id"])
    assert still == was & set(frame.query("at_risk")["customer_id"])
    assert still | gone == was
    newly = frame["change"].isin(["newly_at_risk", "returned", "still_at_risk"])
    assert newly[frame["at_risk"]].all()


def test_probability_before_is_the_earlier_probability(before, now):
    then = before.to_pandas().set_index("customer_id")["churn_probability"]
    frame = now.to_pandas().set_index("customer_id")
    probability = frame["probability_before"].dropna()
    assert len(probability) == len(then)
    pd.testing.assert_series_equal(probability.sort_index(), then.sort_index(), check_names=False)
    assert set(now["since"].to_pylist()) == {THEN}


def test_moved_is_filled_for_customers_newly_at_risk_only(now):
    frame = now.to_pandas()
    newly = frame["change"] == "newly_at_risk"
    assert frame.loc[newly, "moved"].notna().mean() > 0.8
    assert frame.loc[~newly, "moved"].isna().all()
    assert frame["moved"].dropna().str.startswith(f"Largest rise since {THEN}: ").all()


def test_moved_explains_both_days_by_the_same_model(before, now):
    renamed = before.set_column(
        before.schema.get_field_index("model_id"), "model_id", [["another"] * before.num_rows]
    )
    again = score(shop_model(), shop_tables().as_of(AS_OF), since=renamed)
    assert again["moved"].equals(now["moved"])


def test_without_earlier_scores_the_columns_of_changes_are_empty(before):
    for name in ("change", "since", "probability_before", "moved"):
        assert before[name].null_count == before.num_rows


def test_scores_of_the_same_or_a_later_date_are_refused(now):
    for when in (THEN, AS_OF):
        with pytest.raises(ConfigError, match=rf"of a date before {when}, got {AS_OF}"):
            score(shop_model(), shop_tables().as_of(when), since=now)


def test_an_empty_table_of_scores_is_not_compared(before):
    assert EarlierScores.of(SCORE_SCHEMA.empty_table()) is None
    assert EarlierScores.of(before).as_of == THEN


def test_a_fallback_model_reports_changes_but_no_family_that_moved(before):
    model = ChurnModel()
    model.__setstate__(shop_model().__getstate__())
    model.set_params(stand_in="recency")
    table = score(model, shop_tables().as_of(AS_OF), since=before)
    assert table["change"].null_count == 0
    assert table["moved"].null_count == table.num_rows


def test_a_comparison_can_be_repeated_from_its_result(before, now):
    facts = {"since": EarlierScores.of(before).facts()}
    behind = EarlierScores.behind(now, facts)
    assert (behind.as_of, behind.horizon_days, behind.model_id) == (THEN, 28, "in-memory")
    again = score_snapshot(shop_model(), shop_tables().as_of(AS_OF), earlier=behind)
    assert again.table.equals(now)


def test_the_rank_of_earlier_scores_comes_from_their_manifest(before, now):
    assert EarlierScores.of(before).rank is None
    ranked = EarlierScores.of(before, {"rank": "value"})
    assert ranked.rank == "value"
    assert EarlierScores.behind(now, {"since": ranked.facts()}).rank == "value"


def test_scores_that_were_not_compared_have_no_earlier_scores(before):
    assert EarlierScores.behind(before, {"since": None}) is None
    assert EarlierScores.behind(before, {}) is None


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["eligible", "lapsed", "new"]),
            st.booleans(),
            st.integers(0, 100),
            st.none() | st.tuples(st.booleans(), st.booleans()),
        ),
        min_size=1,
        max_size=30,
    )
)
def test_earlier_scores_rebuilt_from_changes_give_the_same_changes(customers):
    ids = [f"c{number}" for number in range(len(customers))]
    now = pd.DataFrame(
        {
            "customer_id": ids,
            "status": [status for status, *_ in customers],
            "at_risk": [flag and status == "eligible" for status, flag, *_ in customers],
            "recency_days": [float(days) for _, _, days, _ in customers],
        }
    )
    scored = [(n, was) for n, (*_, was) in zip(ids, customers, strict=True) if was is not None]
    rows = pd.DataFrame(
        {
            "customer_id": [name for name, _ in scored],
            "probability": 0.3,
            "at_risk": [at_risk and not lapsed for _, (at_risk, lapsed) in scored],
            "lapsed": [lapsed for _, (_, lapsed) in scored],
        }
    )
    then = EarlierScores(date(2023, 12, 1), 28, "m", rows)
    as_of = date(2023, 12, 20)
    first, _ = compared_with(now, then, as_of=as_of)
    state = now.assign(change=first)
    state["at_risk"] = ~state["change"].isin(["returned", "newly_at_risk", "unchanged", "new"])
    state["lapsed"] = state["change"] == "returned"
    state = state[state["change"] != "new"].assign(probability=0.3)
    behind = EarlierScores(then.as_of, 28, "m", state)
    assert compared_with(now, behind, as_of=as_of)[0].tolist() == first.tolist()
