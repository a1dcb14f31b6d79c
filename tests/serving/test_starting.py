"""What is answered while `churn serve` loads; nothing is lost when the service takes over."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from churn.serving.server import listening
from churn.serving.starting import MAX_CONNECTIONS, SECONDS, answering

LONGEST_START_SECONDS = 120
NOTHING_TO_SERVE = '[data.orders]\nsource = "orders.parquet"\n[serving]\nunsubscribe = 7\n'


@pytest.fixture
def listener():
    with listening("127.0.0.1", 0) as found:
        yield found


def ask(port, method, path, body=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, path, body)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read().decode()
    finally:
        connection.close()


def port_of(listener):
    return listener.getsockname()[1]


@pytest.mark.parametrize("path", ["/livez", "/livez?verbose", "/healthz", "/v2/health/live"])
def test_it_lives_while_it_loads(listener, path):
    with answering(listener):
        assert ask(port_of(listener), "GET", path)[0] == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/readyz"), ("POST", "/livez"), ("POST", "/v1/score"), ("GET", "/")],
)
def test_everything_else_is_refused_with_the_moment_to_come_again(listener, method, path):
    body = b"x" * 4_000_000 if method == "POST" else None
    with answering(listener):
        status, headers, text = ask(port_of(listener), method, path, body)
    assert status == json.loads(text)["status"] == 503
    assert headers["content-type"] == "application/problem+json"
    assert int(headers["retry-after"]) >= 1
    assert "loading" in json.loads(text)["detail"]


@pytest.mark.parametrize(
    "sent", [b"", b"GET /livez HT", b"GET\r\n\r\n", b"\r\n\r\n", b"\xff" * 20_000]
)
def test_silent_and_senseless_connections_delay_nobody(listener, sent):
    with answering(listener):
        raw = [socket.create_connection(("127.0.0.1", port_of(listener))) for _ in range(30)]
        try:
            for one in raw:
                one.sendall(sent)
            begun = time.monotonic()
            assert ask(port_of(listener), "GET", "/livez")[0] == 200
            assert time.monotonic() - begun < SECONDS
        finally:
            for one in raw:
                one.close()


def test_the_oldest_of_too_many_connections_is_closed(listener):
    with answering(listener):
        raw = [
            socket.create_connection(("127.0.0.1", port_of(listener)))
            for _ in range(MAX_CONNECTIONS + 1)
        ]
        try:
            raw[0].settimeout(1)
            assert raw[0].recv(1) == b""
            raw[-1].sendall(b"GET /livez HTTP/1.1\r\n\r\n")
            assert raw[-1].recv(12) == b"HTTP/1.1 200"
        finally:
            for one in raw:
                one.close()


def test_connections_made_after_the_end_wait_for_who_serves_next(listener):
    with answering(listener):
        pass
    with socket.create_connection(("127.0.0.1", port_of(listener))) as waiting:
        waiting.sendall(b"hello")
        listener.settimeout(5)
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.recv(5) == b"hello"


def started(folder, port):
    words = ["serve", "--port", str(port), "--config", str(folder / "churn.toml")]
    return subprocess.Popen(
        [sys.executable, "-m", "churn", *words],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
    )


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def test_from_its_first_answer_on_every_request_is_answered(tmp_path):
    """Also while uvicorn takes the socket over from the thread that answered during the start."""
    (tmp_path / "churn.toml").write_text('[data.orders]\nsource = "orders.parquet"\n')
    port = free_port()
    process = started(tmp_path, port)
    try:
        statuses = []
        deadline = time.monotonic() + LONGEST_START_SECONDS
        while statuses[-20:] != [404] * 20 and time.monotonic() < deadline:
            try:
                statuses.append(ask(port, "GET", "/unsubscribe/nobody")[0])
                assert ask(port, "GET", "/livez")[0] == 200
            except ConnectionRefusedError:
                assert not statuses  # only before it listens
        assert set(statuses) == {503, 404}
        assert statuses == sorted(statuses, reverse=True)
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate()
    assert process.returncode == 0


def test_a_start_that_fails_ends_with_its_exit_code_and_one_line(tmp_path):
    (tmp_path / "churn.toml").write_text(NOTHING_TO_SERVE)
    process = started(tmp_path, free_port())
    _, err = process.communicate(timeout=LONGEST_START_SECONDS)
    assert process.returncode == 2
    (line,) = err.splitlines()
    assert line.startswith("error: ")
    assert "[serving] unsubscribe must be" in line


def test_sigterm_while_it_loads_ends_it(tmp_path):
    (tmp_path / "churn.toml").write_text('[data.orders]\nsource = "orders.parquet"\n')
    port = free_port()
    process = started(tmp_path, port)
    deadline = time.monotonic() + LONGEST_START_SECONDS
    while time.monotonic() < deadline:
        try:
            ask(port, "GET", "/livez")
            break
        except ConnectionRefusedError:
            time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=120)
    assert process.returncode in (0, 128 + signal.SIGTERM), err
    assert "Traceback" not in err
