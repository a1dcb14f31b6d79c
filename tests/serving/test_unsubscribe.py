"""The unsubscribe page over HTTP: a POST unsubscribes, a GET changes nothing."""

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unsubscribing import FORM, ONE_CLICK, message, service

from churn.serving.unsubscribe import MAX_BODY_BYTES, create_unsubscribe_app, fields_of
from churn.storage.ledger import Ledger
from churn.storage.messages import enqueue

FORM_TYPE = FORM.encode()


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """One service; each test uses customers of its own."""
    customers = [*"abcdefgh", "page", "multi", *(f"many{n}" for n in range(20))]
    with service(tmp_path_factory.mktemp("service"), *customers) as running:
        yield running


def test_a_get_shows_a_page_with_one_button_and_changes_nothing(shared):
    for method in ("GET", "HEAD", "GET"):
        status, headers, page = shared.ask(method, "/unsubscribe/token-of-a")
        assert status == 200
        assert headers["content-type"] == "text/html; charset=utf-8"
        assert page.count("<button") == (method == "GET")
        assert "<script" not in page
    assert '<form method="post">' in page
    assert "a" not in shared.withdrawn()


def test_a_post_unsubscribes_and_a_second_one_gets_the_same_answer(shared):
    first, second = shared.post("token-of-b"), shared.post("token-of-b")
    assert (first[0], first[2]) == (second[0], second[2])
    assert first[0] == 200
    assert "You are unsubscribed" in first[2]
    assert shared.withdrawn()["b"] == ("email", "one-click")


def test_the_button_of_the_page_unsubscribes(shared):
    _, _, page = shared.ask("GET", "/unsubscribe/token-of-page")
    fields = dict(re.findall(r'<input type="hidden" name="(.+?)" value="(.+?)">', page))
    assert shared.post("token-of-page", urlencode(fields))[0] == 200
    assert shared.withdrawn()["page"] == ("email", "page")


def test_a_multipart_form_unsubscribes_as_well(shared):
    head = b'--x\r\ncontent-disposition: form-data; name="List-Unsubscribe"\r\n\r\n'
    parts = head + b"One-Click\r\n--x--\r\n"
    assert shared.post("token-of-multi", parts, "multipart/form-data; boundary=x")[0] == 200
    assert shared.withdrawn()["multi"] == ("email", "one-click")


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", FORM),
        (b"List-Unsubscribe=Maybe", FORM),
        (b"List-Unsubscribe=Maybe&List-Unsubscribe=One-Click", FORM),
        (b'{"List-Unsubscribe": "One-Click"}', "application/json"),
        (b"\xff\xfe\0", FORM),
        (b"&" * 100, FORM),
        (b"--x", "multipart/form-data; boundary=x"),
        (ONE_CLICK, "multipart/form-data"),
        (ONE_CLICK, 'multipart/form-data; boundary="\u00e4'.encode("latin-1").decode("latin-1")),
    ],
)
def test_a_post_without_the_field_changes_nothing(shared, body, kind):
    assert shared.post("token-of-c", body, kind)[0] == 400
    assert "c" not in shared.withdrawn()


@pytest.mark.parametrize(
    "token", ["x", "token-of-", "token-of-nobody", "a" * 5000, "%00", "%ff", "';--"]
)
def test_all_invalid_links_get_the_same_answer(shared, token):
    answers = [shared.post(token), shared.ask("GET", f"/unsubscribe/{token}")]
    assert [status for status, _, _ in answers] == [404, 404]
    pages = {page for _, _, page in answers} | {shared.post("y")[2]}
    assert len(pages) == 1
    assert "This link does not work" in pages.pop()


@pytest.mark.parametrize(
    ("method", "path", "status", "text"),
    [
        ("GET", "/", 404, "not found\n"),
        ("GET", "/unsubscribe/", 404, "not found\n"),
        ("PUT", "/unsubscribe/x", 405, "method not allowed\n"),
        ("POST", "/healthz", 405, "method not allowed\n"),
    ],
)
def test_unknown_paths_and_methods_are_answered_in_plain_text(shared, method, path, status, text):
    answered, headers, page = shared.ask(method, path)
    assert (answered, page) == (status, text)
    assert headers["content-type"].startswith("text/plain")


def test_no_answer_may_be_cached_or_leak_the_url(shared):
    requests = [
        ("GET", "/unsubscribe/token-of-d"),
        ("GET", "/unsubscribe/x"),
        ("PUT", "/unsubscribe/token-of-d"),
        ("GET", "/"),
    ]
    for method, path in requests:
        _, headers, _ = shared.ask(method, path)
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert not {"set-cookie", "server", "access-control-allow-origin"} & set(headers)
    policy = shared.ask("GET", "/unsubscribe/token-of-d")[1]["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize("size", [MAX_BODY_BYTES + 1, 10 * MAX_BODY_BYTES])
def test_a_body_that_is_too_large_is_refused_with_or_without_its_length(shared, size):
    """The body starts with a valid field, so only its length can be the cause."""
    body = ONE_CLICK + b"&a="
    body += b"a" * (size - len(body))
    before = shared.withdrawn()
    assert refusal(shared, "token-of-e", body) == 413
    assert refusal(shared, "token-of-e", iter([body])) == 413
    assert shared.withdrawn() == before
    assert shared.ask("GET", "/healthz")[0] == 200


def refusal(service, token, body):
    """The status of the answer, also 413 if the service closes the connection before the whole
    body was sent.
    """
    try:
        return service.post(token, body)[0]
    except (BrokenPipeError, ConnectionResetError):
        return 413


def test_ambiguous_lengths_are_refused(shared):
    request = (
        "POST /unsubscribe/token-of-f HTTP/1.1\r\nhost: a\r\ncontent-length: 26\r\n"
        "transfer-encoding: chunked\r\n\r\n1a\r\nList-Unsubscribe=One-Click\r\n0\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", shared.port), timeout=20) as raw:
        raw.sendall(request.encode())
        assert raw.makefile("rb").readline().startswith(b"HTTP/1.1 400")
    assert "f" not in shared.withdrawn()


