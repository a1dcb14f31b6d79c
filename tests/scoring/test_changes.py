"""What changed is told against earlier scores: fairly, whatever else changed, and repeatably."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulated_shop import AS_OF, shop_model, shop_tables

from churn.errors import ConfigError
from churn.modeling.model import ChurnModel
from churn.scoring.changes import CHANGES, Earlier, changed
from churn.scoring.score import SCORE_SCHEMA, score, score_snapshot

THEN = AS_OF - timedelta(days=14)


@pytest.fixture(scope="module")
def before():
    return score(shop_model(), shop_tables().as_of(THEN))


@pytest.fixture(scope="module")
def now(before):
    return score(shop_model(), shop_tables().as_of(AS_OF), since=before)


def one(status, *, at_risk=False, recency=3.0):
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
    return Earlier(THEN, horizon_days, "m", pd.DataFrame(row))


def change_of(today, then):
    return changed(today, then, as_of=AS_OF, horizon_days=28)["change"].item()


@pytest.mark.parametrize(
    ("today", "then", "change"),
    [
        (one("eligible", at_risk=True), earlier(), "newly_at_risk"),
        (one("eligible", at_risk=True), earlier(at_risk=True), "still_at_risk"),
        (one("eligible", recency=14.0), earlier(at_risk=True), "recovered"),
        (one("eligible", recency=15.0), earlier(at_risk=True), "outranked"),
        (one("lapsed", recency=60.0), earlier(at_risk=True), "lapsed"),
        (one("lapsed", recency=90.0), earlier(lapsed=True), "unchanged"),
        (one("eligible", recency=2.0), earlier(lapsed=True), "returned"),
        (one("eligible", at_risk=True, recency=2.0), earlier(lapsed=True), "returned"),
        (one("eligible"), earlier(), "unchanged"),
        (one("eligible"), earlier(name="bob"), "new"),
        (one("eligible", at_risk=True), earlier(name="bob"), "newly_at_risk"),
        (one("new", recency=float("nan")), earlier(), "unchanged"),
    ],
)
def test_each_change_is_what_it_says(today, then, change):
    """Who has not bought has not recovered, wherever the list ends."""
    assert change_of(today, then) == change
    assert change in CHANGES


def test_over_another_horizon_probabilities_are_not_compared():
    then = earlier(at_risk=True, horizon_days=56)
    found = changed(one("eligible", at_risk=True), then, as_of=AS_OF, horizon_days=28)
    assert found["change"].item() == "still_at_risk"
    assert np.isnan(found["probability_before"].item())


def test_who_was_and_is_at_risk_adds_up(before, now):
    was = set(before.to_pandas().query("at_risk")["customer_id"])
    frame = now.to_pandas()
    assert set(frame["change"]) <= set(CHANGES)
    still = set(frame.query("change == 'still_at_risk'")["customer_id"])
    gone = set(frame.query("change in ['recovered', 'outranked', 'lapsed']")["customer_id"])
    assert still == was & set(frame.query("at_risk")["customer_id"])
    assert still | gone == was
    newly = frame["change"].isin(["newly_at_risk", "returned", "still_at_risk"])
    assert newly[frame["at_risk"]].all()


def test_the_probability_before_is_the_one_that_was_written(before, now):
    then = before.to_pandas().set_index("customer_id")["churn_probability"]
    frame = now.to_pandas().set_index("customer_id")
    known = frame["probability_before"].dropna()
    assert len(known) == len(then)
    pd.testing.assert_series_equal(known.sort_index(), then.sort_index(), check_names=False)
    assert set(now["since"].to_pylist()) == {THEN}


def test_what_moved_is_told_of_the_newly_at_risk_and_of_nobody_else(now):
    frame = now.to_pandas()
    newly = frame["change"] == "newly_at_risk"
    assert frame.loc[newly, "moved"].notna().mean() > 0.8
    assert frame.loc[~newly, "moved"].isna().all()
    assert frame["moved"].dropna().str.startswith(f"Largest rise since {THEN}: ").all()


def test_what_moved_is_seen_through_one_model_so_a_new_model_moves_nothing(before, now):
    renamed = before.set_column(
        before.schema.get_field_index("model_id"), "model_id", [["another"] * before.num_rows]
    )
    again = score(shop_model(), shop_tables().as_of(AS_OF), since=renamed)
    assert again["moved"].equals(now["moved"])


def test_without_earlier_scores_nothing_is_said_of_changes(before):
    for name in ("change", "since", "probability_before", "moved"):
        assert before[name].null_count == before.num_rows


def test_scores_of_the_same_or_a_later_date_are_refused(now):
    for when in (THEN, AS_OF):
        with pytest.raises(ConfigError, match=rf"of a date before {when}, got {AS_OF}"):
            score(shop_model(), shop_tables().as_of(when), since=now)


def test_an_empty_table_of_scores_is_nothing_to_compare_with(before):
    assert Earlier.of(SCORE_SCHEMA.empty_table()) is None
    assert Earlier.of(before).as_of == THEN


def test_a_stand_in_compares_but_has_no_family_that_moved(before):
    model = ChurnModel()
    model.__setstate__(shop_model().__getstate__())
    model.set_params(stand_in="recency")
    found = score(model, shop_tables().as_of(AS_OF), since=before)
    assert found["change"].null_count == 0
    assert found["moved"].null_count == found.num_rows


def test_scores_tell_what_they_were_compared_with_so_that_a_run_can_be_repeated(before, now):
    facts = {"since": Earlier.of(before).facts()}
    behind = Earlier.behind(now, facts)
    assert (behind.as_of, behind.horizon_days, behind.model_id) == (THEN, 28, "in-memory")
    again = score_snapshot(shop_model(), shop_tables().as_of(AS_OF), earlier=behind)
    assert again.table.equals(now)


def test_earlier_scores_know_by_what_they_were_ranked_from_their_manifest(before, now):
    assert Earlier.of(before).rank is None
    ranked = Earlier.of(before, {"rank": "value"})
    assert ranked.rank == "value"
    assert Earlier.behind(now, {"since": ranked.facts()}).rank == "value"


def test_scores_that_were_compared_with_none_have_none_behind_them(before):
    assert Earlier.behind(before, {"since": None}) is None
    assert Earlier.behind(before, {}) is None


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
def test_comparing_with_what_lies_behind_gives_the_same_changes(people):
    """For any base: what `behind` rebuilds from the changes says the same again."""
    names = [f"c{number}" for number in range(len(people))]
    today = pd.DataFrame(
        {
            "customer_id": names,
            "status": [status for status, *_ in people],
            "at_risk": [flag and status == "eligible" for status, flag, *_ in people],
            "recency_days": [float(days) for _, _, days, _ in people],
        }
    )
    known = [(n, was) for n, (*_, was) in zip(names, people, strict=True) if was is not None]
    rows = pd.DataFrame(
        {
            "customer_id": [name for name, _ in known],
            "probability": 0.3,
            "at_risk": [at_risk and not lapsed for _, (at_risk, lapsed) in known],
            "lapsed": [lapsed for _, (_, lapsed) in known],
        }
    )
    then = Earlier(date(2023, 12, 1), 28, "m", rows)
    options = {"as_of": date(2023, 12, 20), "horizon_days": 28}
    first = changed(today, then, **options)
    state = today.assign(change=first["change"])
    state["at_risk"] = ~state["change"].isin(["returned", "newly_at_risk", "unchanged", "new"])
    state["lapsed"] = state["change"] == "returned"
    state = state[state["change"] != "new"].assign(probability=0.3)
    behind = Earlier(then.as_of, 28, "m", state)
    assert changed(today, behind, **options)["change"].tolist() == first["change"].tolist()
