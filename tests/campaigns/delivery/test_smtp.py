"""Sending to a real mail server: content, encryption, and outcomes after failures."""

import socket
import ssl
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from endless import endless
from mail_sink import MailSink, only, serving, tls_context

from churn.campaigns.delivery.smtp import MailServer
from churn.campaigns.delivery.transport import Outcome
from churn.errors import ConfigError

DATA = b"Subject: hello\r\n\r\nfirst\r\n.\r\n..second\r\n.third"
FROM, TO = "news@shop.example", "jo@mail.example"
UNTRUSTED = Outcome("waiting", "the mail server's certificate is not trusted", stop=True)


@pytest.fixture
def send(make_email_settings):
    """Sends messages over one connection to a port, and returns the outcome of each."""

    def run(port, *messages, ca_file=None, **changes):
        settings = make_email_settings(port=port, **changes)
        server = MailServer(settings, ca_file=ca_file, sleep=lambda _: None)
        try:
            return [server.send(data, sender=FROM, to=TO) for data in messages or [DATA]]
        finally:
            server.close()

    return run


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A self-signed certificate for 127.0.0.1 and its key, as two files."""
    from ipaddress import ip_address

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a mail server for tests")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("certificate")
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return folder / "cert.pem", folder / "key.pem"


def test_a_message_arrives_unchanged_including_dots(send):
    sink = MailSink()
    with serving(sink) as server:
        assert send(server.port, DATA, DATA) == [Outcome("sent"), Outcome("sent")]
    assert [envelope.original_content for envelope in sink.envelopes] == [DATA + b"\r\n"] * 2
    assert (sink.envelopes[0].mail_from, sink.recipients) == (FROM, [TO, TO])
    assert sink.connections == 1


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        ("554 no", Outcome("failed", "554")),
        ("451 later", Outcome("waiting", "451")),
        ("421 bye", Outcome("waiting", "421")),
    ],
)
def test_5xx_is_permanent_and_4xx_temporary(send, reply, outcome):
    rejecting = MailSink(answer=lambda _: reply), MailSink(recipient=lambda _: reply)
    for sink in rejecting:
        with serving(sink) as server:
            assert send(server.port, DATA, DATA) == [outcome, outcome]
        assert sink.envelopes == []


def test_a_rejected_recipient_does_not_affect_the_next(send):
    answers = iter(["550 nobody here", "250 OK"])
    sink = MailSink(recipient=lambda _: next(answers))
    with serving(sink) as server:
        assert send(server.port, DATA, DATA) == [Outcome("failed", "550"), Outcome("sent")]


def test_starttls_encrypts_and_logs_in(send, certificate):
    sink = MailSink()
    options = {
        "tls_context": tls_context(*certificate),
        "require_starttls": True,
        "authenticator": only("jo", "hunter2"),
        "auth_required": True,
    }
    login = {"security": "starttls", "username": "jo"}
    with serving(sink, **options) as server:
        sent = send(server.port, ca_file=certificate[0], **login, password="hunter2")
        refused = send(server.port, ca_file=certificate[0], **login, password="hunter3")
    assert sent == [Outcome("sent")]
    assert refused == [Outcome("waiting", "login refused (535)", stop=True)]
    assert len(sink.envelopes) == 1


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_server_with_an_untrusted_certificate_gets_no_message(send, certificate, security):
    sink = MailSink()
    options = (
        {"tls_context": tls_context(*certificate)}
        if security == "starttls"
        else {"ssl_context": tls_context(*certificate)}
    )
    with encrypted(sink, options) as port:
        (outcome,) = send(port, security=security)
        assert outcome == Outcome(
            "waiting", "the mail server's certificate is not trusted", stop=True
        )
        assert send(port, security=security, ca_file=certificate[0]) == [Outcome("sent")]
    assert len(sink.envelopes) == 1


def test_a_server_with_the_certificate_of_another_host_gets_no_message(send, certificate):
    with encrypted(MailSink(), {"tls_context": tls_context(*certificate)}) as port:
        (outcome,) = send(port, security="starttls", host="localhost", ca_file=certificate[0])
    assert outcome == UNTRUSTED


def test_a_server_without_starttls_gets_no_unencrypted_message(send):
    sink = MailSink()
    with serving(sink) as server:
        (outcome,) = send(server.port, security="starttls")
    assert outcome.stop
    assert outcome.cause == "the mail server does not offer STARTTLS"
    assert sink.envelopes == []


def test_a_server_without_login_is_reported(send):
    with serving(MailSink()) as server:
        (outcome,) = send(server.port, username="jo", password="hunter2")
    assert outcome == Outcome("waiting", "the mail server does not offer a login", stop=True)


def test_an_unreachable_server_stops_the_run_after_the_attempts(make_email_settings):
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        waits, port = [], unheard.getsockname()[1]
        server = MailServer(make_email_settings(port=port, attempts=3), sleep=waits.append)
        outcome = server.send(DATA, sender=FROM, to=TO)
    cause = f"no connection to 127.0.0.1:{port} (connection refused)"
    assert outcome == Outcome("waiting", cause, stop=True)
    assert waits == [2.0, 4.0]


def test_a_ca_file_without_certificates_is_refused(make_email_settings, tmp_path):
    (tmp_path / "ca.pem").write_text("none")
    for name in ("ca.pem", "missing.pem"):
        with pytest.raises(ConfigError, match="ca_file must contain PEM certificates"):
            MailServer(make_email_settings(security="tls"), ca_file=tmp_path / name)


@pytest.mark.parametrize(
    ("cut", "outcome"),
    [
        ("RCPT", Outcome("waiting", "connection lost")),
        ("DATA", Outcome("waiting", "connection lost")),
        (".", Outcome("unknown", "no answer")),
    ],
)
def test_the_outcome_of_a_lost_connection_is_unknown_only_after_the_last_line(send, cut, outcome):
    with hanging_up(cut) as port:
        assert send(port) == [outcome]


@contextmanager
def encrypted(sink, options):
    """The port of a sink with TLS; aiosmtpd's own check of the port is unencrypted."""
    if "ssl_context" in options:
        with implicit_tls(sink, options["ssl_context"]) as port:
            yield port
    else:
        with serving(sink, **options) as server:
            yield server.port


