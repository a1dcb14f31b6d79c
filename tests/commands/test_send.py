"""`churn send` from a plan to a mail server: the recipients, once each, and the report."""

import json
import re
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
from hook_sink import Receiver, ids
from mail_sink import MailSink, serving
from mailing_shop import (
    CUSTOMERS,
    SMS,
    add_consents,
    addresses_of,
    consents,
    mailing_shop,
    offered,
    planned,
    states,
)
from simulated_shop import AS_OF, OFFERS

from churn.campaigns.delivery.transport import Clock
from churn.commands.export import export
from churn.commands.send import send
from churn.errors import BusyError, ConfigError, DataError
from churn.storage.ledger import Ledger
from churn.storage.locks import exclusive, lock_beside
from churn.storage.withdrawals import record_withdrawal

NOON, NIGHT = (datetime(2024, 1, 2, hour, tzinfo=UTC) for hour in (12, 23))


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tmp_path_factory.mktemp("base")


@pytest.fixture
def sink():
    return MailSink()


@pytest.fixture
def server(sink):
    with serving(sink) as running:
        yield running


@pytest.fixture
def shop(base, tmp_path, server):
    return mailing_shop(base, tmp_path / "shop", port=server.port)


@pytest.fixture
def plan(shop):
    return shop.parent / "plan.parquet"


def sent(shop, plan, **options):
    return send(shop, plan=plan, **{"clock": clock_at(NOON), **options})


def clock_at(moment):
    return Clock(lambda: moment, lambda _: None)


def test_every_offer_arrives_once_and_the_second_run_sends_none(shop, plan, sink):
    first, second = sent(shop, plan), sent(shop, plan)
    assert sorted(sink.recipients) == addresses_of(offered(plan))
    assert first.rows == {"plan": 40, "to_send": len(sink.envelopes), "sent": len(sink.envelopes)}
    assert second.metrics["left_out"] == {"sent_before": len(sink.envelopes)}
    assert second.rows["sent"] == 0
    assert set(states(shop).values()) == {"sent"}
    assert first.as_of == AS_OF


def test_each_message_says_whose_it_is_and_how_to_end_it(shop, plan, sink):
    sent(shop, plan, limit=3)
    links = [message["List-Unsubscribe"] for message in sink.messages]
    assert len(set(links)) == 3
    assert len({message["Message-ID"] for message in sink.messages}) == 3
    for message, link in zip(sink.messages, links, strict=True):
        assert re.fullmatch(r"<https://shop\.example/unsubscribe/[\w-]{22}>", link)
        assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        text, html = (part.get_content() for part in message.iter_parts())
        assert link.strip("<>") in text
        assert link.strip("<>") in html
        assert "1 High Street, Anytown" in text
        assert "agreed to receive" in text


def test_a_plan_that_went_out_two_ways_is_told_each_time(shop, plan, tmp_path):
    assert sent(shop, plan, limit=1).warnings == ()
    listed = export(shop, plan=plan, out=tmp_path / "list.csv")
    again = sent(shop, plan)
    assert "the same plan went out through 'email' in run " in listed.warnings[0]
    assert "the same plan went out through 'list' in run " in again.warnings[0]
    assert listed.run_id in again.warnings[0]


def test_a_limit_sends_the_first_and_the_next_run_goes_on(shop, plan, sink):
    assert sent(shop, plan, limit=10).metrics["left_out"] == {
        "beyond_limit": len(offered(plan)) - 10
    }
    sent(shop, plan)
    assert sorted(sink.recipients) == addresses_of(offered(plan))


def test_who_withdrew_since_the_plan_gets_none(shop, plan, sink):
    gone = sorted(offered(plan))[:2]
    add_consents(shop, consents(False, customers=gone[:1], at=AS_OF + timedelta(days=9)))
    with Ledger(shop.parent / "ledger.db") as ledger:
        record_withdrawal(ledger, gone[1], "email", source="page")
    result = sent(shop, plan)
    assert result.metrics["left_out"] == {"consent_refused": 2}
    assert sorted(sink.recipients) == addresses_of(offered(plan) - set(gone))


