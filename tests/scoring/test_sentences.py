"""The sentence that is said is true of the customer, known, and about what weighs most."""

import pytest

from churn.features.clock import FeatureClock
from churn.scoring.language import language
from churn.scoring.sentences import (
    family_name,
    rule_sentence,
    sentence,
    sentence_pair,
    spoken,
    status_sentence,
)

EN, DE = language("en"), language("de")
CLOCK = FeatureClock(horizon_days=28, lookback_days=56)
SILENT = {"recency_days": 0.4}


def said(family, weights, speech=EN, **numbers):
    return sentence(family, spoken(numbers, CLOCK, "EUR"), weights, speech)


@pytest.mark.parametrize(
    ("numbers", "english", "german"),
    [
        (
            {"purchase_days": 1.0, "recency_days": 1.0, "mean_gap_days": float("nan")},
            "The only order so far was 1 day ago.",
            "Die bisher einzige Bestellung war vor 1 Tag.",
        ),
        (
            {"purchase_days": 2.0, "recency_days": 40.0, "mean_gap_days": 1.0},
            "Last order 40 days ago, the one before 1 day earlier.",
            "Letzte Bestellung vor 40 Tagen, die vorige 1 Tag früher.",
        ),
        (
            {"purchase_days": 9.0, "recency_days": 74.0, "mean_gap_days": 31.2},
            "Last order 74 days ago; usually every 31 days.",
            "Letzte Bestellung vor 74 Tagen; sonst alle 31 Tage.",
        ),
        (
            {"purchase_days": 9.0, "recency_days": 2.0, "mean_gap_days": 1.1},
            "Last order 2 days ago; usually every day.",
            "Letzte Bestellung vor 2 Tagen; sonst jeden Tag.",
        ),
    ],
)
def test_what_is_usual_is_said_of_those_who_have_a_usual(numbers, english, german):
    """The gap expected of a one-time buyer is the population's, and so never called theirs."""
    assert said("recency", SILENT, **numbers) == english
    assert said("recency", SILENT, DE, **numbers) == german


def test_of_several_topics_the_one_that_weighs_most_is_told():
    numbers = {"email_opens_90d": 0.0, "visits_90d": 1.0, "last_visit_days": 2.0}
    opens, visits = {"email_opens_90d": 0.4}, {"last_visit_days": 0.5}
    assert said("engagement", opens, **numbers) == "Opened no e-mail in the last 90 days."
    told = "Visited once in the last 90 days, the last time 2 days ago."
    assert said("engagement", opens | visits, **numbers) == told
    german = "Kam in den letzten 90 Tagen einmal zu Besuch, zuletzt vor 2 Tagen."
    assert said("engagement", opens | visits, DE, **numbers) == german


def test_a_sentence_with_an_unknown_number_gives_way_to_the_next():
    weights = {"email_opens_90d": 0.9, "last_visit_days": 0.1}
    numbers = {"email_opens_90d": 2.0, "last_email_open_days": float("nan")}
    numbers |= {"visits_90d": 2.0, "last_visit_days": 1.0}
    told = "Visited twice in the last 90 days, the last time 1 day ago."
    assert said("engagement", weights, **numbers) == told


def test_where_nothing_weighs_in_that_direction_the_family_is_named():
    whole = "The figures on time since the last order, as a whole."
    assert said("recency", {"recency_days": -0.4}) == whole
    assert said("recency", {}, DE) == "Die Werte insgesamt: Zeit seit der letzten Bestellung."


def test_a_family_of_the_users_own_is_told_by_its_name():
    assert said("shoe_sizes", {"largest_shoe": 1.0}) == "The figures on shoe sizes, as a whole."
    assert family_name("shoe_sizes", DE) == "shoe sizes"


def test_one_sentence_is_told_of_both_days_if_it_is_true_of_both():
    before = {"purchase_days": 3.0, "recency_days": 2.0, "mean_gap_days": 9.0}
    now = before | {"recency_days": 16.0}
    assert sentence_pair("recency", before, now, SILENT, EN) == (
        "Last order 2 days ago; usually every 9 days.",
        "Last order 16 days ago; usually every 9 days.",
    )
    once = {"purchase_days": 1.0, "recency_days": 2.0}
    assert sentence_pair("recency", once, now, SILENT, EN) == (
        "Last order 2 days ago.",
        "Last order 16 days ago.",
    )


@pytest.mark.parametrize("speech", [EN, DE], ids=["en", "de"])
@pytest.mark.parametrize("rule", ["recency", "active_windows", "logistic_rfm", "bg_nbd"])
def test_every_rule_that_may_stand_in_says_what_it_looks_at(rule, speech):
    row = {"recency_days": 3.0, "purchase_days": 1.0, "tenure_days": 3.0}
    row |= {"active_window_share": 0.2, "average_basket": 9.0}
    text = rule_sentence(rule, spoken(row, CLOCK, "EUR"), speech)
    assert text is not None
    assert text.endswith(".")


@pytest.mark.parametrize(
    ("status", "numbers", "told"),
    [
        ("lapsed", {"recency_days": 90.0}, "Last order 90 days ago; none in the last 56 days."),
        ("new", {"tenure_days": 1.0}, "First order 1 day ago; too new to judge."),
        ("new", {"tenure_days": float("nan")}, "No purchase so far."),
    ],
)
def test_whom_the_model_does_not_judge_is_told_what_is_known(status, numbers, told):
    assert status_sentence(status, spoken(numbers, CLOCK, "EUR"), EN) == told