@contextmanager
def implicit_tls(sink, context: ssl.SSLContext):
    """A proxy that terminates TLS in front of the sink."""
    import asyncio

    async def pipe(reader, writer):
        try:
            while data := await reader.read(4096):
                writer.write(data)
                await writer.drain()
        except (ConnectionError, ssl.SSLError):
            pass
        finally:
            writer.close()

    async def forward(reader, writer):
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", plain.port)
        await asyncio.gather(pipe(reader, inner_writer), pipe(inner_reader, writer))

    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda *_: None)  # a refused handshake is what is tested
    with serving(sink) as plain:
        started = loop.run_until_complete(
            asyncio.start_server(forward, "127.0.0.1", 0, ssl=context)
        )
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        try:
            yield started.sockets[0].getsockname()[1]
        finally:
            loop.call_soon_threadsafe(started.close)
            asyncio.run_coroutine_threadsafe(ended(), loop).result()
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()


async def ended():
    """Waits until all other tasks of the loop are done."""
    import asyncio

    others = asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.wait(others, timeout=5) if others else None


@contextmanager
def hanging_up(at: str):
    """The port of a server that closes the connection at a command, without a reply."""

    def talk():
        connection, _ = listening.accept()
        with connection, connection.makefile("rwb") as stream:
            stream.write(b"220 here\r\n")
            stream.flush()
            for line in stream:
                word = line.strip().decode().split(" ")[0].upper()
                if word == at:
                    return
                if inside_data(word):
                    continue
                stream.write(b"354 go on\r\n" if word == "DATA" else b"250 OK\r\n")
                stream.flush()

    def inside_data(word):
        return word not in ("EHLO", "HELO", "MAIL", "RCPT", "DATA", "RSET", "QUIT", ".")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=talk)
        thread.start()
        yield listening.getsockname()[1]
        thread.join()


@pytest.mark.parametrize(
    ("begin", "more", "pause"),
    [
        (b"220-hello\r\n", b"220-and hello\r\n" * 500, 0.0),  # 5 GB of it in five minutes
        (b"220-hello\r\n", b"2", 0.05),
        (b"220 hello\r\n250-", b"x", 0.05),
    ],
)
def test_a_server_with_an_endless_reply_is_abandoned(send, begin, more, pause):
    with endless(begin, more, pause) as port:
        (outcome,) = send(port, timeout_seconds=0.5, attempts=1)
    assert outcome.state == "waiting"
