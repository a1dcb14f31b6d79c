"""Abuse of the HTTP API on a real server; each test names its row of the list of faults."""

import asyncio
import json
import shutil
import signal
import socket
import threading
import time

import pytest
from api_service import api_service, running
from simulated_shop import NO_SERVER, copied_shop, trained_shop
from waiting import wait_for

from churn.commands.keys import create_api_key
from churn.serving.api.limits import body_of
from churn.serving.api.problems import ProblemError, media_type
from churn.serving.api.settings import ApiLimits
from churn.storage.publish import swap_pointer

pytestmark = pytest.mark.slow
ROWS = 1_000
BODY = 200_000
SETTINGS = f"""
[serving]
api = true
unsubscribe = false
drain_seconds = 2.0
max_rows = {ROWS}
max_body_bytes = {BODY}
requests_per_minute = 600000
"""
PATH = "/v1/scores"
ASKED = {"customer_ids": ["anna"]}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return trained_shop(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="module")
def shop(trained, tmp_path_factory):
    with api_service(trained, tmp_path_factory.mktemp("abuse") / "shop", more=SETTINGS) as running:
        yield running


def problem(answer, status, name):
    """Whether it is a problem of that kind, as RFC 9457 has it."""
    found, headers, content = answer
    assert (found, content["status"], content["type"]) == (
        status,
        status,
        f"urn:churn:problem:{name}",
    )
    assert headers["content-type"] == "application/problem+json"
    return content


def test_row_25_a_damaged_model_is_refused_and_the_old_one_stays(shop):
    models = shop.config.parent / "models"
    champion = (models / "champion").read_text().strip()
    shutil.copytree(models / champion, models / "damaged")
    head = next((models / "damaged" / "heads").glob("*.txt"))
    head.write_text(head.read_text()[:-100])
    swap_pointer(models / "champion", "damaged", expected=champion)
    err = shop.config.parent / "serve.err"
    wait_for(lambda: "was altered" in err.read_text())
    assert f"{champion} stays in use" in err.read_text()
    assert shop.ask("GET", "/v1/model")[2]["model_id"] == champion
    assert shop.ask("GET", "/readyz")[0] == 200
    swap_pointer(models / "champion", champion, expected="damaged")


def test_row_32_scores_are_served_while_mlflow_cannot_be_reached(shop):
    assert f'uri = "{NO_SERVER}"' in shop.config.read_text()
    features = shop.ask("GET", "/v1/model")[2]["features"]
    body = {"features": features, "rows": [[1.0] * len(features)]}
    assert shop.ask("POST", "/v1/score/features", body)[0] == 200


def test_row_36_a_swap_drops_no_request_and_each_answer_is_of_one_model(shop):
    models = shop.config.parent / "models"
    champion = (models / "champion").read_text().strip()
    seen, failed, stop = set(), [], threading.Event()
    features = shop.ask("GET", "/v1/model")[2]["features"]
    body = json.dumps({"features": features, "rows": [[1.0] * len(features)] * 3})

    def load():
        while not stop.is_set():
            status, _, answer = shop.ask("POST", "/v1/score/features", body)
            if status != 200 or len({str(one) for one in answer["scores"]}) != 1:
                failed.append(answer)
            else:
                seen.add((answer["model_id"], str(answer["scores"][0])))

    threads = [threading.Thread(target=load) for _ in range(3)]
    for thread in threads:
        thread.start()
    other = "other-name"
    renamed(models / champion, models / other)
    swap_pointer(models / "champion", other, expected=champion)
    wait_for(lambda: shop.ask("GET", "/v1/model")[2]["model_id"] == other)
    swap_pointer(models / "champion", champion, expected=other)
    wait_for(lambda: shop.ask("GET", "/v1/model")[2]["model_id"] == champion)
    stop.set()
    for thread in threads:
        thread.join()
    assert not failed
    assert {name for name, _ in seen} == {champion, other}


def renamed(old, new):
    """A copy of an unsigned bundle that calls itself by its new name."""
    shutil.copytree(old, new)
    manifest = json.loads((new / "manifest.json").read_text())
    (new / "manifest.json").write_text(json.dumps(manifest | {"model_id": new.name}))


def test_row_37_a_body_over_the_limit_is_refused_with_or_without_its_length(shop):
    body = json.dumps({"customer_ids": ["a" * 200] * 2_000}).encode()
    assert len(body) > BODY
    problem(shop.ask("POST", PATH, body), 413, "too-large")
    try:
        status = shop.ask("POST", PATH, iter([body]), {"content-type": "application/json"})[0]
    except (BrokenPipeError, ConnectionResetError):
        status = 413  # closed before all of it was sent
    assert status == 413


