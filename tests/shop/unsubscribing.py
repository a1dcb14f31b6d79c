"""A running `churn serve` with messages on record, for tests of the unsubscribe page."""

import http.client
import re
import subprocess
import sys
from contextlib import contextmanager
from datetime import date

from churn.storage.ledger import Ledger
from churn.storage.messages import Message, enqueue
from churn.storage.withdrawals import withdrawals

ONE_CLICK = b"List-Unsubscribe=One-Click"
FORM = "application/x-www-form-urlencoded"


def message(customer):
    return Message(
        campaign_id="spring",
        as_of=date(2027, 1, 1),
        customer_id=customer,
        through="email",
        offer_id="coupon",
        channel="email",
        token=f"token-of-{customer}",
        parcel=customer,
        run_id="run-1",
    )


class Service:
    """A running `churn serve`, and what it said."""

    def __init__(self, process, port, folder):
        self.process, self.port, self.folder = process, port, folder

    def ask(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read().decode()
        finally:
            connection.close()

    def post(self, token, body=ONE_CLICK, kind=FORM):
        return self.ask("POST", f"/unsubscribe/{token}", body, {"content-type": kind})

    def withdrawn(self):
        with Ledger(self.folder / "ledger.db") as ledger:
            return {one.customer_id: (one.channel, one.source) for one in withdrawals(ledger)}


@contextmanager
def service(folder, *customers):
    """`churn serve` in a process of its own, with a message to each of the customers on record."""
    (folder / "churn.toml").write_text('[data.orders]\nsource = "orders.parquet"\n')
    with Ledger(folder / "ledger.db") as ledger:
        enqueue(ledger, [message(customer) for customer in customers])
    words = ["serve", "--json", "--port", "0", "--config", str(folder / "churn.toml")]
    process = subprocess.Popen(
        [sys.executable, "-m", "churn", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        line = process.stderr.readline()
        found = re.search(r"http://127\.0\.0\.1:(\d+)/unsubscribe/", line)
        assert found, line + process.stderr.read()
        yield Service(process, int(found[1]), folder)
    finally:
        process.kill()
        process.communicate()