def test_who_unsubscribed_or_wants_no_such_offer_since_the_plan_gets_none(shop, plan, sink):
    left, unwilling = sorted(offered(plan))[:2]
    at = pd.Timestamp(AS_OF) + pd.Timedelta(days=3)
    said = {
        "events": {"customer_id": [left], "event_type": "unsubscribe", "occurred_at": at},
        "preferences": {"customer_id": [unwilling], "allowed": False, "changed_at": at},
    }
    for name, columns in said.items():
        pd.DataFrame(columns).to_parquet(shop.parent / f"{name}.parquet")
        text = f'\n[data.{name}]\nsource = "{name}.parquet"\n'
        shop.write_text(shop.read_text() + text)
    result = sent(shop, plan)
    assert result.metrics["left_out"] == {"consent_refused": 1, "preference": 1}
    assert sorted(sink.recipients) == addresses_of(offered(plan) - {left, unwilling})


def test_who_withdraws_while_others_get_theirs_gets_none(shop, plan, sink):
    order = sorted(offered(plan))

    def withdraw(_):
        with Ledger(shop.parent / "ledger.db") as ledger:
            record_withdrawal(ledger, order[-1], "email", source="one-click")
        return "250 OK"

    sink.answer = withdraw
    result = sent(shop, plan)
    assert result.metrics["withdrawn"] == 1
    assert sorted(sink.recipients) == addresses_of(order[:-1])


def test_a_refusal_that_the_shop_hears_of_in_a_long_run_counts(shop, plan, sink):
    order = sorted(offered(plan))
    moment = [NIGHT]

    def slow(_):
        if len(sink.envelopes) == 1:
            moment[0] += timedelta(minutes=20)
            add_consents(shop, consents(False, customers=order[-2:], at="2023-01-01"))
        return "250 OK"

    sink.answer = slow
    result = sent(shop, plan, clock=Clock(lambda: moment[0], lambda _: None))
    assert result.metrics["withdrawn"] == 2
    assert sorted(sink.recipients) == addresses_of(order[:-2])


def test_addresses_that_are_missing_bad_shared_or_refused_are_counted(shop, plan, sink):
    names = sorted(offered(plan))
    outside = next(iter(set(CUSTOMERS) - set(names)))
    path = shop.parent / "customers.parquet"
    people = pd.read_parquet(path).set_index("customer_id")["email"]
    people[names[0]] = None
    people[names[1]] = "nobody\r\nBcc: all@mail.example"
    people[names[3]] = people[names[2]].upper()
    people[names[4]] = people[outside]
    people.reset_index().to_parquet(path, index=False)
    add_consents(shop, consents(False, customers=[outside]))
    result = sent(shop, plan)
    codes = ("no_address", "bad_address", "same_address", "refused_address")
    assert result.metrics["left_out"] == dict.fromkeys(codes, 1)
    assert sorted(sink.recipients) == addresses_of([names[2], *names[5:]])


def test_only_offers_of_the_channel_email_go_out_by_email(base, tmp_path, server, sink):
    shop = mailing_shop(base, tmp_path / "two", port=server.port)
    (shop.parent / "offers.toml").write_text(f"{OFFERS}[[offers]]{SMS}")
    add_consents(shop, consents(customers=CUSTOMERS[:20], channel="sms"))
    add_consents(shop, consents(False, customers=CUSTOMERS[:20], at="2022-02-01"))
    plan = planned(shop, "two.parquet", dry_run=False)
    frame = pd.read_parquet(plan)
    result = sent(shop, plan)
    assert result.metrics["left_out"]["other_channel"] == (frame["channel"] == "sms").sum() > 0
    by_mail = set(frame.loc[frame["channel"] == "email", "customer_id"]) & offered(plan)
    assert sorted(sink.recipients) == addresses_of(by_mail)


def coded(shop, *codes):
    """The shop whose coupons have a code each, and a subject for each language."""
    (shop.parent / "codes.csv").write_text("\n".join(codes))
    more = 'codes = "codes.csv"\nsubject.en = "Your code is inside"\nsubject.de = "Ihr Code"\n'
    (shop.parent / "offers.toml").write_text(OFFERS + more)


