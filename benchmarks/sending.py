"""How many e-mails a second go out to a mail server on this machine, and what each one costs.

    .venv/bin/python benchmarks/sending.py [MESSAGES]

The server takes everything and keeps nothing; it runs in a process of its own. Of each message are
told the time on the clock, the processor time of the sender, and the part of the clock's time that
went into the ledger, which is written to the disk once a message.
"""

import re
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path

from churn.campaigns.delivery.dispatch import Dispatch, batches
from churn.campaigns.delivery.email import EmailConnection, Writer
from churn.campaigns.delivery.settings import EmailSettings
from churn.campaigns.delivery.smtp import MailServer
from churn.campaigns.delivery.templates import Templates
from churn.campaigns.delivery.transport import Outgoing
from churn.offers.catalogue import Offer
from churn.storage.ledger import Ledger
from churn.storage.messages import Message, Settled, claim, enqueue

SINK = """
import time
from aiosmtpd.controller import Controller

class Taker:
    async def handle_DATA(self, server, session, envelope):
        return "250 OK"

class Free(Controller):
    def _trigger_server(self):
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()

server = Free(Taker(), hostname="127.0.0.1", port=0)
server.start()
print(server.port, flush=True)
time.sleep(3600)
"""
OFFER = Offer(
    offer_id="coupon",
    name="8 dollars off your next order",
    kind="win_back",
    channel="email",
    margin_cost=8.0,
    contact_cost=0.0,
    redemption_rate=0.1,
    effect=0.03,
    effect_low=0.01,
    effect_high=0.05,
    cooldown_days=28,
    expires_after_days=14,
)


@contextmanager
def mail_server():
    """The port of a server in another process."""
    process = subprocess.Popen([sys.executable, "-c", SINK], stdout=subprocess.PIPE, text=True)
    try:
        yield int(re.search(r"\d+", process.stdout.readline())[0])
    finally:
        process.kill()
        process.communicate()


def waiting(ledger: Ledger, count: int, round_: str) -> list:
    """Parcels of so many messages on record."""
    messages = [
        Message(
            campaign_id=round_,
            as_of=date(2027, 1, 1),
            customer_id=f"c{number}",
            through="email",
            offer_id="coupon",
            channel="email",
            token=f"{round_}-{number}",
            parcel=f"{round_}-{number}",
            run_id="run",
        )
        for number in range(count)
    ]
    enqueue(ledger, messages)
    row = {"expires_on": date(2027, 1, 15)}
    products = ("Ground coffee, 500 g", "Oat milk", "Dark chocolate")
    return batches(
        Outgoing(one, row, f"{one.customer_id}@mail.example", products) for one in messages
    )


def main(count: int = 1000) -> None:
    """Print the table."""
    with mail_server() as port, tempfile.TemporaryDirectory() as folder:
        settings = EmailSettings(
            host="127.0.0.1",
            port=port,
            security="none",
            sender="Corner Shop <news@shop.example>",
            unsubscribe_url="https://shop.example/unsubscribe",
            shop="Corner Shop",
            address="1 High Street, Anytown",
            shop_url="https://shop.example/",
        )
        writer = Writer(settings, Templates("en"), {"coupon": OFFER})
        with Ledger(Path(folder) / "ledger.db") as ledger:
            since = datetime.now(UTC).isoformat()
            items = waiting(ledger, count, "sent")
            begin, worked = time.perf_counter(), time.process_time()
            tally = Dispatch(
                ledger, EmailConnection(writer, MailServer(settings)), since=since
            ).send(items)
            wall, cpu = time.perf_counter() - begin, time.process_time() - worked
            assert tally.of("sent") == count
            items = waiting(ledger, count, "ledger-alone")
            begin = time.perf_counter()
            before = None
            for (one,) in items:
                claimed = claim(ledger, [one.message], since=since, before=before)
                before = Settled(claimed, "sent")
            disk = time.perf_counter() - begin
    print(f"{count / wall:,.0f} messages a second")
    print(f"a message: {1e3 * wall / count:.1f} ms, of which ledger {1e3 * disk / count:.1f} ms")
    print(f"processor of the sender: {1e3 * cpu / count:.1f} ms a message")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
