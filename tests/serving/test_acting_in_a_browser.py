"""From the slider to the mail server: a real plan, made, checked, sent and exported in Chromium."""

import csv
import io
import os
import re
import subprocess
import sys
from contextlib import contextmanager
from datetime import timedelta

import pandas as pd
import pytest
from chromium import launched
from mail_sink import MailSink, serving
from mailing_shop import EMAIL, consents, offered
from simulated_shop import copied_shop, trained_shop

from churn.commands.plan import plan
from churn.commands.publish import publish
from churn.commands.score import score
from churn.serving.dashboard.access import hash_password
from churn.storage.exports import exported_to
from churn.storage.ledger import Ledger
from churn.storage.withdrawals import record_withdrawal

USERS = """
[serving]
unsubscribe = false
[serving.users.ada]
role = "admin"
password_variable = "ADA_PASSWORD_HASH"
"""
PEOPLE = """
[data.consents]
source = "consents.parquet"
[data.customers]
source = "customers.parquet"
"""


@pytest.fixture(scope="module")
def browser():
    with launched() as found:
        yield found


@pytest.fixture
def shop(tmp_path_factory):
    """A trained shop with consents and addresses, whose first plan is on record and published."""
    base = trained_shop(tmp_path_factory.getbasetemp())
    config = copied_shop(base, tmp_path_factory.mktemp("acting") / "shop")
    config.write_text(config.read_text().replace('"assumed"', '"required"') + PEOPLE)
    customers = pd.read_parquet(config.parent / "orders.parquet")["customer_id"].unique()
    people = pd.DataFrame({"customer_id": customers})
    people["email"] = people["customer_id"] + "@mail.example"
    people.to_parquet(config.parent / "customers.parquet", index=False)
    consents(customers=customers).to_parquet(config.parent / "consents.parquet", index=False)
    score(config, out=config.parent / "scores.parquet")
    out = config.parent / "plan.parquet"
    plan(config, out=out, scores=config.parent / "scores.parquet", budget=5.0)
    publish(config)
    return config


@contextmanager
def served(config):
    """`churn serve` in a process of its own; it must end by itself when it is told to."""
    environment = {**os.environ, "ADA_PASSWORD_HASH": hash_password("pw", cost=16)}
    words = ["serve", "--port", "0", "--config", str(config)]
    with subprocess.Popen(
        [sys.executable, "-m", "churn", *words], stderr=subprocess.PIPE, text=True, env=environment
    ) as service:
        try:
            line = service.stderr.readline()
            address = re.search(r"http://[\d.:]+", line)
            assert address, line + service.stderr.read()
            yield address[0]
            service.terminate()
            assert service.wait(60) == 0
        finally:
            service.kill()


def signed_in(browser, address):
    page = browser.new_context(base_url=address).new_page()
    page.set_default_timeout(60_000)
    page.goto("/campaigns")
    page.get_by_label("Name").fill("ada")
    page.get_by_label("Password").fill("pw")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("heading", name="Campaigns", exact=True).wait_for()
    return page


def number_in(page, text):
    return int(re.search(r"[\d,]+", page.get_by_text(text).inner_text())[0].replace(",", ""))


def plan_with_slider(page, folder):
    """Who gets an offer in the plan with the largest budget of the slider, as downloaded."""
    before = page.locator("#at-budget").inner_text()
    page.get_by_role("slider").focus()
    page.keyboard.press("End")
    assert page.locator("#at-budget").inner_text() != before
    page.get_by_role("button", name="Make the plan").click()
    page.get_by_text("The plan was made:").wait_for()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the plan").click()
    wanted = offered(folder / "plan.parquet")
    assert offered(download.value.path()) == wanted
    return wanted


def refuse(folder, customer):
    """The customer's newest word on e-mail is no."""
    kept = pd.read_parquet(folder / "consents.parquet")
    after = kept["changed_at"].max() + timedelta(days=1)
    no = consents(granted=False, customers=[customer], at=after)
    pd.concat([kept, no]).to_parquet(folder / "consents.parquet", index=False)


def exported_list(page):
    """The customers of the list that the page exports."""
    page.goto("/campaigns")
    page.get_by_label("Export as").select_option("list")
    page.get_by_role("button", name="Export", exact=True).click()
    page.get_by_text("were written").wait_for()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download plan-list.csv").click()
    rows = csv.DictReader(io.StringIO(download.value.path().read_text()))
    return {row["customer_id"] for row in rows}


def acts_shown(page):
    """Who did what by the list of acts, newest first."""
    page.goto("/campaigns")
    rows = page.get_by_role("region", name="Acts on record").locator("tbody tr")
    return [row.split("\t")[1:3] for row in rows.all_inner_texts()]


def addresses(customers):
    return sorted(f"{name}@mail.example" for name in customers)


def test_a_budget_becomes_a_plan_that_is_sent_once_to_those_who_agree(browser, shop):
    sink, folder = MailSink(), shop.parent
    with serving(sink) as server:
        shop.write_text(shop.read_text() + EMAIL.format(port=server.port) + USERS)
        with served(shop) as address:
            page = signed_in(browser, address)
            wanted = plan_with_slider(page, folder)
            assert len(wanted) > 20
            refused, gone, *_ = sorted(wanted)
            refuse(folder, refused)
            page.get_by_role("button", name="Check sending by e-mail").click()
            page.get_by_text("Nothing has been sent.").wait_for()
            assert number_in(page, "would be sent") == len(wanted) - 1
            assert sink.recipients == []
            checked = page.url
            with Ledger(folder / "ledger.db") as ledger:  # withdraws after the check
                record_withdrawal(ledger, gone, channel="email", source="page")
            page.get_by_role("button", name="messages now").dblclick()
            page.get_by_text("were sent").wait_for()
            sent, due = page.url, wanted - {refused, gone}
            assert sorted(sink.recipients) == addresses(due)
            page.reload()
            page.goto(checked)
            page.get_by_role("link", name="What was checked here has been sent").click()
            page.get_by_text("were sent").wait_for()
            assert page.url == sent
            assert sorted(sink.recipients) == addresses(due)
            assert exported_list(page) == due
            assert acts_shown(page) == [
                ["ada", "Export: list of customer ids"],
                ["ada", "Sending by e-mail"],
                ["ada", "Check of sending by e-mail"],
                ["ada", "Plan"],
            ]
    with Ledger(folder / "ledger.db") as ledger:
        acts = [run for run in ledger.runs() if run.facts.get("by") == "ada"]
        assert [run.command for run in acts] == ["export", "send", "send", "plan"]
        assert {run.status for run in acts} == {"done"}
        assert set(exported_to(ledger, "spring", str(acts[-1].as_of))) == {"email", "list"}