def test_each_message_holds_the_customers_own_code_and_the_offers_subject(shop, plan, sink):
    coded(shop, *(f"C-{number}" for number in range(60)))
    sent(shop, plan, limit=3)
    sent(shop, plan)
    codes = []
    for message in sink.messages:
        assert message["Subject"] == "Your code is inside"
        text, html = (part.get_content() for part in message.iter_parts())
        (code,) = re.findall(r"Your code: (\S+)", text)
        assert code in html
        codes.append(code)
    assert len(set(codes)) == len(offered(plan))


def test_a_preview_shows_a_code_and_gives_none_away(shop, plan, tmp_path):
    coded(shop, *(f"C-{number}" for number in range(60)))
    sent(shop, plan, preview=tmp_path / "look")
    assert "Your code: C-0" in (tmp_path / "look" / "coupon.txt").read_text()
    with Ledger(shop.parent / "ledger.db") as ledger, ledger.reading() as connection:
        assert connection.execute("SELECT count(*) FROM codes").fetchone() == (0,)


def test_too_few_codes_stop_a_sending_before_the_first_message(shop, plan, sink):
    coded(shop, "ONE", "TWO")
    for options in ({"dry_run": True}, {}):
        with pytest.raises(DataError, match="2 codes left"):
            sent(shop, plan, **options)
    assert sink.messages == []


def test_a_template_that_leaves_out_the_code_is_refused(shop, plan, tmp_path):
    coded(shop, *(f"C-{number}" for number in range(60)))
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "offer.html").write_text("<a href='{{ unsubscribe_url }}'>no more</a>")
    text = shop.read_text().replace(
        "[delivery.email]", f'[delivery.email]\ntemplates = "{tmp_path}/own"'
    )
    shop.write_text(text)
    with pytest.raises(ConfigError, match=r"must contain code in text and HTML"):
        sent(shop, plan, dry_run=True)


def test_a_dry_run_and_a_preview_need_no_mail_server(shop, plan, tmp_path):
    section = shop.read_text().split("[delivery.email]")
    shop.write_text(section[0])
    counted = sent(shop, plan, dry_run=True)
    seen = sent(shop, plan, preview=tmp_path / "look")
    assert counted.rows["to_send"] == len(offered(plan))
    assert "Your Shop" in (tmp_path / "look" / "coupon.txt").read_text()
    assert any("are placeholders: a sending needs the section" in one for one in seen.warnings)
    with pytest.raises(ConfigError, match=r"sending e-mail needs a mail server"):
        sent(shop, plan)


def test_a_dry_run_needs_no_host_and_no_addresses(shop, plan):
    text = shop.read_text().replace('host = "127.0.0.1"\n', "")
    without = text.replace('[data.customers]\nsource = "customers.parquet"\n', "")
    shop.write_text(without)
    result = sent(shop, plan, dry_run=True)
    assert result.rows["to_send"] == len(offered(plan))
    assert any("name [delivery.email] host" in warning for warning in result.warnings)
    assert any("needs the column email of [data.customers]" in one for one in result.warnings)
    with pytest.raises(ConfigError, match="needs a mail server"):
        sent(shop, plan)


def test_the_end_of_an_offer_is_a_date_in_the_customers_language(shop, plan, tmp_path):
    text = shop.read_text().replace("[delivery.email]", '[delivery.email]\nlanguage = "de"')
    shop.write_text(text)
    sent(shop, plan, preview=tmp_path / "look")
    end = AS_OF + timedelta(days=14)
    assert (
        f"Gültig bis {end.day}. Januar {end.year}" in (tmp_path / "look" / "coupon.txt").read_text()
    )


def test_a_dry_run_counts_and_a_preview_shows_and_neither_sends(shop, plan, sink, tmp_path):
    dry = sent(shop, plan, dry_run=True)
    seen = sent(shop, plan, preview=tmp_path / "look")
    assert dry.rows["to_send"] == seen.rows["to_send"] == len(offered(plan))
    assert sink.envelopes == []
    assert states(shop) == {}
    assert {path.name for path in seen.files} == {"coupon.eml", "coupon.html", "coupon.txt"}
    assert "5 % off" in (tmp_path / "look" / "coupon.txt").read_text()
    assert b"List-Unsubscribe: <https://" in (tmp_path / "look" / "coupon.eml").read_bytes()


