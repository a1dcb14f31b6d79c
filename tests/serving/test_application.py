"""One application of several parts, told apart by the first segment of the path."""

import asyncio

import pytest

from churn.config import load_settings
from churn.errors import ConfigError
from churn.serving.application import Part, create_app


def part(name, *segments):
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": name.encode()})

    return Part(app, frozenset(segments))


def ask(app, path, method="GET", headers=()):
    """The status and body of the answer to one request."""
    sent = []

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path, "headers": list(headers)}
    asyncio.run(app(scope, None, send))
    return sent[0]["status"], b"".join(one.get("body", b"") for one in sent).decode()


APP = create_app([part("unsubscribe", "unsubscribe"), part("api", "v1", "livez"), part("pages")])


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/unsubscribe/token", "unsubscribe"),
        ("/v1/model", "api"),
        ("/v1", "api"),
        ("/livez", "api"),
        ("/v1x", "pages"),
        ("/", "pages"),
        ("//v1/model", "pages"),
        ("/V1/model", "pages"),
        ("v1", "pages"),
        ("*", "pages"),
    ],
)
def test_a_path_belongs_to_the_part_of_its_first_segment(path, name):
    assert ask(APP, path) == (200, name)


def test_the_first_part_answers_unknown_paths_if_no_part_takes_them_all():
    app = create_app([part("unsubscribe", "unsubscribe"), part("api", "v1")])
    assert ask(app, "/other") == (200, "unsubscribe")


def test_health_is_answered_whatever_the_parts_are():
    assert ask(create_app([part("api", "v1")]), "/healthz") == (200, "ok")
    assert ask(create_app([part("api", "v1")]), "/healthz", "POST") == (200, "api")


def test_an_application_without_the_api_lives_too():
    assert ask(create_app([part("pages")]), "/livez") == (200, "ok")
    assert ask(create_app([part("pages"), part("api", "livez")]), "/livez") == (200, "api")


def test_no_part_sees_a_request_with_two_lengths():
    headers = [(b"content-length", b"3"), (b"transfer-encoding", b"chunked")]
    assert ask(APP, "/v1/model", "POST", headers) == (400, "one length only")


def test_a_service_without_parts_is_refused(tmp_path):
    path = tmp_path / "churn.toml"
    path.write_text(
        '[data.orders]\nsource = "o.parquet"\n[serving]\nunsubscribe = false\npages = false\n'
    )
    with pytest.raises(ConfigError, match=r"at least one part\. Set e\.g\. unsubscribe = true"):
        load_settings(path)
