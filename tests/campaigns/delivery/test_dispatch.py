"""Sending: each message once, at the allowed rate and outside quiet hours, and all counted."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.campaigns.delivery.dispatch import QUIET, Dispatch, batches
from churn.campaigns.delivery.quiet_hours import QuietHours
from churn.campaigns.delivery.transport import Clock, Outcome, Outgoing
from churn.storage.ledger import Ledger
from churn.storage.messages import Message, enqueue, messages_of
from churn.storage.withdrawals import record_withdrawal

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
NEW_YEAR = date(2027, 1, 1)
SENT = Outcome("sent")


class Time:
    """A clock that advances by sleeping."""

    def __init__(self, now=NOON):
        self.at = now
        self.clock = Clock(lambda: self.at, self.sleep)
        self.waits = []

    def sleep(self, seconds):
        self.waits.append(seconds)
        self.at += timedelta(seconds=seconds)


class Script:
    """A transport with the given outcomes, then "sent"."""

    name = "email"

    def __init__(self, outcomes=(), during=lambda: None):
        self.outcomes = list(outcomes)
        self.during = during
        self.delivered = []
        self.closed = False

    def send(self, batch):
        self.during()
        self.delivered.append([outgoing.message.customer_id for outgoing in batch])
        return self.outcomes.pop(0) if self.outcomes else SENT

    def close(self):
        self.closed = True


@pytest.fixture
def ledger(tmp_path):
    with Ledger(tmp_path / "ledger.db", now=lambda: NOON) as ledger:
        yield ledger


def waiting(ledger, *customers, batch=None):
    """Recorded messages of these customers, as batches; all in one if `batch` is given."""
    messages = [
        Message(
            campaign_id="spring",
            as_of=NEW_YEAR,
            customer_id=customer,
            through="email",
            offer_id="coupon",
            channel="email",
            token=customer,
            parcel=batch or customer,
            run_id="run-1",
        )
        for customer in customers
    ]
    enqueue(ledger, messages)
    return batches(Outgoing(message, {}) for message in messages)


def dispatched(ledger, transport, items, *, time=None, **options):
    time = time or Time()
    dispatch = Dispatch(ledger, transport, since=0, clock=time.clock, **{"attempts": 3, **options})
    return dispatch.send(items)


def states(ledger):
    return {
        message.customer_id: (message.state, message.cause)
        for message in messages_of(ledger, "spring", NEW_YEAR)
    }


def test_each_batch_is_sent_once_and_recorded_before(ledger):
    seen = []
    transport = Script(during=lambda: seen.append(sorted(s for s, _ in states(ledger).values())))
    tally = dispatched(ledger, transport, waiting(ledger, "anna", "ben"))
    assert transport.delivered == [["anna"], ["ben"]]
    assert transport.closed
    assert seen == [["sending", "waiting"], ["sending", "sent"]]
    assert (tally.of("sent"), tally.of("waiting"), tally.stopped) == (2, 0, None)


def test_a_batch_may_contain_several_messages(ledger):
    transport = Script()
    dispatched(ledger, transport, waiting(ledger, "anna", "ben", batch="msg_1"))
    assert transport.delivered == [["anna", "ben"]]


def test_a_temporary_failure_is_retried_after_the_others(ledger):
    later = Outcome("waiting", "451")
    transport, time = Script([later, SENT, later, later]), Time()
    tally = dispatched(ledger, transport, waiting(ledger, "anna", "ben"), time=time)
    assert transport.delivered == [["anna"], ["ben"], ["anna"], ["anna"]]
    assert time.waits == [2.0, 4.0]
    assert states(ledger) == {"anna": ("waiting", "451"), "ben": ("sent", None)}
    assert tally.counts == {("sent", None): 1, ("waiting", "451"): 1, ("withdrawn", None): 0}


def test_an_unusable_transport_leaves_the_rest_waiting(ledger):
    transport = Script([SENT, Outcome("waiting", "no connection", stop=True)])
    tally = dispatched(ledger, transport, waiting(ledger, "anna", "ben", "cleo"))
    assert transport.delivered == [["anna"], ["ben"]]
    assert tally.stopped == "no connection"
    assert tally.of("waiting") == 2
    assert {state for state, _ in states(ledger).values()} == {"sent", "waiting"}


def test_only_rejections_in_a_row_stop_sending(ledger):
    transport = Script([Outcome("failed", "554")] * 40)
    tally = dispatched(ledger, transport, waiting(ledger, *(f"c{n}" for n in range(40))))
    assert (tally.of("failed"), tally.of("waiting")) == (25, 15)
    assert tally.stopped == "the first 25 were all rejected"


def test_a_customer_who_unsubscribes_during_sending_is_left_out(ledger):
    transport = Script(during=lambda: record_withdrawal(ledger, "ben", "email", source="page"))
    tally = dispatched(ledger, transport, waiting(ledger, "anna", "ben", "cleo"))
    assert transport.delivered == [["anna"], ["cleo"]]
    assert (tally.of("sent"), tally.of("withdrawn")) == (2, 1)


def test_the_rate_limit_is_respected(ledger):
    time, at = Time(), []
    transport = Script(during=lambda: at.append(time.at))
    items = waiting(ledger, "anna", "ben", "cleo")
    dispatched(ledger, transport, items, time=time, per_minute=20)
    assert [moment - NOON for moment in at] == [timedelta(seconds=s) for s in (0, 3, 6)]


def test_a_long_run_checks_consent_again(ledger):
    time, checks = Time(), []
    transport = Script(during=lambda: time.sleep(10 * 60))

    def ask_again():
        checks.append(time.at - NOON)
        return {"anna", "ben", "dora"}

    items = waiting(ledger, "anna", "ben", "cleo", "dora")
    tally = dispatched(ledger, transport, items, time=time, ask_again=ask_again)
    assert transport.delivered == [["anna"], ["ben"], ["dora"]]
    assert checks == [timedelta(minutes=20)]
    assert (tally.of("sent"), tally.of("withdrawn")) == (3, 1)


QUIET_HOURS = QuietHours.parse("21:00-08:00", timezone="UTC")


def test_nothing_is_sent_in_quiet_hours(ledger):
    transport, night = Script(), Time(NOON.replace(hour=23))
    tally = dispatched(ledger, transport, waiting(ledger, "anna"), time=night, quiet=QUIET_HOURS)
    assert (transport.delivered, tally.stopped, tally.of("waiting")) == ([], QUIET, 1)


def test_quiet_hours_that_start_during_sending_end_it(ledger):
    time = Time(NOON.replace(hour=20, minute=59))
    transport = Script(during=lambda: time.sleep(60))
    items = waiting(ledger, "anna", "ben")
    assert dispatched(ledger, transport, items, time=time, quiet=QUIET_HOURS).of("waiting") == 1
    assert transport.delivered == [["anna"]]


def test_with_wait_sending_resumes_after_quiet_hours(ledger):
    time = Time(NOON.replace(hour=20, minute=59))
    at = []
    transport = Script(during=lambda: (at.append(time.at), time.sleep(60)))
    items = waiting(ledger, "anna", "ben")
    tally = dispatched(ledger, transport, items, time=time, quiet=QUIET_HOURS, wait=True)
    assert tally.of("sent") == 2
    assert at[1] == NOON.replace(hour=8) + timedelta(days=1)


def test_an_unexpected_failure_leaves_the_batch_with_an_unknown_outcome(ledger):
    def fail():
        raise RuntimeError("a bug")

    transport = Script(during=fail)
    with pytest.raises(RuntimeError, match="a bug"):
        dispatched(ledger, transport, waiting(ledger, "anna", "ben"))
    assert transport.closed
    assert states(ledger) == {"anna": ("sending", None), "ben": ("waiting", None)}


OUTCOMES = st.sampled_from(
    [
        SENT,
        Outcome("failed", "550"),
        Outcome("waiting", "451"),
        Outcome("unknown", "no answer"),
        Outcome("waiting", "gone", stop=True),
    ]
)


@given(st.lists(OUTCOMES, max_size=30), st.integers(1, 8), st.integers(1, 4))
def test_nobody_gets_two_messages_and_everybody_is_counted(outcomes, customers, attempts):
    from pathlib import Path

    with Ledger(Path(":memory:"), now=lambda: NOON) as ledger:
        names = [f"c{number}" for number in range(customers)]
        transport = Script(outcomes)
        tally = dispatched(ledger, transport, waiting(ledger, *names), attempts=attempts)
        final = [
            names[0]
            for names, outcome in zip(transport.delivered, [*outcomes, *[SENT] * 99], strict=False)
            if outcome.state != "waiting"
        ]
        assert len(final) == len(set(final))
        assert sum(tally.counts.values()) == customers
        for state in ("sent", "failed", "unknown", "waiting"):
            recorded = [recorded for recorded, _ in states(ledger).values() if recorded == state]
            assert len(recorded) == tally.of(state)