def test_products_are_named_where_they_are_given(shop, plan, sink, tmp_path):
    names = sorted(offered(plan))
    rows = {"customer_id": names[:1] * 2, "rank": [2, 1], "name": ["Tea", "Oat milk"]}
    pd.DataFrame(rows).to_parquet(tmp_path / "picks.parquet")
    sent(shop, plan, products=tmp_path / "picks.parquet", limit=2)
    first, second = (message.get_body(("plain",)).get_content() for message in sink.messages)
    assert first.index("- Oat milk") < first.index("- Tea")
    assert "Picked for you" not in second


def test_products_without_a_name_are_left_out_and_it_is_told_how_many(shop, plan, sink, tmp_path):
    names = sorted(offered(plan))
    rows = {"customer_id": names[:3], "rank": 1, "product_id": "p0250"}
    rows["name"] = [None, None, "Tea"]
    pd.DataFrame(rows).to_parquet(tmp_path / "picks.parquet")
    result = sent(shop, plan, products=tmp_path / "picks.parquet", limit=3)
    texts = [message.get_body(("plain",)).get_content() for message in sink.messages]
    assert [text.count("Picked for you") for text in texts] == [0, 0, 1]
    assert "p0250" not in "".join(texts)
    assert result.warnings[-1].startswith("2 messages name no product, because the recommendations")
    assert "product_name" in result.warnings[-1]


@pytest.mark.parametrize("dry_run", [True, False])
def test_offers_that_ended_before_today_are_told(shop, plan, dry_run):
    ends = datetime(2024, 1, 15, 23, tzinfo=UTC)
    assert sent(shop, plan, limit=1, clock=clock_at(ends), dry_run=dry_run).warnings == ()
    late = clock_at(ends + timedelta(hours=1))
    (note,) = sent(shop, plan, limit=2, clock=late, dry_run=dry_run).warnings
    assert note.startswith("2 messages contain offers that ended before today, 2024-01-16: ")
    assert "as of 2024-01-01; pass --date 2024-01-16 to leave them out" in note
    none = sent(shop, plan, clock=late, on="2024-01-16", dry_run=dry_run)
    assert none.metrics["left_out"].keys() <= {"expired", "sent_before"}
    assert none.rows["to_send"] == 0


def test_a_template_of_the_shop_is_used_and_a_broken_one_sends_nothing(
    base, tmp_path, server, sink
):
    more = 'templates = "letters"\nlanguage = "de"\n'
    shop = mailing_shop(base, tmp_path / "own", port=server.port, more=more)
    own = shop.parent / "letters" / "offer.j2"
    own.parent.mkdir()
    subject = "{% block subject %}Psst: {{ offer.name }}{% endblock %}"
    for text, reported in [
        ("{{ nobody }}", "the template 'offer' must work, got UndefinedError"),
        ("No way out", r"the template 'offer' must contain unsubscribe_url .*Extend `layout`"),
    ]:
        own.write_text(subject + text)
        with pytest.raises(ConfigError, match=reported):
            sent(shop, shop.parent / "plan.parquet")
    assert states(shop) == {}
    own.write_text(subject + "{{ unsubscribe_url }}")
    sent(shop, shop.parent / "plan.parquet", limit=1)
    assert sink.messages[0]["Subject"] == "Psst: 5 % off"


def test_what_is_refused_for_now_waits_for_the_next_run(shop, plan, sink):
    late = addresses_of(offered(plan))[0]
    sink.recipient = lambda to: "451 later" if to == late else "250 OK"
    result = sent(shop, plan)
    assert result.metrics["waiting"] == 1
    assert result.exit_code == 0
    assert any("the same command sends them" in note for note in result.warnings)
    sink.recipient = lambda _: "250 OK"
    assert sent(shop, plan).rows["sent"] == 1
    assert sorted(sink.recipients) == addresses_of(offered(plan))


def test_what_is_refused_for_good_is_not_tried_again(shop, plan, sink):
    bad = addresses_of(offered(plan))[0]
    sink.recipient = lambda to: "550 nobody" if to == bad else "250 OK"
    result = sent(shop, plan)
    assert (result.metrics["failed"], result.metrics["causes"]) == (1, {"failed": {"550": 1}})
    sink.recipient = lambda _: "250 OK"
    assert "failed_before" in sent(shop, plan).metrics["left_out"]
    assert bad not in sink.recipients