def test_an_endless_head_is_refused(shared):
    with socket.create_connection(("127.0.0.1", shared.port), timeout=20) as raw:
        raw.sendall(b"GET /healthz HTTP/1.1\r\nhost: a\r\nx: " + b"a" * 100_000)
        assert raw.makefile("rb").readline().startswith(b"HTTP/1.1 400")


def test_concurrent_requests_are_all_recorded(shared):
    names = [f"many{n}" for n in range(20)]
    threads = [
        threading.Thread(target=shared.post, args=[f"token-of-{name}"])
        for name in names
        for _ in "ab"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(names) <= set(shared.withdrawn())


def test_silent_connections_do_not_delay_others(shared):
    silent = [socket.create_connection(("127.0.0.1", shared.port)) for _ in range(200)]
    try:
        for connection in silent:
            connection.sendall(b"GET /unsub")
        assert shared.ask("GET", "/healthz")[0] == 200
        silent[0].settimeout(20)
        assert silent[0].recv(1) == b""  # closed by the service
    finally:
        for connection in silent:
            connection.close()


def test_it_ends_on_sigterm_and_logs_neither_tokens_nor_customers(tmp_path):
    with service(tmp_path, "anna") as running:
        running.post("token-of-anna")
        running.post("token-of-nobody")
        running.process.send_signal(signal.SIGTERM)
        out, err = running.process.communicate(timeout=30)
    assert running.process.returncode == 0
    assert json.loads(out)["metrics"] == {"new_withdrawals": 1}
    assert "token" not in err + out
    assert "anna" not in err + out


def test_a_port_in_use_is_an_error_of_one_line(tmp_path, shared):
    (tmp_path / "churn.toml").write_text('[data.orders]\nsource = "orders.parquet"\n')
    arguments = ["serve", "--port", str(shared.port), "--config", str(tmp_path / "churn.toml")]
    done = subprocess.run(
        [sys.executable, "-m", "churn", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "NO_COLOR": "1"},
    )
    assert done.returncode == 7
    assert re.fullmatch(
        r"error: cannot listen on 127\.0\.0\.1, port \d+: .*--port.*\n", done.stderr
    )


def test_a_busy_ledger_is_answered_with_retry_after(tmp_path):
    with Ledger(tmp_path / "ledger.db") as ledger:
        enqueue(ledger, [message("anna")])
        app = create_unsubscribe_app(tmp_path / "ledger.db", wait_seconds=0.05)
        with ledger.changing():
            assert asyncio.run(status_of(app, "token-of-anna")) == (503, b"60")
        assert asyncio.run(status_of(app, "token-of-anna")) == (200, None)


def test_a_body_that_does_not_arrive_in_time_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("churn.serving.unsubscribe.BODY_SECONDS", 0.05)
    monkeypatch.setattr("churn.serving.unsubscribe.UNKNOWN_BODY_SECONDS", 0.05)
    with Ledger(tmp_path / "ledger.db") as ledger:
        enqueue(ledger, [message("anna")])
    app = create_unsubscribe_app(tmp_path / "ledger.db")
    assert asyncio.run(status_of(app, "token-of-anna", silent=True)) == (408, None)
    assert asyncio.run(status_of(app, "token-of-nobody", silent=True)) == (404, None)


def test_too_many_requests_in_progress_are_answered_with_retry_after(tmp_path, monkeypatch):
    with Ledger(tmp_path / "ledger.db") as ledger:
        enqueue(ledger, [message("anna")])
    app = create_unsubscribe_app(tmp_path / "ledger.db")
    assert asyncio.run(status_of(app, "token-of-anna")) == (200, None)
    monkeypatch.setattr("churn.serving.unsubscribe.MAX_IN_PROGRESS", 0)
    assert asyncio.run(status_of(app, "token-of-anna")) == (503, b"60")


@pytest.fixture(scope="module")
def application(tmp_path_factory):
    return create_unsubscribe_app(tmp_path_factory.mktemp("fuzzed") / "ledger.db")


KINDS = st.one_of(
    st.sampled_from([FORM_TYPE, b"multipart/form-data; boundary=x", b"multipart/form-data"]),
    st.binary(max_size=40),
)


@given(st.text(min_size=1, max_size=80), KINDS, st.binary(max_size=200), st.booleans())
def test_no_token_and_no_body_is_a_server_error(application, token, kind, rest, one_click):
    body = ONE_CLICK + rest if one_click else rest
    status, _ = asyncio.run(status_of(application, token.replace("/", ""), body=body, kind=kind))
    assert status in (400, 404)


async def status_of(app, token, *, silent=False, body=ONE_CLICK, kind=FORM_TYPE):
    """The status and `Retry-After` of a POST to the application itself."""
    sent = []

    async def receive():
        if silent:
            await asyncio.sleep(60)
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        sent.append(message)

    headers = [(b"content-type", kind)]
    path = f"/unsubscribe/{token}"
    scope = {"type": "http", "method": "POST", "path": path, "headers": headers}
    await app({**scope, "query_string": b"", "http_version": "1.1"}, receive, send)
    return sent[0]["status"], dict(sent[0]["headers"]).get(b"retry-after")


def test_the_first_of_two_fields_counts():
    assert fields_of(FORM, b"a=1&a=2&b=%20x") == {"a": "1", "b": " x"}
