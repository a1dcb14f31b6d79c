"""`churn report` and `churn digest` as commands: files, erasure, messages, errors."""

import json

import pytest
from hook_sink import Receiver
from mail_sink import MailSink, Server
from small_documents import written_page

from churn.commands.digest import digest
from churn.commands.forget import forget
from churn.commands.report import report
from churn.errors import ConfigError, StorageError
from churn.storage.manifests import verify_file

ORDERS = "customer_id,ordered_at,amount\nc0004711,2011-11-01,5\nc0000815,2011-11-02,6\n"
MAIL = """[digest]
to = ["Ann <ann@shop.example>", "bo@shop.example"]
link = "https://shop.example/retention"
[delivery.email]
host = "127.0.0.1"
port = {port}
security = "none"
sender = "Shop <news@shop.example>"
unsubscribe_url = "https://shop.example/u"
shop = "Shop"
address = "Street 1"
attempts = 1
"""


PRINTER = """#!/bin/sh
for one; do case $one in --print-to-pdf=*) echo x > "${one#*=}";; esac; done
"""


@pytest.fixture
def shop(tmp_path):
    """A configuration and a small published file."""
    (tmp_path / "orders.csv").write_text(ORDERS)
    config = tmp_path / "churn.toml"
    config.write_text('[data.orders]\nsource = "orders.csv"\n')
    (tmp_path / "out").mkdir()
    written_page(tmp_path / "out/page.duckdb")
    return config


def test_the_report_is_written_with_its_manifest(shop, tmp_path):
    result = report(shop, out=tmp_path / "report.html")
    assert verify_file(tmp_path / "report.html")["ids"] is False
    assert result.metrics["bytes"] == (tmp_path / "report.html").stat().st_size
    assert str(result.as_of) == "2011-12-01"
    again = (tmp_path / "report.html").read_bytes()
    report(shop, out=tmp_path / "report.html")
    assert (tmp_path / "report.html").read_bytes() == again


def test_a_report_that_lists_an_erased_customer_is_removed(shop, tmp_path):
    report(shop, out=tmp_path / "plain.html")
    report(shop, out=tmp_path / "ids.html", ids=True)
    forget(shop, customers=["c0004711"])
    assert not (tmp_path / "ids.html").exists()
    assert (tmp_path / "plain.html").exists()


def test_a_printed_report_with_ids_is_named_by_an_erasure(shop, tmp_path, monkeypatch):
    printer = tmp_path / "chromium"
    printer.write_text(PRINTER)
    printer.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    report(shop, out=tmp_path / "ids.html", ids=True, pdf=True)
    assert (tmp_path / "ids.pdf").read_text() == "x\n"
    result = forget(shop, customers=["c0004711"])
    assert result.exit_code == 3
    assert "ids.pdf cannot be searched" in " ".join(result.metrics["unread"])


def test_without_a_browser_or_with_a_broken_one_the_error_says_what_to_do(
    shop, tmp_path, monkeypatch
):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="Install Chromium, or print the HTML file"):
        report(shop, out=tmp_path / "report.html", pdf=True)
    assert not (tmp_path / "report.html").exists()
    broken = tmp_path / "chromium"
    broken.write_text("#!/bin/sh\nexit 3\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(StorageError, match="exit code 3"):
        report(shop, out=tmp_path / "report.html", pdf=True)


def test_what_was_not_published_or_has_another_ending_is_refused(shop, tmp_path):
    with pytest.raises(ConfigError, match=r"must end in \.html"):
        report(shop, out=tmp_path / "report.txt")
    (tmp_path / "out/page.duckdb").unlink()
    with pytest.raises(ConfigError, match="Write it with `churn publish`"):
        report(shop, out=tmp_path / "report.html")
    with pytest.raises(ConfigError, match="Write it with `churn publish`"):
        digest(shop)


def test_the_digest_is_shown_and_nothing_is_sent_without_being_asked(shop):
    shop.write_text(shop.read_text() + MAIL.format(port=1))
    result = digest(shop)
    assert result.run_id is None
    assert "sent" not in result.metrics
    decide = result.metrics["overview"]["blocks"]["decide"]
    assert decide["sentences"][0]["text"] == result.metrics["lines"][1]
    assert result.metrics["lines"][-1] == "https://shop.example/retention"


def test_the_digest_is_mailed_to_each_address(shop):
    sink = MailSink()
    with Server(sink) as server:
        shop.write_text(shop.read_text() + MAIL.format(port=server.port))
        result = digest(shop, send=True)
    assert result.metrics["sent"] == 2
    assert result.exit_code == 0
    assert sink.recipients == ["ann@shop.example", "bo@shop.example"]
    assert result.tables[1].rows == (("ann@shop.example", "sent"), ("bo@shop.example", "sent"))
    message = sink.messages[0]
    text = message.get_body(("plain",)).get_content()
    assert text.splitlines() == result.metrics["lines"]
    html = message.get_body(("html",)).get_content()
    assert html.startswith("<!doctype html>")
    assert "c0004711" not in html + text
    assert message["List-Unsubscribe"] is None
    assert message["Subject"] == result.metrics["subject"]


def test_a_server_that_is_down_is_an_exit_code(shop):
    shop.write_text(shop.read_text() + MAIL.format(port=1))
    result = digest(shop, send=True)
    assert result.exit_code == 7
    assert result.failure.startswith("2 of 2 were not sent")


def test_the_digest_is_posted_to_the_webhook(shop, monkeypatch):
    monkeypatch.setenv("HOOK", "whsec_" + "A" * 40)
    sink = Receiver(204)
    with sink.at() as url:
        section = f'[digest]\nthrough = "webhook"\n[delivery.webhook]\nurl = "{url}"\n'
        shop.write_text(shop.read_text() + section + 'secret = "${HOOK}"\n')
        result = digest(shop, send=True)
    assert result.metrics["sent"] == 1
    ((_, headers, body),) = sink.requests
    assert json.loads(body)["data"]["lines"] == result.metrics["lines"]
    assert "webhook-signature" in {name.lower() for name in headers}


def test_nobody_to_send_to_is_refused(shop):
    with pytest.raises(ConfigError, match="needs a mail server"):
        digest(shop, send=True)
    nobody = "\n".join(line for line in MAIL.splitlines() if not line.startswith("to ="))
    shop.write_text(shop.read_text() + nobody.format(port=1))
    with pytest.raises(ConfigError, match=r"\[digest\] to must name"):
        digest(shop, send=True)
