"""What a person reads of an erasure."""

import pytest

from churn.privacy.still_held import StillHeld, notes

NOTHING = {
    "dry_run": False,
    "not_in_your_tables": 0,
    "unread": [],
    "audiences_not_seen": [],
    "outputs_not_there": 0,
}


@pytest.mark.parametrize(("number", "told"), [(1, "1 of the customers named is"), (3, "3 of the")])
def test_one_customer_who_is_nowhere_is_told_as_one(number, told):
    (note,) = notes({**NOTHING, "not_in_your_tables": number}, StillHeld())
    assert note.startswith(told)
