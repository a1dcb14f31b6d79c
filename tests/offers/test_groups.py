"""Caps and floors of groups: how many of them, and who gets how much."""

import numpy as np
import pyarrow as pa
import pytest

from churn.errors import ConfigError
from churn.offers.groups import GroupRules, Groups

WORDS = pa.chunked_array([["north", "south", None, "north", "north", "south"]])
NOBODY = np.zeros(3, dtype=np.int64)


def test_a_cap_is_a_share_of_all_members_less_who_is_served_already():
    groups = Groups.of(WORDS, GroupRules(by="region", caps={"north": 0.7}))
    assert groups.names == ("north", "south", "unknown")
    assert groups.most(NOBODY).tolist() == [2.0, np.inf, np.inf]
    assert groups.most(np.array([1, 0, 0])).tolist() == [1.0, np.inf, np.inf]


def test_a_floor_is_a_share_of_those_for_whom_an_offer_pays():
    groups = Groups.of(WORDS, GroupRules(by="region", floors={"south": 0.5}))
    assert groups.least(np.ones(6, dtype=bool)).tolist() == [0.0, 1.0, 0.0]
    assert groups.least(np.zeros(6, dtype=bool)).tolist() == [0.0, 0.0, 0.0]


def test_the_table_tells_how_each_group_fares():
    groups = Groups.of(WORDS, GroupRules(by="region"))
    permitted = np.array([True, True, False, True, False, True])
    offered = np.array([True, False, False, True, False, False])
    north, _, unknown = groups.table(permitted, offered, np.array([2.0, 0, 0, 1.5, 0, 0]))
    assert north == {
        "group": "north",
        "customers": 3,
        "permitted": 2,
        "offered": 2,
        "offer_rate": pytest.approx(2 / 3),
        "expected_cost": 3.5,
    }
    assert (unknown["customers"], unknown["offer_rate"]) == (1, 0.0)


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"caps": {"north": 20}}, r"the cap of group 'north' must be a share.*Write 20 % as 0\.2"),
        (
            {"floors": {"north": 0.5}, "caps": {"north": 0.2}},
            "must not exceed its cap.*Lower the floor",
        ),
    ],
)
def test_impossible_rules_are_refused(rules, message):
    with pytest.raises(ConfigError, match=message):
        GroupRules(by="region", **rules)


def test_a_group_that_nobody_is_in_is_refused():
    with pytest.raises(ConfigError, match=r"\['north', 'south', 'unknown'\], got \['nort'\]"):
        Groups.of(WORDS, GroupRules(by="region", caps={"nort": 0.1}))
