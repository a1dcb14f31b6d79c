"""What can be said covers every feature that may be told, and nothing that the shop controls."""

import pytest

from churn.features import builder  # noqa: F401 - fills the catalogue
from churn.features.catalogue import CATALOGUE
from churn.scoring.sentences import TOPICS, Topic

SHIPPED = [one for one in CATALOGUE.values() if one.is_shipped and not one.hidden]
SPOKEN_FOR = {
    family: {name for topic in topics for name in topic.features}
    for family, topics in TOPICS.items()
}


def told_as(family):
    return "recency" if family == "gaps" else family


@pytest.mark.parametrize(
    "name", [one.name for one in SHIPPED if not one.controlled], ids=lambda name: name
)
def test_every_feature_that_may_be_told_has_a_topic_in_its_family(name):
    assert name in SPOKEN_FOR[told_as(CATALOGUE[name].family)]


def test_what_the_shop_controls_has_no_topic():
    controlled = {one.name for one in SHIPPED if one.controlled}
    assert controlled
    assert not controlled & set().union(*SPOKEN_FOR.values())


def test_topics_speak_and_ask_only_for_features_that_there_are():
    asked = {name for topics in TOPICS.values() for one in topics for name in one.when}
    assert asked | set().union(*SPOKEN_FOR.values()) <= set(CATALOGUE)


def test_a_topic_does_not_hold_where_its_number_is_unknown_or_outside():
    topic = Topic("single", (), {"purchase_days": (1, 1)})
    assert topic.holds({"purchase_days": 1.0})
    assert not any(topic.holds({"purchase_days": n}) for n in (2.0, None, float("nan")))
    assert not topic.holds({})
