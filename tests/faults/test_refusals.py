"""Real commands on files: refusals are respected, and withdrawals survive a wrong clock."""

import http.client
import json
import re
import subprocess
import sys
from datetime import date

import numpy as np
import pandas as pd
import pytest
from simulated_shop import AS_OF, open_shop, simulated_orders

from churn.storage.ledger import Ledger
from churn.storage.messages import Message, enqueue

CUSTOMERS = [f"c{number:04d}" for number in range(40)]
AGREED = {"channel": "email", "purpose": "marketing", "granted": "true", "changed_at": "2022-01-01"}
REFUSAL = AGREED | {"granted": "false", "changed_at": "2023-06-01"}
WRONG = (
    *({"granted": word} for word in ("", "nein", "off", "opted_out", "unsubscribed", "perhaps")),
    *({"changed_at": day} for day in ("", "31.06.2023", "15/04/2023 10:00", "2099-01-01")),
    *({"channel": word} for word in ("", "e-mail", "E-Mail ", "all", "*", "mail", "Kanal 7")),
    *({"purpose": word} for word in ("", "newsletter", "*", "Aktionen")),
)
EVENTS = ("unsubscribed", "Unsubscribed from Email Marketing", "spam_complaint", "STOP", "widerruf")
TABLES = """
[data.consents]
source = "consents.csv"

[data.events]
source = "events.csv"
"""
# A process whose machine is years back, as one that boots without network time.
BACK = """
import sys
from datetime import datetime, timedelta
import churn.storage.ledger as ledger
from churn.cli import main

class Back(datetime):
    @classmethod
    def now(cls, tz=None):
        return datetime.now(tz) - timedelta(days=2600)

ledger.datetime = Back
sys.argv[0] = "churn"
main()
"""


def churn(folder, *words):
    """The JSON output of a command that succeeded."""
    command = [sys.executable, "-m", "churn", *words, "--json", "--config", "churn.toml"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def shop(tmp_path):
    """A shop without a holdout, with scores that make an offer profitable for everyone."""
    folder = tmp_path / "shop"
    orders = simulated_orders(40)
    config = open_shop(folder, orders, consent="required", budget=1e6, more=TABLES)
    config.write_text(config.read_text().replace("[offers]", "[offers]\nholdout = 0.0", 1))
    scores = pd.DataFrame({"customer_id": CUSTOMERS, "status": "eligible", "currency": "EUR"})
    scores["churn_probability"] = np.linspace(0.2, 0.7, len(scores))
    scores.assign(value_at_risk=500.0, as_of=AS_OF).to_parquet(folder / "scores.parquet")
    written(folder, [])
    return folder


def written(folder, refusals, events=()):
    """The files of consents, all granted at first, and of events, mostly visits."""
    said = [{"customer_id": name} | AGREED for name in CUSTOMERS]
    pd.DataFrame([*said, *refusals]).to_csv(folder / "consents.csv", index=False)
    visits = [{"customer_id": name, "event_type": "visit"} for name in CUSTOMERS]
    done = pd.DataFrame([*visits, *events]).assign(occurred_at="2023-06-01", channel="email")
    done.to_csv(folder / "events.csv", index=False)


def listed(folder):
    """The customers in the plan, those on the list, and the warnings of both commands."""
    as_of = str(AS_OF)
    plan = churn(
        folder, "plan", "--scores", "scores.parquet", "--out", "plan.csv", "--as-of", as_of
    )
    export = churn(folder, "export", "plan.csv", "--to", "list.csv", "--replace")
    rows = pd.read_csv(folder / "plan.csv", dtype=str)
    planned = set(rows.loc[rows["offer_id"] != "none", "customer_id"])
    exported = set(pd.read_csv(folder / "list.csv", dtype=str)["customer_id"])
    return planned, exported, [plan["warnings"], export["warnings"]]


def test_customers_who_refused_in_any_wording_get_no_plan_or_message(shop):
    left = CUSTOMERS[len(WRONG) : len(WRONG) + len(EVENTS)]
    refusals = [
        {"customer_id": name} | REFUSAL | wrong
        for name, wrong in zip(CUSTOMERS, WRONG, strict=False)
    ]
    events = [
        {"customer_id": name, "event_type": kind} for name, kind in zip(left, EVENTS, strict=True)
    ]
    nobody = REFUSAL | {"customer_id": ""}
    written(shop, [*refusals, nobody], events)
    planned, exported, said = listed(shop)
    assert planned == exported == set(CUSTOMERS[len(WRONG) + len(EVENTS) :])
    for warnings in said:
        (unclear,) = [
            text for text in warnings if text.startswith("consents: ") and "unclear" in text
        ]
        words = ("'perhaps' (1)", "'Kanal 7' (1)", "'Aktionen' (1)")
        assert all(reported in unclear for reported in (*words, "changed_at is not a date"))
        assert any("1 refusal names no customer" in text for text in warnings)
        assert any("'widerruf' (1)" in text for text in warnings)
        assert not any("c00" in text for text in warnings)


def test_row_52_a_withdrawal_recorded_with_a_wrong_clock_is_on_no_list(shop):
    planned, exported, _ = listed(shop)
    assert planned == exported == set(CUSTOMERS)
    token, reported = "token-of-c0003", {"customer_id": "c0003", "channel": "email"}
    message = Message(
        **reported,
        campaign_id="spring",
        as_of=date(2024, 1, 1),
        through="email",
        offer_id="coupon",
        token=token,
        parcel="p",
        run_id="r",
        state="sent",
    )
    with Ledger(shop / "ledger.db") as ledger:
        enqueue(ledger, [message])
    unsubscribe(shop, token)
    for _ in range(2):
        planned, exported, _ = listed(shop)
        assert planned == exported == set(CUSTOMERS) - {"c0003"}


def unsubscribe(folder, token):
    """Posts to `churn serve`, whose clock is years behind."""
    words = ["serve", "--json", "--port", "0", "--config", "churn.toml"]
    server = subprocess.Popen(
        [sys.executable, "-c", BACK, *words],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        port = port_of(server)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        form = {"content-type": "application/x-www-form-urlencoded"}
        connection.request("POST", f"/unsubscribe/{token}", b"List-Unsubscribe=One-Click", form)
        assert connection.getresponse().status == 200
        connection.close()
    finally:
        server.terminate()
        server.communicate(timeout=60)


def port_of(server):
    """The port that the server reports."""
    for line in server.stderr:
        found = re.search(r"http://127\.0\.0\.1:(\d+)", line)
        if found:
            return int(found[1])
    raise AssertionError("the server ended before it listened")