def test_a_server_that_is_away_leaves_all_waiting_and_exits_with_7(base, tmp_path):
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        port = unheard.getsockname()[1]
        shop = mailing_shop(base, tmp_path / "away", port=port, more="attempts = 1\n")
        result = sent(shop, shop.parent / "plan.parquet")
        words = [sys.executable, "-m", "churn", "send", str(shop.parent / "plan.parquet")]
        done = subprocess.run(
            [*words, "--config", str(shop)], capture_output=True, text=True, check=False
        )
    assert result.exit_code == done.returncode == 7
    assert result.metrics["stopped"] == f"no connection to 127.0.0.1:{port} (connection refused)"
    assert done.stderr.splitlines()[-1] == f"error: {result.failure}"
    assert result.failure == f"sending stopped early: {result.metrics['stopped']}"
    assert set(states(shop).values()) == {"waiting"}


def test_another_plan_of_the_same_date_has_to_replace_and_reaches_only_the_others(shop, plan, sink):
    before = offered(plan)
    sent(shop, plan, limit=10)
    other = planned(shop, "other.parquet", customers=CUSTOMERS[:30])
    with pytest.raises(DataError, match="must be the plan on record"):
        sent(shop, plan)
    with pytest.raises(ConfigError, match=r"one plan of campaign 'spring'.*sent through 'email'"):
        sent(shop, other)
    with pytest.raises(
        ConfigError, match=r"may be sent through 'email', got a plan other .*--replace"
    ):
        sent(shop, other, dry_run=True)
    assert sent(shop, other, dry_run=True, replace=True).rows["to_send"] > 0
    assert sent(shop, other, replace=True).rows["sent"] > 0
    assert sorted(sink.recipients) == addresses_of(offered(other) | set(sorted(before)[:10]))


def test_in_quiet_hours_nothing_is_sent_and_it_is_told_when_it_can_be(base, tmp_path, server, sink):
    more = '[delivery]\nquiet_hours = "21:00-08:00"\ntimezone = "Europe/Berlin"\n'
    shop = mailing_shop(base, tmp_path / "quiet", port=server.port, more=more)
    waits = []

    def sleep(seconds):
        waits.append(seconds)

    clock = Clock(lambda: NIGHT + timedelta(seconds=sum(waits)), sleep)
    result = sent(shop, shop.parent / "plan.parquet", clock=clock)
    assert (result.exit_code, result.rows["sent"], waits) == (0, 0, [])
    assert "quiet hours: sending opens at 2024-01-03 08:00 (Europe/Berlin)" in result.warnings[0]
    result = sent(shop, shop.parent / "plan.parquet", clock=clock, wait=True)
    assert waits == [8 * 3600]
    assert result.rows["sent"] == len(sink.envelopes) > 30


def test_two_sendings_at_once_are_one(shop, plan):
    with (
        exclusive(lock_beside(shop.parent / "send"), what="it"),
        pytest.raises(BusyError, match="sending must be done by one run at a time"),
    ):
        sent(shop, plan)


@pytest.mark.parametrize(
    ("options", "reported"),
    [
        ({"through": "pigeon"}, "--through must be one of email, webhook, got pigeon"),
        ({"through": "webhook"}, r"needs the section \[delivery.webhook\]"),
        ({"offer": "nope"}, r"must be an offer of the plan, got 'nope'\. It offers coupon\."),
        ({"on": "2024-13-01"}, "--date must be an ISO date, got '2024-13-01'"),
    ],
)
def test_a_way_an_offer_or_a_date_that_is_not_there_is_told(shop, plan, options, reported):
    with pytest.raises(ConfigError, match=reported):
        sent(shop, plan, **options)


def test_without_addresses_at_all_it_is_told(shop, plan):
    path = shop.parent / "customers.parquet"
    pd.read_parquet(path).drop(columns="email").to_parquet(path)
    with pytest.raises(DataError, match="needs the column email of the table 'customers'"):
        sent(shop, plan)


