"""A bundle in MLflow: a run with a child a fold, lineage, report, one version, and never two."""

import json
import os
import pickle
import subprocess
import sys
import tempfile
import warnings

import pytest
from kept_models import keep_model

from churn.errors import ConfigError, StorageError
from churn.modeling.bundle import load_bundle
from churn.modeling.registry.record import find_version, record_bundle
from churn.modeling.registry.store import CONNECTED, RETRIES, TIMEOUT, mlflow_store
from churn.modeling.registry.versions import bundle_from_registry, point_aliases
from churn.modeling.settings import TrackingSettings

SETTINGS = TrackingSettings()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("project")


def record(folder, name):
    bundle = folder / "models" / name
    return record_bundle(SETTINGS, load_bundle(bundle), bundle=bundle, folder=folder)


@pytest.fixture(scope="module")
def recorded(folder):
    keep_model(folder / "models", "m-1", minute=1)
    return record(folder, "m-1")


@pytest.fixture
def client(folder):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's own
        import mlflow

        uri = f"sqlite:///{folder / 'mlflow.db'}"
        yield mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)


def test_the_run_tells_recipe_judgement_gate_and_lineage(recorded, client, folder):
    run = client.get_run(recorded.run_id)
    assert run.info.status == "FINISHED"
    assert (run.data.tags["model_id"], run.data.tags["gate"]) == ("m-1", "open")
    assert run.data.params["horizon_days"] == "28"
    assert {"model_roc_auc", "model_log_loss_low", "bg_nbd_log_loss"} <= set(run.data.metrics)
    uses = {one.tags[0].value: one.dataset for one in run.inputs.dataset_inputs}
    assert uses.keys() == {"training", "evaluation"}
    assert uses["training"].digest == ("cd" * 32)[:36]
    learnt = load_bundle(folder / "models" / "m-1").manifest_["cutoffs"]["dates"]
    assert json.loads(uses["training"].profile)["cutoffs"] == learnt


def test_the_environment_is_left_as_it_was(recorded, folder, monkeypatch):
    monkeypatch.delenv(RETRIES, raising=False)
    monkeypatch.setenv(TIMEOUT, "4")
    with mlflow_store(SETTINGS, folder, writing=False) as mlflow:
        assert os.environ[RETRIES] == CONNECTED[RETRIES]
        assert os.environ[TIMEOUT] == "4"
        assert mlflow.get_tracking_uri() == f"sqlite:///{folder / 'mlflow.db'}"
    assert RETRIES not in os.environ
    assert os.environ[TIMEOUT] == "4"


def test_every_fold_is_a_child_of_the_run(recorded, client):
    experiment = client.get_experiment_by_name(SETTINGS.experiment).experiment_id
    wanted = f"tags.mlflow.parentRunId = '{recorded.run_id}'"
    (child,) = client.search_runs([experiment], filter_string=wanted)
    assert child.info.run_name == "fold 2023-08-14"
    assert child.data.metrics["model_log_loss"] == 0.5


def test_the_bundle_and_its_model_lie_in_the_run_with_stated_requirements(recorded, client, folder):
    assert {item.path for item in client.list_artifacts(recorded.run_id, "bundle")} >= {
        "bundle/manifest.json",
        "bundle/heads",
    }
    for stated in (folder / "mlartifacts").rglob("requirements.txt"):
        named = [line.split("==")[0] for line in stated.read_text().splitlines()]
        assert named == ["lightgbm", "mlflow", "numpy", "pandas"]


def test_recording_twice_finds_the_first(recorded, folder):
    again = record(folder, "m-1")
    assert (again.run_id, again.version, again.new) == (recorded.run_id, recorded.version, False)


def test_a_run_that_was_cut_short_is_failed_and_recorded_anew(recorded, client, folder):
    """As after a kill or a lost server between the run and its version."""
    keep_model(folder / "models", "m-2", minute=2)
    experiment = client.get_experiment_by_name(SETTINGS.experiment).experiment_id
    left = client.create_run(experiment, tags={"model_id": "m-2"})
    assert find_version(client, SETTINGS, "m-2") is None
    done = record(folder, "m-2")
    assert done.new
    assert client.get_run(left.info.run_id).info.status == "FAILED"
    assert find_version(client, SETTINGS, "m-2").run_id == done.run_id


