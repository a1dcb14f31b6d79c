"""NPS and CSAT by hand, scales that are not guessed, the latest answer, and the worklist."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from churn.analytics.cells import Cell
from churn.analytics.feedback import (
    SCALES,
    NetPromoterScore,
    check_range,
    guessed_scale,
    latest_answers,
    net_promoter_score,
    satisfaction,
    scale_of,
    unhappy,
)
from churn.analytics.feedback_data import responses
from churn.analytics.feedback_report import Worth, feedback, feedback_customers
from churn.data.people import people
from churn.errors import ConfigError, DataError

NOW = datetime(2024, 5, 1, tzinfo=UTC)
AS_OF = date(2024, 5, 1)


def test_nps_and_its_interval_are_those_of_the_textbook():
    found = NetPromoterScore(50, 30, 20)
    assert found.score == 30
    assert [round(bound, 1) for bound in found.interval] == [14.7, 45.3]


def test_promoters_start_at_nine_and_detractors_end_at_six():
    found = net_promoter_score(np.array([0, 6, 7, 8, 9, 10, np.nan]))
    assert (found.promoters, found.passives, found.detractors) == (2, 2, 2)


def test_without_a_response_there_is_no_score():
    found = net_promoter_score(np.array([np.nan]))
    assert np.isnan([found.score, *found.interval]).all()
    assert np.isnan(satisfaction(np.array([]), SCALES["1-5"]).percent)


@pytest.mark.parametrize(
    ("scale", "scores", "satisfied", "low"),
    [
        ("1-5", [1, 2, 3, 4, 5], 2, 2),
        ("1-7", [1, 3, 4, 5, 6, 7], 2, 2),
        ("1-10", [1, 5, 6, 8, 9, 10], 2, 2),
    ],
)
def test_csat_counts_the_top_two_of_each_scale(scale, scores, satisfied, low):
    values = np.array(scores, dtype=float)
    assert satisfaction(values, SCALES[scale]).satisfied == satisfied
    assert unhappy(values, SCALES[scale]).sum() == low


@pytest.mark.parametrize(
    ("text", "name"),
    [("NPS", "nps"), ("0-10", "nps"), ("1 to 5", "1-5"), ("CSAT", "1-5"), ("Stars", "1-5")],
)
def test_scales_are_read_in_their_usual_spellings(text, name):
    assert scale_of(text).name == name


def test_an_unknown_scale_is_refused():
    with pytest.raises(DataError, match="scale must be one of"):
        scale_of("smileys")


def test_a_scale_is_assumed_only_if_it_is_unmistakable():
    assert guessed_scale(np.array([0.0, 7.0, 10.0]), table="surveys").name == "nps"
    assert guessed_scale(np.array([1.0, 4.5]), table="reviews").name == "1-5"


@pytest.mark.parametrize(
    ("scores", "table"),
    [
        ([1, 7, 10], "surveys"),
        ([0, 5], "surveys"),
        ([1, 5], "surveys"),
        ([0, 11], "surveys"),
        ([0.5, 10, 0], "surveys"),
        ([1, 8], "reviews"),
        ([0, 5], "reviews"),
    ],
)
def test_a_scale_that_may_be_another_is_not_guessed(scores, table):
    with pytest.raises(DataError, match=f"scale.*Add e.g. scale.*data.{table}.columns"):
        guessed_scale(np.array(scores, dtype=float), table=table)


@pytest.mark.parametrize(("scale", "scores"), [("nps", [3, 11]), ("nps", [2.5]), ("1-5", [0])])
def test_a_score_outside_its_scale_is_refused(scale, scores):
    with pytest.raises(DataError, match="1 others"):
        check_range(np.array(scores, dtype=float), SCALES[scale], table="surveys")


def test_the_latest_response_counts_and_a_response_before_silence():
    rows = pd.DataFrame(
        {
            "customer_id": ["a", "a", "a", "b", "b"],
            "day": [1.0, 2.0, 3.0, 1.0, 1.0],
            "score": [9.0, 3.0, np.nan, 8.0, 2.0],
            "scale": "nps",
            "wave": "w",
        }
    )
    assert latest_answers(rows).set_index("customer_id")["score"].to_dict() == {"a": 3, "b": 2}


def row(name, days_ago, **more):
    return {"customer_id": name, "at": NOW - timedelta(days=days_ago), **more}


@pytest.fixture
def shop(open_shop):
    """Anna and Ben are unhappy, Cleo was, Dan was answered, Eve is unhappy but bought nothing."""
    orders = [
        {"customer_id": name, "ordered_at": NOW - timedelta(days=ago), "amount": amount}
        for name, ago, amount in (
            *(("anna", 10, 100.0), ("anna", 20, 40.0), ("ben", 90, 300.0), ("cleo", 5, 9.0)),
            *(("dan", 5, 500.0), ("fay", 100, 1.0), ("eve", 5, 8.0), ("eve", 4, -8.0)),
        )
    ]
    surveys = pd.DataFrame(
        [
            row("anna", 3, score=6, wave="q2", answered=None),
            row("anna", 30, score=10, wave="q1", answered=None),
            row("ben", 40, score=0, wave="q1", answered="no"),
            row("cleo", 60, score=1, wave="q1", answered="no"),
            row("dan", 8, score=2, wave="q2", answered="yes"),
            row("fay", 8, score=None, wave="q2", answered=None),
            row("eve", 8, score=2, wave="q2", answered=None),
            row("gus", -3, score=0, wave="q2", answered=None),
        ]
    ).rename(columns={"at": "surveyed_at"})
    reviews = pd.DataFrame([row("cleo", 1, score=5), row("fay", 91, score=1)])
    reviews = reviews.rename(columns={"at": "reviewed_at"})
    return open_shop(orders, surveys=surveys, reviews=reviews, least_match=0.1)


def test_scores_stand_by_wave_with_count_and_response_rate(shop):
    found = feedback(shop.as_of(AS_OF), active_days=60)
    rows = {(one["source"], one["wave"]): one for one in found.table("scores").to_pylist()}
    second = rows["surveys", "q2"]
    assert (second["asked"], second["responded"], second["detractors"]) == (4, 3, 3)
    assert second["score"] == -100
    assert second["response_rate"] == 75
    assert rows["surveys", "q1"]["response_rate"] is None
    assert rows["reviews", ""]["measure"] == "CSAT"
    assert rows["reviews", ""]["score"] == 50


def test_the_worklist_holds_the_unhappy_valuable_and_unanswered_by_value(shop):
    found = feedback(shop.as_of(AS_OF), active_days=60)
    rows = found.table("worklist").to_pylist()
    assert [(one["customer_id"], one["value"]) for one in rows] == [("ben", 300.0), ("anna", 140.0)]
    assert rows[1]["responded_on"] == date(2024, 4, 28)
    assert any("2 unhappy customers" in note for note in found.notes)


def test_the_value_at_risk_of_scores_ranks_the_worklist(shop):
    worth = Worth({"anna": 9.0, "ben": 2.0}, "value at risk")
    found = feedback(shop.as_of(AS_OF), active_days=60, worth=worth)
    assert found.table("worklist")["customer_id"].to_pylist() == ["anna", "ben"]


def test_who_responded_is_compared_with_who_did_not(shop):
    found = feedback(shop.as_of(AS_OF), active_days=60)
    rows = {one["group"]: one for one in found.table("lapses").to_pylist()}
    assert (rows["responded"]["customers"], rows["responded"]["lapsed"]) == (6, 2)
    assert rows["responded, unhappy"]["customers"] == 5


def test_a_response_that_had_not_happened_yet_is_not_seen(shop):
    assert "gus" not in set(responses(shop.as_of(AS_OF))["customer_id"])


def test_a_cell_is_turned_into_its_customers(shop):
    snapshot = shop.as_of(AS_OF)
    found = feedback_customers(snapshot, Cell.parse("detractors,wave=q2"))
    assert found["customer_id"].to_pylist() == ["anna", "dan", "eve"]
    with pytest.raises(ConfigError, match="can be listed for"):
        feedback_customers(snapshot, Cell.parse("fans"))


def test_without_either_table_feedback_names_both(open_shop, tiny_shop):
    with pytest.raises(DataError, match=r"\[data.surveys\] or \[data.reviews\]"):
        feedback(open_shop(tiny_shop).as_of(AS_OF), active_days=60)


def test_who_objects_to_profiling_is_in_no_score_and_on_no_list(open_shop, tiny_shop):
    surveys = pd.DataFrame([row("anna", 3, score=0), row("ben", 3, score=9)])
    consents = pd.DataFrame(
        [row("anna", 2, channel="all", purpose="profiling", granted="no")]
    ).rename(columns={"at": "changed_at"})
    tables = open_shop(
        tiny_shop, surveys=surveys.rename(columns={"at": "surveyed_at"}), consents=consents
    )
    found = feedback(tables.as_of(AS_OF), active_days=60)
    assert "anna" not in set(responses(tables.as_of(AS_OF))["customer_id"])
    assert found.left_out["customers"] == {"customers who object to profiling": 1}


def test_a_table_without_a_row_has_no_scores_and_an_empty_worklist(open_shop, tiny_shop):
    surveys = pd.DataFrame({"customer_id": ["anna"], "surveyed_at": [NOW], "score": [5]})
    found = feedback(open_shop(tiny_shop, surveys=surveys).as_of(AS_OF), active_days=60)
    assert [table.num_rows for table in found.tables.values()] == [0, 0, 1]


def test_customers_on_the_worklist_are_owed_service(open_shop, tiny_shop):
    snapshot = open_shop(tiny_shop).as_of(AS_OF)
    known = people(snapshot, worklist={"ben"})
    assert known.to_pylist() == [{"customer_id": "ben", "owed_service": True}]
