"""A one-click withdrawal holds whatever the clock says, until a consent that is newer."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churn.campaigns.delivery.consents import ConsentRecords
from churn.data.consent import consent_to_plan, consent_to_send
from churn.data.tables import Tables
from churn.storage.database import open_database
from churn.storage.ledger import Ledger
from churn.storage.messages import Message, enqueue
from churn.storage.records import MIGRATIONS
from churn.storage.withdrawals import (
    last_told,
    record_withdrawal,
    remember_grant,
    settle_doubts,
    withdrawals,
)

NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
LONG_AHEAD = date(2035, 1, 1)


class Machine:
    """A ledger on a machine whose clock can be set."""

    def __init__(self):
        self.clock = NOON
        self.ledger = Ledger(Path(":memory:"), now=lambda: self.clock)

    def unsubscribe(self, token=None):
        record_withdrawal(self.ledger, "anna", "email", source="one-click", token=token)

    def may_send(self, grants, *, required=True):
        """Whether anna may be sent e-mail, as a plan and a sending read her consent now."""
        rows = [
            {"customer_id": "zoe", "channel": "email", "granted": "true", "day": NOON - 9_000 * DAY}
        ]
        rows += [
            {"customer_id": "anna", "channel": "email", "granted": "true", "day": at}
            for at in grants
        ]
        said = pd.DataFrame(rows).assign(purpose="marketing").rename(columns={"day": "changed_at"})
        orders = pd.DataFrame(
            {"customer_id": ["zoe"], "ordered_at": [NOON - 9_000 * DAY], "amount": [1]}
        )
        tables = Tables.from_frames(orders, consents=said, clock=self.clock, bad_row_limit=0.99)
        told = ConsentRecords(
            tables=tables,
            ledger=self.ledger,
            same_customer=str,
            consent="required",
            catalogue=Path("offers.toml"),
        ).withdrawn()
        views = [
            ask(tables.as_of(LONG_AHEAD), withdrawn=told)
            for ask in (consent_to_plan, consent_to_send)
        ]
        answers = {self._answer(view, required) for view in views}
        assert len(answers) == 1
        return answers.pop()

    @staticmethod
    def _answer(view, required):
        said = [row["granted"] for row in view.to_pylist() if row["customer_id"] == "anna"]
        return False not in said and (True in said or not required)


@pytest.fixture
def machine():
    made = Machine()
    with made.ledger:
        yield made


def test_a_withdrawal_under_a_clock_that_is_back_wins_against_an_older_consent(machine):
    agreed = [NOON - 30 * DAY]
    assert machine.may_send(agreed)
    machine.clock = NOON - 900 * DAY
    machine.unsubscribe()
    assert not machine.may_send(agreed)
    machine.clock = NOON + DAY
    assert not machine.may_send(agreed)
    assert not machine.may_send(agreed)


def test_a_consent_that_is_given_after_it_lifts_it(machine):
    agreed = [NOON - 30 * DAY]
    machine.may_send(agreed)
    machine.clock = NOON - 900 * DAY
    machine.unsubscribe()
    machine.clock = NOON + DAY
    assert not machine.may_send(agreed)
    machine.clock = NOON + 3 * DAY
    assert machine.may_send([*agreed, NOON + 2 * DAY])


def test_under_a_right_clock_a_later_consent_lifts_it_at_once(machine):
    agreed = [NOON - 30 * DAY]
    machine.may_send(agreed)
    machine.unsubscribe()
    machine.clock = NOON + 2 * DAY
    assert machine.may_send([*agreed, NOON + DAY])
    machine.unsubscribe()
    assert not machine.may_send([*agreed, NOON + DAY])


def test_a_withdrawal_under_a_clock_that_is_ahead_can_be_lifted_once_it_is_right(machine):
    machine.clock = NOON + 9_000 * DAY
    machine.unsubscribe()
    machine.clock = NOON
    agreed = [NOON - DAY]
    assert not machine.may_send(agreed)
    machine.clock = NOON + 3 * DAY
    assert not machine.may_send(agreed)
    assert machine.may_send([*agreed, NOON + 2 * DAY])


def test_the_message_and_its_plan_say_that_a_clock_is_back(machine):
    told = {"campaign_id": "spring", "customer_id": "anna", "through": "email", "channel": "email"}
    rest = {"offer_id": "coupon", "token": "t", "parcel": "p", "run_id": "r"}
    enqueue(machine.ledger, [Message(**told, **rest, as_of=date(2024, 3, 1))])
    machine.clock = NOON - 3 * DAY
    machine.unsubscribe(token="t")
    assert [one.in_doubt for one in withdrawals(machine.ledger)] == [True]


def test_what_is_told_again_while_a_doubt_is_settled_stays_in_doubt(machine):
    machine.may_send([NOON - DAY])
    machine.clock = NOON - 900 * DAY
    machine.unsubscribe()
    (doubt,) = withdrawals(machine.ledger)
    machine.unsubscribe()
    settle_doubts(machine.ledger, [doubt])
    assert [one.in_doubt for one in withdrawals(machine.ledger)] == [True]


def test_withdrawals_are_numbered_as_they_arrive_and_an_old_ledger_learns_it(tmp_path):
    path = tmp_path / "ledger.db"
    open_database(path, MIGRATIONS[:7]).close()
    with Ledger(path) as ledger:
        assert last_told(ledger) == 0
        for channel in ("email", "sms", "email"):
            record_withdrawal(ledger, "anna", channel, source="one-click")
        assert last_told(ledger) == 3
        remember_grant(ledger, NOON)


ACTS = st.lists(
    st.tuples(st.sampled_from(["agree", "withdraw", "read"]), st.integers(-2000, 2000)),
    min_size=1,
    max_size=5,
)


@settings(max_examples=8)
@given(ACTS, st.integers(-2000, 2000), st.booleans())
def test_nobody_is_sent_to_whose_last_act_was_a_withdrawal_whatever_the_clock(acts, last, required):
    """Consents are dated by the shop, a day after the other, and are read as they arrive;
    withdrawals are dated by a clock that is off by any number of days at each act.
    """
    machine, grants, withdrew = Machine(), [], False
    with machine.ledger:
        for number, (act, off) in enumerate(acts):
            today = NOON + number * DAY
            machine.clock = today + off * DAY
            if act == "agree":
                grants.append(today)
                withdrew = False
            elif act == "withdraw":
                machine.unsubscribe()
                withdrew = True
            if act != "withdraw":
                sends = machine.may_send(grants, required=required)
                assert not (withdrew and sends)
        machine.clock = NOON + len(acts) * DAY + last * DAY
        for off in (0, 5_000):
            machine.clock += off * DAY
            assert not (withdrew and machine.may_send(grants, required=required))
