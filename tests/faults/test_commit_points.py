"""Commands killed at some of their commit points; `make kills` takes all of them.

A commit point is a rename, a sync to the disk or the end of a transaction: see
`tests/shop/commit_points.py`. `train` and `sync`, of which each kill costs seconds, are left to
`make kills`; `test_processes.py` kills a training at three moments.
"""

import pytest
from kill_counts import Count
from kills import LISTS, list_kills, model_kills

EVERY = {"forget": 17, "send": 11, "withdraw": 1, "effects": 9}


@pytest.fixture(scope="module")
def count():
    return Count()


@pytest.fixture(scope="module")
def lists(tmp_path_factory, count):
    with list_kills(tmp_path_factory.mktemp("kills"), count) as shop:
        yield shop


@pytest.fixture(scope="module")
def models(tmp_path_factory, count):
    with model_kills(tmp_path_factory.mktemp("kills"), count) as shop:
        yield shop


@pytest.mark.parametrize("command", LISTS)
def test_nothing_is_lost_duplicated_or_left_over(lists, count, command):
    """Rows 1 to 3, 49 to 51."""
    lists.all_of(command, every=EVERY.get(command, 7))
    assert count.kills[command] > 1
    assert (count.lost, count.doubled, count.litter) == ([], [], [])


def test_effects_are_complete_or_absent_after_a_kill(models, count):
    """Row 3: the next run removes the leftovers."""
    models.all_of("effects", every=EVERY["effects"])
    assert count.kills["effects"] > 1
    assert (count.lost, count.doubled, count.litter) == ([], [], [])
