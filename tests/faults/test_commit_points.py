"""Commands killed at some of their commit points; `make kills` takes all of them.

A commit point is a rename, a sync to the disk or the end of a transaction: see
`tests/shop/commit_points.py`.
"""

import pytest
from kills import COMMANDS, killing


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    yield from killing(tmp_path_factory.mktemp("kills"))


@pytest.mark.parametrize("command", COMMANDS)
def test_nothing_is_lost_doubled_or_left_behind(shop, command):
    """Faults 1 to 3, 49 to 51."""
    shop.all_of(command, every={"forget": 17, "send": 11, "withdraw": 1}.get(command, 7))
    assert shop.count.kills[command] > 1
    assert (shop.count.lost, shop.count.doubled, shop.count.litter) == ([], [], [])
