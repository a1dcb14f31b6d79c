"""Acts of the pages on a real plan and mail server: once each, on record, and interruptible."""

import threading

import pytest
from hook_sink import Receiver
from mail_sink import TAKEN, MailSink, serving
from mailing_shop import addresses_of, mailing_shop, offered, planned, states
from page_acts import ended

from churn.commands.serve_acts import acts_of
from churn.config import load_settings
from churn.serving.dashboard.acts import STOPPED, Act, key_of_send
from churn.storage.ledger import Ledger

KEYS = [f"{number:032x}" for number in range(9)]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tmp_path_factory.mktemp("base")


@pytest.fixture
def sink():
    return MailSink()


@pytest.fixture
def shop(base, tmp_path, sink):
    with serving(sink) as running:
        yield mailing_shop(base, tmp_path / "shop", port=running.port)


def acts(shop):
    """The acts of a service that has just started."""
    return acts_of(shop, load_settings(shop))


def checked(found, key, *, to="email"):
    plan_run_id = found.plan_run_id()
    found.start(Act(key=key, kind="check", by="ada", to=to, plan_run_id=plan_run_id))
    return ended(found, key)


def sent(found, check):
    key, plan = key_of_send(check), check.plan_run_id
    found.start(Act(key=key, kind="send", by="ada", to=check.to, plan_run_id=plan))
    return ended(found, key)


def test_a_check_sends_nothing_and_its_send_reaches_everyone_once(shop, sink):
    found, due = acts(shop), addresses_of(offered(shop.parent / "plan.parquet"))
    check = checked(found, KEYS[0])
    assert (check.state, check.result["to_send"], sink.recipients) == ("done", len(due), [])
    first, again = sent(found, check), sent(found, check)
    assert first == again
    assert first.result["sent"] == len(due)
    assert sorted(sink.recipients) == due
    after = acts(shop)  # another service
    found_again = after.find(first.key)
    assert (found_again.kind, found_again.state, found_again.by) == ("send", "done", "ada")
    assert sent(after, after.find(KEYS[0])).result["sent"] == len(due)
    assert checked(after, KEYS[1]).result["to_send"] == 0
    assert sorted(sink.recipients) == due


def test_a_service_that_ends_finishes_the_message_and_the_next_check_sends_the_rest(shop, sink):
    found, due = acts(shop), addresses_of(offered(shop.parent / "plan.parquet"))
    begun, go_on = threading.Event(), threading.Event()

    def slowly(_):
        begun.set()
        go_on.wait(20)
        return TAKEN

    sink.answer = slowly
    check = checked(found, KEYS[0])
    key = key_of_send(check)
    plan = check.plan_run_id
    found.start(Act(key=key, kind="send", by="ada", to="email", plan_run_id=plan))
    assert begun.wait(20)
    stopping = threading.Thread(target=found.stop)
    stopping.start()
    while not found._stopping.is_set():
        stopping.join(0.01)
    go_on.set()
    stopping.join(20)
    act = found.find(key)
    assert (act.state, len(sink.recipients)) == ("failed", 1)
    assert STOPPED in act.failure or "interrupted" in act.failure
    assert set(states(shop).values()) == {"sent", "waiting"}
    after = acts(shop)
    assert after.find(key).state == "failed"
    assert sent(after, checked(after, KEYS[1])).result["sent"] == len(due) - 1
    assert sorted(sink.recipients) == due


def test_a_plan_that_was_made_again_is_not_sent_unseen(shop, sink):
    found = acts(shop)
    check = checked(found, KEYS[0])
    planned(shop, budget=3.0)
    act = sent(found, check)
    assert act.state == "failed"
    assert f"must still be the plan of run {check.plan_run_id}" in act.failure
    assert sink.recipients == []
    assert sent(found, checked(found, KEYS[1])).result["sent"] == len(sink.recipients) > 0


def test_an_export_is_written_beside_the_plan_and_every_act_is_on_record(shop):
    found = acts(shop)
    plan = found.plan_run_id()
    checked(found, KEYS[0])
    for key, to in ((KEYS[1], "list"), (KEYS[2], "nowhere")):
        found.start(Act(key=key, kind="export", by="ada", to=to, plan_run_id=plan))
        ended(found, key)
    assert set(found.files()) == {"plan.parquet", "plan-list.csv"}
    assert found.find(KEYS[1]).result["exported"] == len(offered(shop.parent / "plan.parquet"))
    assert found.find(KEYS[2]).state == "failed"
    with Ledger(shop.parent / "ledger.db") as ledger:
        by = {run.run_id: run.facts.get("by") for run in ledger.runs() if "by" in run.facts}
    assert by == {f"page-{KEYS[0]}": "ada", f"page-{KEYS[1]}": "ada"}
    shown = [(one["kind"], one["by"], one["status"]) for one in found.record.newest()]
    assert shown == [("export", "ada", "done"), ("check", "ada", "done")]
    assert found.transports == ("email",)


def test_a_webhook_is_a_transport_once_it_is_set_up(shop, monkeypatch):
    monkeypatch.setenv("HOOK", "whsec_" + "A" * 40)
    receiver = Receiver(204)
    with receiver.at() as url:
        section = f'[delivery.webhook]\nurl = "{url}"\nsecret = "${{HOOK}}"\n'
        shop.write_text(shop.read_text() + section)
        found = acts(shop)
        assert found.transports == ("email", "webhook")
        check = checked(found, KEYS[0], to="webhook")
        act = sent(found, check)
    assert act.result["sent"] == check.result["to_send"] > 0
    assert receiver.requests