def test_a_withdrawal_through_the_link_reaches_the_next_export(shop, plan, sink, tmp_path):
    """The loop from the customer's view: the link of a received message, and no further message."""
    from urllib.request import Request, urlopen

    sent(shop, plan, limit=3)
    message = sink.messages[0]
    path = message["List-Unsubscribe"].strip("<>").removeprefix("https://shop.example")
    words = [sys.executable, "-m", "churn", "serve", "--port", "0", "--config", str(shop)]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    try:
        address = re.search(r"http://[\d.:]+", process.stderr.readline())[0]
        with urlopen(Request(address + path, data=b"List-Unsubscribe=One-Click")) as answer:
            assert answer.status == 200
    finally:
        process.terminate()
        process.communicate()
    gone = next(c for c in CUSTOMERS if addresses_of([c]) == [message["To"]])
    result = export(shop, plan=plan, out=tmp_path / "list.csv")
    assert result.metrics["left_out"] == {"consent_refused": 1}
    assert gone not in (tmp_path / "list.csv").read_text()
    sent(shop, plan)
    assert sorted(sink.recipients) == addresses_of(offered(plan))  # once, before the withdrawal


def test_the_command_tells_what_it_did_and_no_address(shop, plan, sink):
    words = [sys.executable, "-m", "churn", "send", str(plan), "--config", str(shop)]
    done = subprocess.run([*words, "--limit", "2"], capture_output=True, text=True, check=True)
    assert re.search(r"sent +2 +taken by the other side", done.stderr)
    done = subprocess.run([*words, "--json"], capture_output=True, text=True, check=True)
    reported = json.loads(done.stdout)
    assert reported["metrics"]["sent"] == len(sink.envelopes) - 2
    assert "@" not in done.stdout + done.stderr
    with Ledger(shop.parent / "ledger.db") as ledger:
        assert "@" not in json.dumps([run.facts for run in ledger.runs("send")])


SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
HOOK = """
[delivery.webhook]
url = "{url}"
secret = "${{WEBHOOK_SECRET}}"
batch = 10
retries = 0
timeout_seconds = 0.5
"""


@pytest.fixture
def hooked(base, tmp_path, monkeypatch):
    """A shop with a webhook at this address."""
    monkeypatch.setenv("WEBHOOK_SECRET", SECRET)

    def build(url, port=9):
        return mailing_shop(base, tmp_path / "hook", port=port, more=HOOK.format(url=url))

    return build


def customers_in(receiver):
    bodies = [json.loads(body) for _, _, body in receiver.requests]
    return [one["customer_id"] for body in bodies for one in body["data"]["contacts"]]


def test_a_webhook_gets_the_list_in_batches_and_nobody_who_has_an_email(hooked, server):
    receiver = Receiver()
    with receiver.at() as url:
        shop = hooked(url, server.port)
        plan = shop.parent / "plan.parquet"
        sent(shop, plan, limit=5)
        result = sent(shop, plan, through="webhook")
        again = sent(shop, plan, through="webhook")
    assert customers_in(receiver) == sorted(offered(plan))[5:]
    assert len(receiver.requests) == 3
    assert result.metrics["left_out"] == {"sent_before": 5}
    assert again.rows["sent"] == 0


def test_a_batch_keeps_its_id_from_one_run_to_the_next(hooked):
    receiver = Receiver(200, 503, 200, 200, 0.7)
    with receiver.at() as url:
        shop = hooked(url)
        plan = shop.parent / "plan.parquet"
        first = sent(shop, plan, through="webhook")
        second = sent(shop, plan, through="webhook")
        third = sent(shop, plan, through="webhook")
        last = sent(shop, plan, through="webhook", retry_unknown=True)
    assert (first.exit_code, first.rows["sent"]) == (7, 10)
    assert first.failure == "sending stopped early: the other side answered 503"
    assert (second.exit_code, second.metrics["unknown"]) == (7, len(offered(plan)) - 30)
    assert third.rows["to_send"] == 0
    assert last.rows["sent"] == len(offered(plan)) - 30
    one, two, again, three, four, four_again = ids(receiver)
    assert (two, four) == (again, four_again)
    assert len({one, two, three, four}) == 4
    assert set(states(shop).values()) == {"sent"}
