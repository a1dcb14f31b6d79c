"""kill -9 while messages are sent: nobody gets two, and messages in doubt are reported."""

import random
import signal
import subprocess
import sys
import time
from base64 import b64encode
from collections import Counter

import pandas as pd
import pytest
from hook_sink import Receiver
from mail_sink import TAKEN, MailSink, serving
from mailing_shop import addresses_of, mailing_shop, offered, states

from churn.commands.send import send
from churn.storage.ledger import Ledger


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tmp_path_factory.mktemp("base")


def started(config, *words):
    command = [sys.executable, "-m", "churn", "send", str(config.parent / "plan.parquet")]
    return subprocess.Popen(
        [*command, "--config", str(config), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_kill_between_acceptance_and_record_sends_nothing_twice(base, tmp_path):
    """The server has the message, the ledger does not: it is never resent automatically."""
    sink, process = MailSink(), None

    def kill_at_the_fifth(_):
        if len(sink.envelopes) == 4:
            process.send_signal(signal.SIGKILL)
            process.wait()
        return TAKEN

    sink.answer = kill_at_the_fifth
    with serving(sink) as server:
        config = mailing_shop(base, tmp_path / "shop", port=server.port)
        plan = config.parent / "plan.parquet"
        process = started(config)
        process.communicate(timeout=60)
        assert process.returncode == -signal.SIGKILL
        assert len(sink.envelopes) == 5
        assert Counter(states(config).values())["sending"] == 1

        result = send(config, plan=plan)
        assert result.metrics["left_out"] == {"sent_before": 4, "maybe_sent": 1}
        assert any("--retry-unknown" in note for note in result.warnings)
        assert sorted(sink.recipients) == addresses_of(offered(plan))
        assert Counter(states(config).values())["unknown"] == 1

        assert send(config, plan=plan).rows["sent"] == 0
        first = sink.messages[4]
        assert send(config, plan=plan, retry_unknown=True).rows["sent"] == 1
        assert sink.messages[-1]["Message-ID"] == first["Message-ID"]
        assert sink.messages[-1]["List-Unsubscribe"] == first["List-Unsubscribe"]
        assert set(states(config).values()) == {"sent"}


def test_killed_at_any_moment_and_run_again_nobody_gets_two(base, tmp_path):
    sink = MailSink()
    sink.answer = lambda _: time.sleep(0.02) or TAKEN
    chance = random.Random(5)
    with serving(sink) as server:
        config = mailing_shop(base, tmp_path / "shop", port=server.port)
        for _ in range(3):
            seen = len(sink.envelopes)
            process = started(config)
            while len(sink.envelopes) == seen and process.poll() is None:
                time.sleep(0.005)
            time.sleep(chance.random() * 0.15)
            process.kill()
            process.communicate()
        plan = config.parent / "plan.parquet"
        send(config, plan=plan)
    assert max(Counter(sink.recipients).values()) == 1
    known = Counter(states(config).values())
    assert known["sent"] + known["unknown"] == len(offered(plan))
    assert known["unknown"] <= 3
    got = set(sink.recipients)
    assert {c for c, state in states(config).items() if state == "sent"} <= {
        c for c in offered(plan) if addresses_of([c])[0] in got
    }


def test_a_message_in_doubt_stays_with_its_customer_at_a_shared_address(base, tmp_path):
    """It is resent as the same message, not as a new one to another customer of the address."""
    sink, process = MailSink(), None

    def kill(_):
        process.kill()
        process.wait()
        return TAKEN

    sink.answer = kill
    with serving(sink) as server:
        config = mailing_shop(base, tmp_path / "shop", port=server.port)
        plan = config.parent / "plan.parquet"
        waiting, doubtful = sorted(offered(plan))[:2]
        sink.recipient = lambda to: "451" if to == addresses_of([waiting])[0] else TAKEN
        process = started(config, "--limit", "2")
        process.communicate(timeout=60)
        path = config.parent / "customers.parquet"
        people = pd.read_parquet(path).set_index("customer_id")["email"]
        people[waiting] = people[doubtful]
        people.reset_index().to_parquet(path, index=False)
        sink.answer = sink.recipient = lambda _: TAKEN
        assert send(config, plan=plan, limit=1).metrics["left_out"]["same_address"] == 1
        again = send(config, plan=plan, retry_unknown=True)
    assert again.metrics["left_out"]["same_address"] == 1
    twice = [m["Message-ID"] for m in sink.messages if m["To"] == addresses_of([doubtful])[0]]
    assert len(twice) == 2
    assert len(set(twice)) == 1


SECRET = "whsec_" + b64encode(bytes(range(32))).decode()
ENDED = {
    signal.SIGINT: (130, "what was sent is on record, and the same command sends the rest"),
    signal.SIGTERM: (143, "ended by SIGTERM"),
}


@pytest.mark.parametrize("asked", ENDED)
@pytest.mark.parametrize("stage", ["recipient", "answer"])
def test_an_interrupt_waits_until_the_message_in_hand_is_with_the_server(
    base, tmp_path, asked, stage
):
    """Before or after it was handed over, none is in doubt, and the next run sends the rest."""
    sink, process = MailSink(), None

    def interrupt_the_fourth(_):
        if len(sink.envelopes) == 3:
            process.send_signal(asked)
            time.sleep(0.3)
        return TAKEN

    setattr(sink, stage, interrupt_the_fourth)
    with serving(sink) as server:
        config = mailing_shop(base, tmp_path / "shop", port=server.port)
        plan = config.parent / "plan.parquet"
        process = started(config)
        _, message = process.communicate(timeout=60)
        code, words = ENDED[asked]
        assert process.returncode == code
        assert words in message
        assert len(sink.envelopes) == 4
        assert Counter(states(config).values()) == {"sent": 4, "waiting": len(offered(plan)) - 4}
        with Ledger(config.parent / "ledger.db") as ledger:
            assert ledger.runs("send")[0].status == "failed"
        assert send(config, plan=plan).metrics["left_out"] == {"sent_before": 4}
    assert sorted(sink.recipients) == addresses_of(offered(plan))


def test_a_second_interrupt_does_not_wait(base, tmp_path):
    """The current message is then in doubt, and reported as such."""
    sink, process = MailSink(), None

    def interrupt_twice(_):
        for _ in range(2):
            process.send_signal(signal.SIGINT)
            time.sleep(0.3)
        return TAKEN

    sink.answer = interrupt_twice
    with serving(sink) as server:
        config = mailing_shop(base, tmp_path / "shop", port=server.port)
        process = started(config)
        process.communicate(timeout=60)
        assert process.returncode == 130
        sink.answer = lambda _: TAKEN
        result = send(config, plan=config.parent / "plan.parquet")
    assert result.metrics["left_out"] == {"maybe_sent": 1}
    assert Counter(states(config).values())["unknown"] == 1


def test_an_interrupt_ends_the_wait_for_a_webhook_that_is_busy(base, tmp_path, monkeypatch):
    """Its batch was rejected temporarily, so it is not in doubt and is sent by the next run."""
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    receiver = Receiver(*[(503, {"retry-after": "100"})] * 9)
    with receiver.at() as address:
        hook = f'[delivery.webhook]\nurl = "{address}"\nsecret = "${{HOOK_SECRET}}"\n'
        config = mailing_shop(base, tmp_path / "shop", port=1, more=hook)
        process = started(config, "--through", "webhook")
        while not receiver.requests and process.poll() is None:
            time.sleep(0.005)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        _, message = process.communicate(timeout=30)
        assert process.returncode == 130, message
        assert len(receiver.requests) == 1
        assert set(states(config).values()) == {"waiting"}
        receiver.answers.clear()
        send(config, plan=config.parent / "plan.parquet", through="webhook")
    assert set(states(config).values()) == {"sent"}
