"""The server under abuse: no request and no number of silent connections delays others.

The service is a process of its own. Its processor time is read from /proc/PID/stat, which does not
depend on other load on the machine.
"""

import contextlib
import os
import resource
import signal
import socket
import threading
import time
from pathlib import Path
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unsubscribing import FORM, ONE_CLICK, service

from churn.serving.server import HEADER_SECONDS, MAX_HEAD_BYTES, MAX_SILENT, listening
from churn.serving.unsubscribe import MAX_BODY_BYTES, fields_of

SILENT = 1_000
PROMPT_SECONDS = 1.0
MULTIPART = "multipart/form-data"
BODY = b'--x\r\ncontent-disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--x--'


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with service(tmp_path_factory.mktemp("service"), "anna", "ben") as running:
        yield running


def raw(service, head, body=b""):
    """The first line of the response to a raw request; b"" if the connection was closed."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=60) as connection:
        try:
            connection.sendall(head + b"\r\n\r\n" + body)
            return connection.makefile("rb").readline()
        except (BrokenPipeError, ConnectionResetError):
            return b""


def post(token, kind, body=BODY):
    head = f"POST /unsubscribe/{token} HTTP/1.1\r\nhost: a\r\ncontent-length: {len(body)}\r\n"
    return head.encode() + b"content-type: " + kind.encode("latin-1"), body


def cpu_seconds(process):
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


SHAPES = {
    "semicolons": MULTIPART + ";" * 40_000,
    "fewer semicolons": MULTIPART + ";" * 7_000,
    "few semicolons": MULTIPART + ";" * 150,
    "brackets": MULTIPART + "; boundary=" + "(" * 5_000,
    "few brackets": MULTIPART + "; boundary=" + "(" * 150,
    "quotes": MULTIPART + '; boundary="' + '\\"' * 3_000,
    "numbered": MULTIPART + "".join(f"; a*{n}*=x" for n in range(600)),
    "encoded words": MULTIPART + "; name=" + "=?utf-8?q?a?= " * 500,
    "commas": MULTIPART + "," * 7_000,
    "spaces": MULTIPART + ";" + " " * 7_000 + "boundary=x",
    "umlauts": MULTIPART + "; boundary=" + "\u00e4" * 150,
}


@pytest.mark.parametrize("token", ["token-of-anna", "token-of-nobody"])
@pytest.mark.parametrize("kind", SHAPES.values(), ids=SHAPES)
def test_no_content_type_is_slow_or_a_server_error(shared, token, kind):
    before = cpu_seconds(shared.process)
    answer = raw(shared, *post(token, kind))
    assert answer.split()[1] in (b"400", b"404") if answer else len(kind) > MAX_HEAD_BYTES
    assert shared.ask("GET", "/healthz")[0] == 200
    assert cpu_seconds(shared.process) - before < 1
    assert "anna" not in shared.withdrawn()


BODIES = {
    "a disposition of semicolons": b"--x\r\ncontent-disposition: form-data" + b";" * 15_000,
    "a disposition of brackets": b"--x\r\ncontent-disposition: form-data; name=" + b"(" * 15_000,
    "parts without end": b"--x\r\n" * 3_000,
    "a part of headers": b"--x\r\n" + b"a:\r\n" * 3_500,
    "multiparts within": b"--x\r\ncontent-type: multipart/mixed; boundary=x\r\n\r\n" * 250,
    "names without end": b'--x\r\ncontent-disposition: form-data; name="' * 300,
    "spaces": b"--x\r\ncontent-disposition:" + b" " * 15_000,
    "ampersands": b"&" * MAX_BODY_BYTES,
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("kind", [MULTIPART + "; boundary=x", FORM])
def test_no_body_is_slow_or_a_server_error(shared, body, kind):
    before = cpu_seconds(shared.process)
    assert raw(shared, *post("token-of-anna", kind, body)).split()[1] == b"400"
    assert cpu_seconds(shared.process) - before < 1


def test_a_head_above_the_limit_is_refused_and_one_below_it_is_accepted(shared):
    for size, status in ((MAX_HEAD_BYTES + 100, b"400"), (MAX_HEAD_BYTES - 200, b"200")):
        head = b"GET /healthz HTTP/1.1\r\nhost: a\r\nx-long: " + b"a" * size
        assert raw(shared, head).split()[1] == status


def test_the_head_may_arrive_byte_by_byte(shared):
    with socket.create_connection(("127.0.0.1", shared.port), timeout=60) as connection:
        for byte in b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n":
            connection.sendall(bytes([byte]))
        assert connection.makefile("rb").readline().split()[1] == b"200"


@given(st.text(max_size=250), st.binary(max_size=300))
def test_parsing_fields_never_fails(kind, body):
    assert set(map(type, fields_of(kind, body).values())) <= {str}
    assert isinstance(fields_of(MULTIPART + "; boundary=x" + kind, b"--x" + body), dict)


@pytest.mark.parametrize(
    "kind",
    [
        "multipart/form-data; boundary=x",
        'Multipart/Form-Data;boundary="x"',
        "multipart/form-data; charset=utf-8; boundary=x; other=y",
        'multipart/form-data;  boundary="x" ',
    ],
)
@pytest.mark.parametrize("newline", [b"\r\n", b"\n"])
def test_multipart_forms_of_common_clients_are_parsed(kind, newline):
    """As sent by the two largest mailbox providers, curl and Python clients."""
    parts = [
        b'Content-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click',
        b"content-type: text/plain\r\nCONTENT-DISPOSITION:form-data;name=source\r\n\r\npage",
    ]
    body = b"".join(b"--x\r\n" + part + b"\r\n" for part in parts) + b"--x--\r\n"
    fields = fields_of(kind, body.replace(b"\r\n", newline))
    assert fields == {"List-Unsubscribe": "One-Click", "source": "page"}


def test_a_client_that_disconnects_within_the_body_causes_no_error(tmp_path):
    with service(tmp_path, "anna") as running:
        with socket.create_connection(("127.0.0.1", running.port), timeout=60) as connection:
            head, _ = post("token-of-anna", FORM, ONE_CLICK)
            connection.sendall(head + b"\r\n\r\n" + ONE_CLICK[:-1])
            assert running.ask("GET", "/healthz")[0] == 200
        assert running.ask("GET", "/healthz")[0] == 200
        running.process.send_signal(signal.SIGTERM)
        _, err = running.process.communicate(timeout=60)
    assert running.process.returncode == 0
    assert err == ""
    assert running.withdrawn() == {}


@contextlib.contextmanager
def silent_sockets(service, count):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4 * count)), hard))
    with contextlib.ExitStack() as stack:
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        yield [
            stack.enter_context(socket.create_connection(("127.0.0.1", service.port), timeout=60))
            for _ in range(count)
        ]


def open_files(service):
    return sum(1 for _ in Path(f"/proc/{service.process.pid}/fd").iterdir())


def health_seconds(service):
    """The duration of the health check, median of five."""
    durations = []
    for _ in range(5):
        start = time.monotonic()
        assert service.ask("GET", "/healthz")[0] == 200
        durations.append(time.monotonic() - start)
    return median(durations)


@pytest.mark.parametrize("kind", SHAPES.values(), ids=SHAPES)
def test_the_health_check_takes_under_a_second_during_such_a_request(shared, kind):
    head, body = post("token-of-anna", kind)
    with socket.create_connection(("127.0.0.1", shared.port), timeout=60) as connection:
        connection.sendall(head + b"\r\n\r\n" + body)
        assert health_seconds(shared) < PROMPT_SECONDS


def test_a_thousand_silent_connections_do_not_delay_others(tmp_path):
    """Requests are answered before the silent connections time out; the oldest are closed."""
    with service(tmp_path, "ben") as running, silent_sockets(running, SILENT) as silent:
        assert health_seconds(running) < PROMPT_SECONDS
        silent[-1].sendall(b"GET /unsub")
        start = time.monotonic()
        assert running.ask("GET", "/healthz")[0] == 200
        assert running.post("token-of-ben")[0] == 200
        assert time.monotonic() - start < HEADER_SECONDS
        while open_files(running) >= MAX_SILENT + 100:
            assert time.monotonic() - start < HEADER_SECONDS
        assert silent[0].recv(1) == b""
    assert "ben" in running.withdrawn()


def test_answers_are_sent_without_delay():
    """Python's event loop knows a socket for TCP by its protocol; else a body waits."""
    with (
        listening("127.0.0.1", 0) as listener,
        socket.create_connection(listener.getsockname()),
        listener.accept()[0] as accepted,
    ):
        assert accepted.proto == socket.IPPROTO_TCP


def test_requests_in_progress_are_finished_on_sigterm(tmp_path):
    """Fault 43: every request whose head was read is answered, and confirmed ones are recorded."""
    names = [f"c{number}" for number in range(40)]
    with service(tmp_path, *names) as running, contextlib.ExitStack() as stack:
        waiting = []
        for name in names:
            connection = socket.create_connection(("127.0.0.1", running.port), timeout=60)
            waiting.append(stack.enter_context(connection))
            head, _ = post(f"token-of-{name}", FORM, ONE_CLICK)
            connection.sendall(head + b"\r\n\r\n" + ONE_CLICK[:-1])  # the last byte is missing
        assert running.ask("GET", "/healthz")[0] == 200  # all heads have been read by now
        running.process.send_signal(signal.SIGTERM)
        refused = threading.Event()
        while not refused.is_set():
            try:
                socket.create_connection(("127.0.0.1", running.port), timeout=60).close()
            except OSError:
                refused.set()
        answers = []
        for connection in waiting:
            connection.sendall(ONE_CLICK[-1:])
            answers.append(connection.makefile("rb").readline().split()[1])
        assert running.process.wait(timeout=60) == 0
    assert answers == [b"200"] * len(names)
    assert set(running.withdrawn()) == set(names)
