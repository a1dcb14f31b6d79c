"""A running `churn serve` with the API of a trained shop, for tests."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

from simulated_shop import copied_shop

from churn.commands.keys import create_api_key

LONGEST_START_SECONDS = 120  # a few seconds alone, a minute where others use the machine
SETTINGS = "\n[serving]\napi = true\nunsubscribe = false\ndrain_seconds = 1.0\n"


class Service:
    """A running service, its key, and how to ask it."""

    def __init__(self, process, port, config, key):
        self.process, self.port, self.config, self.key = process, port, config, key

    def ask(self, method, path, body=None, headers=None, *, key=None, timeout=60):
        """Status, headers, and the body: decoded if it is JSON."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        given = {"authorization": f"Bearer {self.key if key is None else key}"}
        if body is not None:
            given["content-type"] = "application/json"
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
        try:
            connection.request(method, path, body, {**given, **(headers or {})})
            answer = connection.getresponse()
            text = answer.read().decode()
            found = dict(answer.getheaders())
            is_json = "json" in found.get("content-type", "")
            return answer.status, found, json.loads(text) if is_json else text
        finally:
            connection.close()

    def post(self, path, body, **headers):
        status, _, answer = self.ask("POST", path, body, headers)
        return status, answer

    def wait_until(self, path, status):
        deadline = time.monotonic() + LONGEST_START_SECONDS
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.process.stderr.read()
            if self.ask("GET", path)[0] == status:
                return
            time.sleep(0.05)
        raise AssertionError(f"{path} never answered {status}")


@contextmanager
def api_service(trained, folder, *, more=SETTINGS, ready=True):
    """`churn serve` in a process of its own, on a copy of a trained shop."""
    config = copied_shop(trained, folder)
    config.write_text(config.read_text() + more)
    key = create_api_key(config, "tests").resolved["key"]
    with running(config, key) as service:
        if ready:
            service.wait_until("/readyz", 200)
        yield service


@contextmanager
def running(config, key):
    """The service of a configuration; it is killed at the end."""
    words = ["serve", "--json", "--port", "0", "--config", str(config)]
    with (config.parent / "serve.err").open("w+") as err:
        process = subprocess.Popen(
            [sys.executable, "-m", "churn", *words],
            stdout=subprocess.PIPE,
            stderr=err,
            text=True,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        )
        try:
            deadline = time.monotonic() + LONGEST_START_SECONDS
            found = None
            while found is None and time.monotonic() < deadline:
                assert process.poll() is None, (config.parent / "serve.err").read_text()
                time.sleep(0.05)
                said = (config.parent / "serve.err").read_text()
                found = re.search(r"the API on http://127\.0\.0\.1:(\d+)/v1/", said)
            assert found, said
            yield Service(process, int(found[1]), config, key)
        finally:
            process.send_signal(signal.SIGKILL)
            process.communicate()
