"""MLflow serves the registered model over HTTP, with nothing of ours in the process."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pandas as pd
import pytest
from simulated_shop import trained_shop

from churn.modeling.bundle import load_bundle
from churn.modeling.portable import OUTPUTS

BINARIES = Path(sys.executable).parent
LONGEST_START_SECONDS = 180  # seconds alone, a minute where others use the machine


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    return trained_shop(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="module")
def server(shop, tmp_path_factory):
    """The address of `mlflow models serve` on the champion, as one would start it by hand."""
    port = free_port()
    log = tmp_path_factory.mktemp("serve") / "log"
    words = ["models", "serve", "--model-uri", "models:/churn@champion", "--env-manager", "local"]
    place = ["--host", "127.0.0.1", "--port", str(port)]
    environment = {
        **os.environ,
        "PATH": f"{BINARIES}{os.pathsep}{os.environ['PATH']}",  # it starts uvicorn by name
        "MLFLOW_TRACKING_URI": f"sqlite:///{shop.parent / 'mlflow.db'}",
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    }
    with log.open("w") as file:
        process = subprocess.Popen(
            [BINARIES / "mlflow", *words, *place],
            env=environment,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        wait_for(f"http://127.0.0.1:{port}/ping", process, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # its own group: itself and what it started
        process.wait()


def wait_for(address, process, log):
    deadline = time.monotonic() + LONGEST_START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return
        except OSError:
            time.sleep(0.2)
    pytest.fail(f"no answer: {log.read_text()}")


def asked(server, rows):
    table = json.loads(rows.to_json(orient="split", index=False, double_precision=15))
    request = urllib.request.Request(
        f"{server}/invocations",
        data=json.dumps({"dataframe_split": table}).encode(),
        headers={"content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return pd.DataFrame(json.load(answer)["predictions"])


@pytest.fixture(scope="module")
def rows(shop):
    models = shop.parent / "models"
    canaries = models / (models / "champion").read_text().strip() / "canaries.parquet"
    return pd.read_parquet(canaries).drop(columns=[f"said_{name}" for name in OUTPUTS])


def test_the_served_model_scores_like_the_champion(server, shop, rows):
    message = load_bundle(shop.parent / "models" / "champion").predict_frame(rows)
    output = asked(server, rows).astype(dict.fromkeys(set(OUTPUTS) - {"probability_source"}, float))
    assert set(rows["status"]) >= {"eligible", "lapsed"}
    pd.testing.assert_frame_equal(output, message, rtol=1e-9, atol=1e-9, check_dtype=False)


def test_a_row_without_a_feature_is_refused_by_its_name(server, rows):
    with pytest.raises(urllib.error.HTTPError) as refused:
        asked(server, rows.drop(columns="recency_days"))
    assert refused.value.code == 400
    assert "recency_days" in refused.value.read().decode()
