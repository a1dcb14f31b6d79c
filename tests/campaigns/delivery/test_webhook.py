"""Against a real receiver that checks signatures by itself: signed, tried again, and final."""

import base64
import hashlib
import hmac
import json
import socket
from datetime import UTC, date, datetime

import pytest
from endless import endless
from hook_sink import Receiver, ids

from churn.campaigns.delivery.settings import WebhookSettings
from churn.campaigns.delivery.transport import Clock, Outcome, Outgoing
from churn.campaigns.delivery.webhook import WebhookConnection
from churn.storage.messages import Message

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
ROW = {
    "customer_id": "ännä",
    "campaign_id": "spring",
    "offer_id": "coupon",
    "channel": "sms",
    "arm": "treatment",
    "expires_on": date(2027, 1, 14),
    "code": "SPRING-10",
    "as_of": date(2027, 1, 1),
    "run_id": "run-1",
    "churn_probability": 0.9,
}


def parcel(*customers, batch="msg_1"):
    return [
        Outgoing(
            Message(
                campaign_id="spring",
                as_of=date(2027, 1, 1),
                customer_id=customer,
                through="webhook",
                offer_id="coupon",
                channel="sms",
                token=customer,
                parcel=batch,
                run_id="run-1",
            ),
            {**ROW, "customer_id": customer},
        )
        for customer in customers
    ]


def verified(headers, body, *, tolerance_seconds=300):
    """The payload, if the signature is right: written from the specification, not from our code."""
    headers = {name.lower(): value for name, value in headers.items()}
    key = base64.b64decode(SECRET.split("_", 1)[1])
    said = ".".join([headers["webhook-id"], headers["webhook-timestamp"], body.decode()])
    right = base64.b64encode(hmac.new(key, said.encode(), hashlib.sha256).digest()).decode()
    versions = [part.split(",", 1) for part in headers["webhook-signature"].split(" ")]
    assert any(v == "v1" and hmac.compare_digest(s, right) for v, s in versions)
    assert abs(int(headers["webhook-timestamp"]) - NOON.timestamp()) <= tolerance_seconds
    return json.loads(body)


def posted(receiver, *batches, **changes):
    """What became of the batches, and how long was waited."""
    waits = []
    clock = Clock(lambda: NOON, waits.append)
    with receiver.at() as url:
        settings = WebhookSettings(
            **{"url": url, "secret": SECRET, "timeout_seconds": 0.5, "retries": 2, **changes}
        )
        hook = WebhookConnection(settings, clock=clock, seed=1)
        outcomes = [hook.send(one) for one in batches or [parcel("ännä")]]
        hook.close()
    return outcomes, waits


def test_a_batch_holds_the_columns_of_the_list_signed_and_no_score():
    receiver = Receiver()
    outcomes, _ = posted(receiver, parcel("ännä", "ben"), parcel("cleo", batch="msg_2"))
    assert outcomes == [Outcome("sent")] * 2
    path, headers, body = receiver.requests[0]
    payload = verified(headers, body)
    assert path == "/hook"
    assert (payload["type"], payload["timestamp"]) == ("offers.planned", NOON.isoformat())
    contacts = payload["data"]["contacts"]
    assert [one["customer_id"] for one in contacts] == ["ännä", "ben"]
    told = {name: str(value) for name, value in ROW.items() if name != "churn_probability"}
    assert contacts[0] == told
    assert ids(receiver) == ["msg_1", "msg_2"]


def test_a_changed_body_is_found_out():
    receiver = Receiver()
    posted(receiver)
    _, headers, body = receiver.requests[0]
    with pytest.raises(AssertionError):
        verified(headers, body.replace(b"coupon", b"gift"))


def test_failures_of_the_moment_are_tried_again_under_the_same_id():
    receiver = Receiver(500, 429, 200)
    outcomes, waits = posted(receiver)
    assert outcomes == [Outcome("sent")]
    assert ids(receiver) == ["msg_1"] * 3
    assert len({body for _, _, body in receiver.requests}) == 1
    assert 1 <= waits[0] < 2 <= waits[1] < 4


@pytest.mark.parametrize(
    ("asked", "waited"),
    [("7", 7.0), ("86400", 120.0), ("soon", None), ("Fri, 31 Dec 2027 23:59:59 GMT", None)],
)
def test_the_receiver_may_say_how_long_to_wait_within_reason(asked, waited):
    _, waits = posted(Receiver((429, {"retry-after": asked})))
    assert waits == [waited] if waited else 1 <= waits[0] < 2


def test_a_receiver_that_never_can_stops_the_run_and_has_nothing():
    outcomes, _ = posted(Receiver(503, 503, 503))
    assert outcomes == [Outcome("waiting", "503", stop=True)]


def test_silence_leaves_in_doubt_whether_it_arrived():
    outcomes, _ = posted(Receiver(0.7, 503), retries=1)
    assert outcomes == [Outcome("unknown", "503", stop=True)]
    outcomes, _ = posted(Receiver(0.7), retries=0)
    assert outcomes == [Outcome("unknown", "no answer", stop=True)]
    outcomes, _ = posted(Receiver(0.7), retries=1)
    assert outcomes == [Outcome("sent")]


def test_nobody_there_leaves_no_doubt():
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        port = unheard.getsockname()[1]
        outcomes, waits = posted(Receiver(), url=f"http://127.0.0.1:{port}/")
    assert outcomes == [Outcome("waiting", f"no connection to 127.0.0.1:{port}", stop=True)]
    assert len(waits) == 2


@pytest.mark.parametrize("status", [400, 413, 422])
def test_an_answer_that_speaks_of_the_batch_is_final_for_it(status):
    receiver = Receiver(status)
    outcomes, waits = posted(receiver, parcel("anna"), parcel("ben", batch="msg_2"))
    assert outcomes == [Outcome("failed", str(status)), Outcome("sent")]
    assert waits == []


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_an_answer_that_speaks_of_the_address_or_the_secret_stops_the_run(status):
    outcomes, _ = posted(Receiver(status))
    assert outcomes == [Outcome("waiting", str(status), stop=True)]


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(status):
    receiver = Receiver((status, {"location": "/elsewhere"}))
    outcomes, _ = posted(receiver)
    assert outcomes == [Outcome("waiting", str(status), stop=True)]
    assert [path for path, _, _ in receiver.requests] == ["/hook"]


ENDLESS = {
    "a body without end": (b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 65_536, 0.0, "sent"),
    "a body that drips": (b"HTTP/1.1 200 OK\r\n\r\n", b"x", 0.05, "sent"),
    "a length that never comes": (
        b"HTTP/1.1 200 OK\r\ncontent-length: 9999999\r\n\r\n",
        b"",
        0.05,
        "sent",
    ),
    "a head that drips": (b"HTTP/1.1 200 OK\r\nx: ", b"x", 0.05, "sent"),
    "a status that drips": (b"HTTP/1.1 2", b"0", 0.05, "unknown"),
}


@pytest.mark.parametrize(("begin", "more", "pause", "state"), ENDLESS.values(), ids=ENDLESS)
def test_an_answer_without_end_is_not_waited_for(begin, more, pause, state):
    """Only its status is read, and that within three times the timeout."""
    with endless(begin, more, pause) as port:
        settings = WebhookSettings(
            url=f"http://127.0.0.1:{port}/", secret=SECRET, timeout_seconds=0.5, retries=0
        )
        webhook = WebhookConnection(settings)
        assert webhook.send(parcel("a")).state == state
        webhook.close()
