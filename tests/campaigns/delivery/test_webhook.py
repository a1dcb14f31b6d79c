"""The webhook against a real receiver: signatures, retries and final replies."""

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


def batch_of(*customers, batch="msg_1"):
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
    """The payload, after verifying the signature independently, by the specification."""
    headers = {name.lower(): value for name, value in headers.items()}
    key = base64.b64decode(SECRET.split("_", 1)[1])
    signed = ".".join([headers["webhook-id"], headers["webhook-timestamp"], body.decode()])
    expected = base64.b64encode(hmac.new(key, signed.encode(), hashlib.sha256).digest()).decode()
    versions = [part.split(",", 1) for part in headers["webhook-signature"].split(" ")]
    assert any(v == "v1" and hmac.compare_digest(s, expected) for v, s in versions)
    assert abs(int(headers["webhook-timestamp"]) - NOON.timestamp()) <= tolerance_seconds
    return json.loads(body)


def posted(receiver, *batches, **changes):
    """The outcomes of the batches, and the waits in seconds."""
    waits = []
    clock = Clock(lambda: NOON, waits.append)
    with receiver.at() as url:
        settings = WebhookSettings(
            **{"url": url, "secret": SECRET, "timeout_seconds": 0.5, "retries": 2, **changes}
        )
        hook = WebhookConnection(settings, clock=clock, seed=1)
        outcomes = [hook.send(batch) for batch in batches or [batch_of("ännä")]]
        hook.close()
    return outcomes, waits


def test_a_batch_has_the_columns_of_the_list_signed_and_no_score():
    receiver = Receiver()
    outcomes, _ = posted(receiver, batch_of("ännä", "ben"), batch_of("cleo", batch="msg_2"))
    assert outcomes == [Outcome("sent")] * 2
    path, headers, body = receiver.requests[0]
    payload = verified(headers, body)
    assert path == "/hook"
    assert (payload["type"], payload["timestamp"]) == ("offers.planned", NOON.isoformat())
    contacts = payload["data"]["contacts"]
    assert [contact["customer_id"] for contact in contacts] == ["ännä", "ben"]
    expected = {name: str(value) for name, value in ROW.items() if name != "churn_probability"}
    assert contacts[0] == expected
    assert ids(receiver) == ["msg_1", "msg_2"]


def test_a_changed_body_fails_verification():
    receiver = Receiver()
    posted(receiver)
    _, headers, body = receiver.requests[0]
    with pytest.raises(AssertionError):
        verified(headers, body.replace(b"coupon", b"gift"))


def test_temporary_failures_are_retried_with_the_same_id():
    receiver = Receiver(500, 429, 200)
    outcomes, waits = posted(receiver)
    assert outcomes == [Outcome("sent")]
    assert ids(receiver) == ["msg_1"] * 3
    assert len({body for _, _, body in receiver.requests}) == 1
    assert 1 <= waits[0] < 2 <= waits[1] < 4


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [("7", 7.0), ("86400", 120.0), ("soon", None), ("Fri, 31 Dec 2027 23:59:59 GMT", None)],
)
def test_retry_after_is_respected_within_a_limit(retry_after, seconds):
    _, waits = posted(Receiver((429, {"retry-after": retry_after})))
    assert waits == [seconds] if seconds else 1 <= waits[0] < 2


def test_a_receiver_that_stays_unavailable_stops_the_run():
    outcomes, _ = posted(Receiver(503, 503, 503))
    assert outcomes == [Outcome("waiting", "503", stop=True)]


def test_without_a_reply_the_outcome_is_unknown():
    outcomes, _ = posted(Receiver(0.7, 503), retries=1)
    assert outcomes == [Outcome("unknown", "503", stop=True)]
    outcomes, _ = posted(Receiver(0.7), retries=0)
    assert outcomes == [Outcome("unknown", "no answer", stop=True)]
    outcomes, _ = posted(Receiver(0.7), retries=1)
    assert outcomes == [Outcome("sent")]


def test_without_a_connection_the_batch_is_still_waiting():
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        port = unheard.getsockname()[1]
        outcomes, waits = posted(Receiver(), url=f"http://127.0.0.1:{port}/")
    assert outcomes == [Outcome("waiting", f"no connection to 127.0.0.1:{port}", stop=True)]
    assert len(waits) == 2


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_rejection_of_the_batch_is_final(status):
    receiver = Receiver(status)
    outcomes, waits = posted(receiver, batch_of("anna"), batch_of("ben", batch="msg_2"))
    assert outcomes == [Outcome("failed", str(status)), Outcome("sent")]
    assert waits == []


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_rejection_of_the_address_or_secret_stops_the_run(status):
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
def test_an_endless_reply_is_cut_off(begin, more, pause, state):
    """Only the status is read, within three times the timeout."""
    with endless(begin, more, pause) as port:
        settings = WebhookSettings(
            url=f"http://127.0.0.1:{port}/", secret=SECRET, timeout_seconds=0.5, retries=0
        )
        webhook = WebhookConnection(settings)
        assert webhook.send(batch_of("a")).state == state
        webhook.close()
