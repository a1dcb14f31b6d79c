"""The notes of an erasure."""

import pytest

from churn.privacy.still_held import StillHeld, notes

NOTHING = {
    "dry_run": False,
    "not_in_your_tables": 0,
    "unread": [],
    "audiences_not_seen": [],
    "outputs_not_there": 0,
}


@pytest.mark.parametrize(("number", "start"), [(1, "1 of the customers named is"), (3, "3 of the")])
def test_the_note_on_unknown_customers_has_the_right_number(number, start):
    (note,) = notes({**NOTHING, "not_in_your_tables": number}, StillHeld())
    assert note.startswith(start)