def test_row_38_too_many_rows_or_columns_are_refused(shop):
    rows = {"customer_ids": ["a"] * (ROWS + 1)}
    refused = problem(shop.ask("POST", PATH, rows), 422, "too-many-rows")
    assert f"{ROWS:,}" in refused["detail"]
    wide = {"features": [f"f{n}" for n in range(10_000)], "rows": []}
    problem(shop.ask("POST", "/v1/score/features", wide), 422, "invalid-request")


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"])
def test_row_39_numbers_that_are_none_are_refused(shop, value):
    order = f'{{"ordered_at": "2023-01-01T00:00:00Z", "amount": {value}}}'
    body = f'{{"as_of": "2024-01-01", "customers": [{{"orders": [{order}]}}]}}'
    assert 400 <= shop.ask("POST", "/v1/score", body)[0] < 500
    features = shop.ask("GET", "/v1/model")[2]["features"]
    values = ", ".join([value] * len(features))
    body = f'{{"features": {json.dumps(features)}, "rows": [[{values}]]}}'
    assert 400 <= shop.ask("POST", "/v1/score/features", body)[0] < 500
    tensor = f'{{"name": "features", "shape": [1, 1], "datatype": "FP64", "data": [{value}]}}'
    body = f'{{"inputs": [{tensor}]}}'
    assert 400 <= shop.ask("POST", "/v2/models/churn/infer", body)[0] < 500


@pytest.mark.parametrize(
    "body",
    [
        b'{"customer_ids": ["\\ud800"]}',
        b'{"customer_ids": ["\xed\xa0\x80"]}',
        b'{"customer_ids": ["\xff"]}',
        b"[" * 100_000,
        b'{"a":' * 30_000,
        b"",
        b"null",
        b'{"customer_ids": ["a"]} x',
        b'{"customer_ids": {}}',
    ],
)
def test_row_39_text_that_is_no_json_is_refused(shop, body):
    for path in (PATH, "/v1/decide", "/v1/unsubscribe", "/v2/models/churn/infer"):
        status, headers, answer = shop.ask("POST", path, body, {"idempotency-key": "k"})
        assert status in (400, 422), (path, answer)
        assert headers["content-type"] == media_type(path)


def test_errors_never_repeat_what_was_sent(shop):
    secret = "anna@example.org"
    bodies = (
        {"customer_ids": [secret, 7]},
        {secret: secret},
        {"customer_ids": {secret: secret}},
        {"as_of": secret, "customers": [{"orders": [{secret: 1}]}]},
        {"features": [secret], "rows": [[1]]},
        {"inputs": [{"name": secret, "shape": [1], "datatype": secret, "data": [secret]}]},
        {"customer_id": secret, "campaign_id": secret},
    )
    paths = (PATH, "/v1/score", "/v1/score/features", "/v1/decide", "/v2/models/churn/infer")
    for body in bodies:
        for path in paths:
            status, _, answer = shop.ask("POST", path, body, {"idempotency-key": "k"})
            assert status >= 400 or path == PATH
            assert secret not in json.dumps(answer)


def test_row_40_slow_heads_and_silent_sockets_are_closed_and_delay_nobody(shop):
    sockets = [socket.create_connection(("127.0.0.1", shop.port)) for _ in range(200)]
    try:
        for one in sockets[::2]:
            one.sendall(b"GET /livez HT")
        begun = time.monotonic()
        assert shop.ask("GET", "/readyz")[0] == 200
        assert time.monotonic() - begun < 5
        sockets[0].settimeout(30)
        assert sockets[0].recv(1) == b""
    finally:
        for one in sockets:
            one.close()


