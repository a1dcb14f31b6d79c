"""The pages of a running `churn serve` under attack: many, slow and oversized requests."""

import contextlib
import http.client
import os
import re
import resource
import socket
import subprocess
import sys
from collections import Counter

import pytest
from published_shop import write_page

MANY = 1_000
KEY = "k" * 40
USERS = """
[data.orders]
source = "orders.parquet"
[serving]
unsubscribe = false
[serving.users.anna]
role = "analyst"
api_key_variable = "ANNA_KEY"
"""
FORM = "content-type: application/x-www-form-urlencoded\r\n"


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    """`churn serve` of published pages with a login, whose process must outlive every test."""
    folder = tmp_path_factory.mktemp("load")
    (folder / "out").mkdir()
    write_page(folder / "out/page.duckdb")
    (folder / "churn.toml").write_text(USERS)
    words = ["serve", "--port", "0", "--config", str(folder / "churn.toml")]
    with subprocess.Popen(
        [sys.executable, "-m", "churn", *words],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "ANNA_KEY": KEY},
    ) as service:
        try:
            line = service.stderr.readline()
            found = re.search(r"http://127\.0\.0\.1:(\d+)", line)
            assert found, line + service.stderr.read()
            yield int(found[1])
            service.terminate()
            _, said = service.communicate(timeout=60)
            assert (service.returncode, "Traceback" in said) == (0, False), said
        finally:
            service.kill()


def ask(port, path="/customers", method="GET", body=None, **headers):
    """The status of the answer to somebody with a key."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    with contextlib.closing(connection):
        connection.request(method, path, body, {"authorization": f"Bearer {KEY}", **headers})
        answer = connection.getresponse()
        answer.read()
        return answer.status


@contextlib.contextmanager
def connections(port, count, sent):
    """That many connections at once, each of which has sent that."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4 * count)), hard))
    with contextlib.ExitStack() as stack:
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        opened = []
        for _ in range(count):
            one = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=60))
            one.sendall(sent)
            opened.append(one)
        yield opened


def states(port, count, sent):
    """How often each status was answered to that many requests at once; "closed" for none."""
    found = Counter()
    with connections(port, count, sent) as asking:
        for one in asking:
            try:
                line = one.makefile("rb").readline().split()
            except ConnectionResetError:
                line = []
            found[line[1].decode() if line else "closed"] += 1
    return found


UNFINISHED = {
    "no head": b"",
    "half a head": b"GET / HTTP/1.1\r\nhost: a",
    "half a body": f"POST /login HTTP/1.1\r\nhost: a\r\n{FORM}content-length: 9\r\n\r\na".encode(),
}


@pytest.mark.parametrize("sent", UNFINISHED.values(), ids=UNFINISHED)
def test_a_thousand_unfinished_requests_do_not_keep_others_out(port, sent):
    with connections(port, MANY, sent):
        assert ask(port) == 200


def test_a_thousand_requests_at_once_are_all_answered(port):
    head = f"GET / HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {KEY}\r\n\r\n"
    assert states(port, MANY, head.encode()) == {"200": MANY}
    assert ask(port) == 200


def test_a_thousand_logins_at_once_are_answered_and_let_nobody_in(port):
    body = b"csrf=x&name=anna&password=y"
    head = f"POST /login HTTP/1.1\r\nhost: localhost\r\n{FORM}content-length: {len(body)}\r\n\r\n"
    assert states(port, MANY, head.encode() + body).keys() <= {"403", "503"}
    assert ask(port) == 200
