"""Topics cover every feature that may be a reason, and none that the shop controls."""

import pytest

from churn.features import builder  # noqa: F401 - fills the catalogue
from churn.features.catalogue import CATALOGUE
from churn.scoring.sentences import TOPICS, Topic

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
    assert topic.applies({"purchase_days": 1.0})
    assert not any(topic.applies({"purchase_days": n}) for n in (2.0, None, float("nan")))
    assert not topic.applies({})
