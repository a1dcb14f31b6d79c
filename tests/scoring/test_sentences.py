"""The selected sentence is true for the customer and describes what contributes most."""

import numpy as np
import pytest

from churn.features import builder  # noqa: F401 - fills the catalogue
from churn.features.catalogue import CATALOGUE
from churn.features.clock import FeatureClock
from churn.scoring.language import load_language
from churn.scoring.sentences import (
    TOPICS,
    Topic,
    baseline_sentences,
    family_name,
    sentence_pairs,
    sentence_values,
    sentences,
    status_sentences,
)

EN, DE = load_language("en"), load_language("de")
CLOCK = FeatureClock(horizon_days=28, lookback_days=56)
RECENCY = {"recency_days": 0.4}


def values_of(*customers):
    """The numbers of some customers as columns; what is not said of one is unknown."""
    names = dict.fromkeys(name for customer in customers for name in customer)
    columns = {name: np.array([one.get(name, np.nan) for one in customers]) for name in names}
    return sentence_values(columns, CLOCK, "EUR")


def weights_of(weights):
    return {name: np.array([weight]) for name, weight in weights.items()}


def text_of(family, weights, lang=EN, **features):
    values = values_of(features)
    return sentences(family, values, weights_of(weights), lang, rows=1).item()


@pytest.mark.parametrize(
    ("features", "english", "german"),
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
def test_the_usual_gap_is_stated_only_for_customers_with_several_gaps(features, english, german):
    """The expected gap of a one-time buyer is the population's, so it is never called usual."""
    assert text_of("recency", RECENCY, **features) == english
    assert text_of("recency", RECENCY, DE, **features) == german


def test_the_topic_with_the_largest_weight_is_selected():
    features = {"email_opens_90d": 0.0, "visits_90d": 1.0, "last_visit_days": 2.0}
    opens, visits = {"email_opens_90d": 0.4}, {"last_visit_days": 0.5}
    assert text_of("engagement", opens, **features) == "Opened no e-mails in the last 90 days."
    english = "Visited once in the last 90 days, most recently 2 days ago."
    assert text_of("engagement", opens | visits, **features) == english
    german = "Besuchte den Shop in den letzten 90 Tagen einmal, zuletzt vor 2 Tagen."
    assert text_of("engagement", opens | visits, DE, **features) == german


def test_a_topic_with_an_unknown_number_is_skipped():
    weights = {"email_opens_90d": 0.9, "last_visit_days": 0.1}
    features = {"email_opens_90d": 2.0, "last_email_open_days": float("nan")}
    features |= {"visits_90d": 2.0, "last_visit_days": 1.0}
    english = "Visited twice in the last 90 days, most recently 1 day ago."
    assert text_of("engagement", weights, **features) == english


def test_the_family_is_named_if_no_topic_has_a_positive_weight():
    english = "Several figures combined (time since the last order)."
    assert text_of("recency", {"recency_days": -0.4}) == english
    german = "Mehrere Werte zusammen (Zeit seit der letzten Bestellung)."
    assert text_of("recency", {}, DE) == german


def test_a_family_of_the_user_is_called_by_its_own_name():
    assert text_of("shoe_sizes", {"largest_shoe": 1.0}) == "Several figures combined (shoe sizes)."
    assert family_name("shoe_sizes", DE) == "shoe sizes"


def pair_of(before, now):
    weights, both = weights_of(RECENCY), (values_of(before), values_of(now))
    return tuple(text.item() for text in sentence_pairs("recency", *both, weights, EN, rows=1))


def test_sentences_of_many_customers_are_those_of_each_alone():
    customers = [
        {"purchase_days": 1.0, "recency_days": 1.0},
        {"purchase_days": 9.0, "recency_days": 74.0, "mean_gap_days": 31.2},
        {"purchase_days": 2.0, "recency_days": 74.0, "mean_gap_days": 31.2},
        {"purchase_days": 9.0, "recency_days": float("nan"), "mean_gap_days": 31.2},
        {"purchase_days": 9.0, "recency_days": 74.0, "mean_gap_days": 31.2},
    ]
    weights = {"recency_days": np.array([0.3, 0.3, 0.3, 0.3, -0.3])}
    together = sentences("recency", values_of(*customers), weights, DE, rows=5)
    alone = [
        text_of("recency", {"recency_days": weight}, DE, **one)
        for one, weight in zip(customers, weights["recency_days"], strict=True)
    ]
    assert together.tolist() == alone
    assert len(set(alone)) == 4


def test_a_pair_is_one_sentence_that_is_true_on_both_days():
    before = {"purchase_days": 3.0, "recency_days": 2.0, "mean_gap_days": 9.0}
    now = before | {"recency_days": 16.0}
    assert pair_of(before, now) == (
        "Last order 2 days ago; usually every 9 days.",
        "Last order 16 days ago; usually every 9 days.",
    )
    once = {"purchase_days": 1.0, "recency_days": 2.0}
    assert pair_of(once, now) == (
        "Last order 2 days ago.",
        "Last order 16 days ago.",
    )


@pytest.mark.parametrize("lang", [EN, DE], ids=["en", "de"])
@pytest.mark.parametrize("baseline", ["recency", "active_windows", "logistic_rfm", "bg_nbd"])
def test_every_baseline_has_a_sentence(baseline, lang):
    row = {"recency_days": 3.0, "purchase_days": 1.0, "tenure_days": 3.0}
    row |= {"active_window_share": 0.2, "average_basket": 9.0}
    text = baseline_sentences(baseline, values_of(row), lang, rows=1).item()
    assert text is not None
    assert text.endswith(".")


@pytest.mark.parametrize(
    ("status", "features", "text"),
    [
        ("lapsed", {"recency_days": 90.0}, "Last order 90 days ago; none in the last 56 days."),
        ("new", {"tenure_days": 1.0}, "First order 1 day ago; too new to judge."),
        ("new", {"tenure_days": float("nan")}, "No purchase so far."),
    ],
)
def test_lapsed_and_new_customers_have_a_sentence_of_their_status(status, features, text):
    assert status_sentences(status, values_of(features), EN, rows=1).item() == text


SHIPPED = [spec for spec in CATALOGUE.values() if spec.is_shipped and not spec.hidden]
DESCRIBED = {
    family: {name for topic in topics for name in topic.features}
    for family, topics in TOPICS.items()
}


@pytest.mark.parametrize("name", [spec.name for spec in SHIPPED if not spec.controlled])
def test_every_feature_that_may_be_a_reason_has_a_topic_in_its_family(name):
    family = CATALOGUE[name].family
    assert name in DESCRIBED["recency" if family == "gaps" else family]


def test_features_controlled_by_the_shop_have_no_topic():
    controlled = {spec.name for spec in SHIPPED if spec.controlled}
    assert controlled
    assert not controlled & set().union(*DESCRIBED.values())


def test_topics_use_only_features_of_the_catalogue():
    conditions = {name for topics in TOPICS.values() for topic in topics for name in topic.when}
    assert conditions | set().union(*DESCRIBED.values()) <= set(CATALOGUE)


def test_a_topic_does_not_apply_if_its_number_is_unknown_or_out_of_range():
    topic = Topic("single", (), {"purchase_days": (1, 1)})
    days = np.array([1.0, 2.0, np.nan])
    assert topic.applies({"purchase_days": days}, 3).tolist() == [True, False, False]
    assert not topic.applies({}, 1).any()