@pytest.mark.usefixtures("recorded")
def test_all_that_a_killed_recording_began_is_failed(client, folder):
    """Fault 3: its children and the model that it was logging would stand as unfinished for ever,
    and a run that had ended without a version as a second recording.
    """
    keep_model(folder / "models", "m-4", minute=4)
    experiment = client.get_experiment_by_name(SETTINGS.experiment).experiment_id
    ended = client.create_run(experiment, tags={"model_id": "m-4"}).info.run_id
    client.set_terminated(ended)
    left = client.create_run(experiment, tags={"model_id": "m-4"}).info.run_id
    child = client.create_run(experiment, tags={"mlflow.parentRunId": left}).info.run_id
    logged = client.create_logged_model(experiment, source_run_id=left).model_id
    done = record(folder, "m-4")
    assert [client.get_run(run).info.status for run in (ended, left, child)] == ["FAILED"] * 3
    assert client.get_logged_model(logged).status == "FAILED"
    assert client.get_run(done.run_id).info.status == "FINISHED"


@pytest.mark.usefixtures("recorded")
def test_nothing_is_left_in_the_folder_for_temporary_files(folder, tmp_path, monkeypatch):
    """Not even what a killed recording left there."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / f"churn-pyfunc-{2**31}-1-left" / "model").mkdir(parents=True)
    keep_model(folder / "models", "m-5", minute=5)
    assert record(folder, "m-5").new
    assert tempfile.gettempdir() == str(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("recorded")
def test_the_report_of_a_bundle_is_where_people_look(folder, client):
    bundle = keep_model(folder / "models", "m-3", minute=3)
    (bundle / "report" / "gain.svg").write_text("<svg/>")
    model = load_bundle(folder / "models" / "m-1")
    model.manifest_ = {**model.manifest_, "model_id": "m-3"}
    done = record_bundle(SETTINGS, model, bundle=bundle, folder=folder)
    shown = [item.path for item in client.list_artifacts(done.run_id, "report")]
    assert "report/gain.svg" in shown


def test_aliases_move_to_models_stay_and_go(recorded, client, folder):
    def point(**wanted):
        return point_aliases(SETTINGS, lambda: wanted, folder=folder)

    def champion():
        version = client.get_registered_model(SETTINGS.model_name).aliases.get("champion")
        return None if version is None else str(version)

    assert point(champion="m-1") == {"champion": "m-1"}
    assert champion() == recorded.version
    assert point(champion="m-1") == {}
    assert point(champion="never-recorded") == {}
    assert champion() == recorded.version
    assert point(champion=None) == {"champion": ""}
    assert champion() is None


@pytest.mark.parametrize(
    "address", ["models:/churn", "models:/churn/x", "models:/churn@", "models:/"]
)
def test_an_address_of_another_form_is_refused(folder, address):
    with pytest.raises(ConfigError, match="NAME@ALIAS or models:/NAME/VERSION"):
        bundle_from_registry(SETTINGS, address, folder=folder)


@pytest.mark.parametrize("name", ["../etc", "a:b", "Churn", "a\0b"])
def test_a_bad_name_in_an_address_is_refused(folder, name):
    """Fault 29."""
    with pytest.raises(ConfigError, match="model name must be 1 to 64 of a-z"):
        bundle_from_registry(SETTINGS, f"models:/{name}@champion", folder=folder)


def test_a_version_that_is_not_there_is_named(recorded, folder):
    with pytest.raises(StorageError, match=r"must answer, got .*999"):
        bundle_from_registry(SETTINGS, "models:/churn/999", folder=folder)


class Bomb:
    """Unpickling it makes a folder."""

    def __init__(self, sentinel):
        self.sentinel = str(sentinel)

    def __reduce__(self):
        return os.mkdir, (self.sentinel,)


LOAD = """
import sys, warnings
warnings.simplefilter("ignore")
import mlflow
mlflow.pyfunc.load_model(sys.argv[1])
print("loaded")
"""


def load_without_pickle(place):
    return subprocess.run(
        [sys.executable, "-c", LOAD, str(place)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"},
    )


def test_a_model_relabelled_as_a_pickle_is_refused_where_pickles_are(recorded, folder, tmp_path):
    """Fault 28: our own model loads with pickles forbidden, the relabelled one is not opened."""
    described = next((folder / "mlartifacts").rglob("MLmodel"))
    assert load_without_pickle(described.parent).stdout == "loaded\n"
    sentinel = tmp_path / "sentinel"
    text = described.read_text()
    try:
        (described.parent / "python_model.pkl").write_bytes(pickle.dumps(Bomb(sentinel)))
        lines = [line for line in text.splitlines() if "model_code_path" not in line]
        relabelled = "\n".join(lines).replace(
            "  python_function:\n", "  python_function:\n    python_model: python_model.pkl\n"
        )
        described.write_text(relabelled)
        refused = load_without_pickle(described.parent)
    finally:
        described.write_text(text)
        (described.parent / "python_model.pkl").unlink()
    assert refused.returncode != 0
    assert "loaded" not in refused.stdout
    assert not sentinel.exists()
    assert "pickle" in refused.stderr.lower()