def test_row_40_a_second_head_on_the_same_connection_has_its_deadline_too(shop):
    with socket.create_connection(("127.0.0.1", shop.port), timeout=30) as raw:
        raw.sendall(b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\n")
        assert raw.recv(1_000).startswith(b"HTTP/1.1 200")
        raw.sendall(b"GET /livez HT")
        while raw.recv(1_000):
            pass  # closed by the service


def test_row_41_a_head_that_is_too_large_or_has_two_lengths_is_refused(shop):
    with socket.create_connection(("127.0.0.1", shop.port), timeout=30) as raw:
        raw.sendall(b"GET /livez HTTP/1.1\r\nhost: a\r\nx: " + b"a" * 300_000)
        assert raw.recv(12).startswith(b"HTTP/1.1 400")
    with socket.create_connection(("127.0.0.1", shop.port), timeout=30) as raw:
        raw.sendall(
            b"POST /v1/scores HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n"
            b"transfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /livez HTTP/1.1\r\nhost: a\r\n\r\n"
        )
        parts = []
        while part := raw.recv(10_000):
            parts.append(part)
    answers = b"".join(parts)
    assert answers.startswith(b"HTTP/1.1 400")
    assert answers.count(b"HTTP/1.1") == 1


def test_row_42_without_a_valid_key_nothing_is_answered(shop):
    prefix, secret = shop.key.split("_", 2)[1:]
    for key in (
        "",
        "x",
        f"churn_{prefix}_{secret[:-1]}",
        f"churn_{prefix[::-1]}_{secret}",
        "_" * 40,
    ):
        for method, path in (("GET", "/v1/model"), ("POST", PATH), ("GET", "/v2")):
            body = ASKED if method == "POST" else None
            status, headers, _ = shop.ask(method, path, body, key=key)
            assert status == 401
            assert headers["www-authenticate"].startswith("Bearer")
    assert shop.ask("GET", "/v1/model", None, {"authorization": shop.key})[0] == 401


def test_row_44_the_wrong_kind_of_body_is_refused(shop):
    for headers in ({"content-type": "text/plain"}, {"content-encoding": "gzip"}):
        problem(shop.ask("POST", PATH, ASKED, headers), 415, "not-json")
    assert shop.ask("GET", PATH)[0] == 405


def test_row_42_too_many_requests_are_told_when_to_come_again(trained, tmp_path):
    more = SETTINGS.replace("600000", "60")
    with api_service(trained, tmp_path / "shop", more=more) as shop:
        answers = [shop.ask("GET", "/v1/model") for _ in range(12)]
        last = problem(answers[-1], 429, "too-many-requests")
        assert "60 requests a minute" in last["detail"]
        assert int(answers[-1][1]["retry-after"]) >= 1
        assert shop.ask("GET", "/livez")[0] == 200
        shop.process.send_signal(signal.SIGTERM)
        begun = time.monotonic()
        wait_for(lambda: shop.ask("GET", "/readyz")[0] == 503)  # row 43: told first
        assert shop.ask("GET", "/livez")[0] == 200
        shop.process.wait(60)
        assert time.monotonic() - begun >= 1.5
    assert shop.process.returncode == 0


def test_row_24_a_model_of_other_features_is_not_ready_and_says_which(trained, tmp_path):
    config = copied_shop(trained, tmp_path / "shop")
    config.write_text(config.read_text() + SETTINGS)
    models = config.parent / "models"
    manifest = models / (models / "champion").read_text().strip() / "manifest.json"
    written = json.loads(manifest.read_text())
    written["features"][0]["name"] = "a_feature_of_tomorrow"
    manifest.write_text(json.dumps(written))
    key = create_api_key(config, "tests").resolved["key"]
    with running(config, key) as shop:
        wait_for(lambda: "a_feature_of_tomorrow" in str(shop.ask("GET", "/readyz")[2]))
        assert shop.ask("GET", "/livez")[0] == 200
        answer = shop.ask("POST", "/v1/score/features", {"features": [], "rows": []})
        assert "a_feature_of_tomorrow" in problem(answer, 503, "no-model")["detail"]
        assert answer[1]["retry-after"]


def test_row_40_a_body_that_arrives_too_slowly_is_refused():
    async def stream():
        yield b'{"customer_ids": ['
        await asyncio.sleep(3_600)

    class Slow:
        headers = {"content-type": "application/json"}  # noqa: RUF012

    Slow.stream = staticmethod(stream)
    with pytest.raises(ProblemError, match="too-slow") as refused:
        asyncio.run(body_of(Slow(), BODY, seconds=0.01))
    assert refused.value.status == 408
    assert ApiLimits().body_seconds < ApiLimits().timeout_seconds


def test_a_ledger_that_is_taken_away_is_missed_at_once(shop):
    """Nobody is told from a file that is gone whether they were erased; its return is noticed."""
    ledger = shop.config.parent / "ledger.db"
    features = shop.ask("GET", "/v1/model")[2]["features"]
    ready = {"features": features, "rows": [[1.0] * len(features)]}
    away = ledger.rename(ledger.with_name("away.db"))
    try:
        answer = shop.ask("POST", PATH, ASKED)
        problem(answer, 503, "unavailable")
        assert answer[1]["retry-after"]
        assert shop.ask("GET", "/readyz")[0] == 503
        assert shop.ask("POST", "/v1/score/features", ready)[0] == 200
        assert not ledger.exists()
    finally:
        away.rename(ledger)
    assert shop.ask("POST", PATH, ASKED)[0] == 200
