"""After kills and with concurrent runs, readers see a complete result of one run."""

import random
import signal
import subprocess
import sys
import time
import warnings

import pandas as pd
import pytest
from simulated_shop import AS_OF, NO_SERVER, copied_shop, open_shop, simulated_orders, trained_shop

from churn.commands.check import check
from churn.commands.models import sync
from churn.commands.score import score
from churn.storage.ledger import Ledger
from churn.storage.manifests import verify_file

RUN = """
import sys
from pathlib import Path
from churn.errors import ChurnError
from churn.commands.score import score
from churn.commands.train import train

def tell(step):
    print(step, flush=True)

try:
    if sys.argv[1] == "train":
        result = train(Path(sys.argv[2]), progress=tell)
    else:
        result = score(Path(sys.argv[2]), out=Path(sys.argv[3]), progress=tell)
except ChurnError as failure:
    print(failure)
    sys.exit(failure.exit_code)
print(result.model_id, *result.warnings)
sys.exit(result.exit_code)
"""


@pytest.fixture
def shop(tmp_path, tmp_path_factory):
    return copied_shop(trained_shop(tmp_path_factory.getbasetemp()), tmp_path / "shop")


def start(*arguments):
    command = [sys.executable, "-c", RUN, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def kill_at(step, process, *, after_seconds=0.0):
    """Ends the process with SIGKILL as soon as it reports the step, or a little later."""
    for line in process.stdout:
        if line.startswith(step):
            time.sleep(after_seconds)
            process.send_signal(signal.SIGKILL)
            break
    process.wait()
    process.stdout.close()
    assert process.returncode == -signal.SIGKILL


def champion_of(config):
    return (config.parent / "models" / "champion").read_text().strip()


def bundles_of(config):
    return {path.name for path in (config.parent / "models").iterdir() if path.is_dir()}


def test_a_killed_scoring_leaves_the_previous_scores_and_the_next_run_cleans_up(shop, tmp_path):
    """Row 1."""
    out = tmp_path / "out" / "scores.parquet"
    score(shop, out=out, as_of=str(AS_OF))
    before = out.read_bytes()
    kill_at("scoring", start("score", shop, out))
    assert out.read_bytes() == before
    assert verify_file(out)["as_of"] == str(AS_OF)
    score(shop, out=out, as_of=str(AS_OF))
    visible = {path.name for path in out.parent.iterdir() if not path.name.startswith(".")}
    assert visible == {"scores.parquet", "scores.parquet.manifest.json"}
    assert not list(out.parent.glob(".*.tmp"))
    assert len(pd.read_parquet(out)) == verify_file(out)["rows"]


def test_a_killed_training_leaves_the_champion_and_is_marked_failed_by_the_next_run(shop):
    """Row 3."""
    before, there = champion_of(shop), bundles_of(shop)
    kill_at("fitting on all mature cutoffs", start("train", shop))
    assert champion_of(shop) == before
    assert bundles_of(shop) == there
    with Ledger(shop.parent / "ledger.db") as ledger:
        (killed,) = ledger.runs("train")
        assert killed.status == "running"
    check(shop)
    with Ledger(shop.parent / "ledger.db") as ledger:
        (killed,) = ledger.runs("train")
        assert killed.status == "failed"
        assert [run.status for run in ledger.runs("check")] == ["done"]


def test_trainings_killed_at_any_moment_register_only_complete_models(shop):
    """Row 3: before the bundle, after it, and in the middle of recording it."""
    shop.write_text(shop.read_text().replace(NO_SERVER, "sqlite:///mlflow.db"))
    before = champion_of(shop)
    chance = random.Random(7)
    for step in ("evaluating on the test cutoffs", "verifying the bundle", "recording in MLflow"):
        kill_at(step, start("train", shop), after_seconds=chance.uniform(0, 2))
        assert champion_of(shop) == before
    assert {status for status, _ in runs_of(shop)} == {"running", "failed"}
    result = sync(shop)
    assert result.warnings == ()
    assert set(result.resolved["recorded"]) == bundles_of(shop)
    assert registered(shop) == (before, len(bundles_of(shop)))
    assert [status for status, _ in runs_of(shop)] == ["failed"] * 3
    assert not list((shop.parent / "models").glob(".*.tmp"))


def test_four_first_trainings_at_once_all_finish_and_one_is_champion(tmp_path):
    """Rows 33 and 34: one creates the store, all are recorded, the slower ones get an error."""
    orders = simulated_orders(150, days=300, memoryless=True)
    config = open_shop(tmp_path / "shop", orders, tracking="sqlite:///mlflow.db")
    racers = [start("train", config) for _ in range(4)]
    message = [racer.communicate(timeout=600)[0] for racer in racers]
    codes = [racer.returncode for racer in racers]
    assert sorted(codes)[0] == 0, message
    assert set(sorted(codes)[1:]) <= {4, 6}, message
    assert not [text for text in message if "not recorded" in text]
    for code, text in zip(codes, message, strict=True):
        assert ("Another run has moved it" in text) == (code == 6)
    assert [status for status, _ in runs_of(config)] == ["done"] * 4
    assert len(bundles_of(config)) == 4
    assert champion_of(config) in bundles_of(config)
    assert registered(config) == (champion_of(config), 4)


def runs_of(config):
    with Ledger(config.parent / "ledger.db") as ledger:
        return [(run.status, run.run_id) for run in ledger.runs("train")]


def registered(config):
    """The model of the registry's alias, and the number of versions."""
    uri = f"sqlite:///{config.parent / 'mlflow.db'}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's own
        import mlflow

        client = mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)
        version = client.get_model_version_by_alias("churn", "champion")
        model_id = client.get_run(version.run_id).data.tags["model_id"]
        return model_id, len(client.search_model_versions("name = 'churn'"))
