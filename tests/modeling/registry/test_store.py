"""A store that does not answer costs seconds and one line."""

import re
import socket
import time

import pytest

from churn.errors import StorageError
from churn.modeling.registry.store import check_driver, mlflow_store, store_uri
from churn.modeling.settings import TrackingSettings

MOST_SECONDS = 10


@pytest.fixture(scope="module", autouse=True)
def imported():
    """MLflow's import takes seconds of its own, on a busy machine many."""
    import alembic.util  # noqa: F401
    import mlflow  # noqa: F401


@pytest.fixture
def silent_server():
    """Takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def enter(uri, folder):
    with mlflow_store(TrackingSettings(uri=uri), folder, writing=True):
        pytest.fail("nobody is there")


def test_a_dead_port_is_given_up_within_ten_seconds(tmp_path):
    """Fault 31."""
    started = time.monotonic()
    with pytest.raises(StorageError, match=r"got connection refused\. Start it, then run `churn s"):
        enter("http://127.0.0.1:9", tmp_path)
    assert time.monotonic() - started < MOST_SECONDS


def test_a_server_that_never_answers_is_given_up_within_ten_seconds(tmp_path, silent_server):
    started = time.monotonic()
    with pytest.raises(StorageError, match=r"must answer, got timed out\. Start it"):
        enter(silent_server, tmp_path)
    assert time.monotonic() - started < MOST_SECONDS


def test_a_password_in_the_address_is_not_shown(tmp_path):
    with pytest.raises(StorageError, match=r"MLflow at http://127\.0\.0\.1:9 must") as refused:
        enter("http://user:secret@127.0.0.1:9", tmp_path)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("password", ["secret", "se@cret", "secret:"])
def test_a_password_in_what_mlflow_says_is_not_shown_either(tmp_path, password):
    address = f"https://user:{password}@host.example/api/2.0/mlflow/runs"
    said = r"got API request to https://(host\.example|…) failed"
    with (
        pytest.raises(StorageError, match=said) as told,
        mlflow_store(TrackingSettings(uri="sqlite:///m.db"), tmp_path, writing=True) as mlflow,
    ):
        raise mlflow.exceptions.MlflowException(f"API request to {address} failed")
    assert "cret" not in str(told.value)


def test_a_file_that_is_no_database_is_named_in_one_line(tmp_path):
    (tmp_path / "mlflow.db").write_text("not a database at all, for sure" * 9)
    with pytest.raises(StorageError, match=r"got .*file is not a database") as refused:
        enter("sqlite:///mlflow.db", tmp_path)
    assert "\n" not in str(refused.value)


def test_a_relative_store_lies_beside_the_configuration(tmp_path):
    def place(uri):
        return store_uri(TrackingSettings(uri=uri), tmp_path)

    assert place("sqlite:///a.db") == f"sqlite:///{tmp_path / 'a.db'}"
    assert place("sqlite:////a.db") == "sqlite:////a.db"
    assert place("https://host") == "https://host"


@pytest.mark.parametrize(
    "uri",
    ["http://127.0.0.1:9/?token=hunter2", "http://u:hunt/er2@127.0.0.1:9", "ftp://u:hunter2@h/x"],
)
def test_no_part_of_the_address_but_the_host_is_shown(tmp_path, uri):
    with pytest.raises(StorageError) as refused:
        enter(uri, tmp_path)
    assert not {"hunter2", "hunt", "er2"} & set(re.findall(r"\w+", str(refused.value)))


def test_a_database_without_its_driver_is_told_before_anything_is_trained():
    """No driver for MySQL is among the dependencies."""
    asked = TrackingSettings(uri="mysql+pymysql://u:hunter2@host/db")
    with pytest.raises(
        StorageError, match=r"uri mysql\+pymysql://host needs an installed driver.*no pymysql"
    ):
        check_driver(asked)
    with pytest.raises(StorageError, match="a database unknown to SQLAlchemy"):
        check_driver(TrackingSettings(uri="oracle+nonsense://u:hunter2@host/db"))
    for uri in ("sqlite:///mlflow.db", "http://127.0.0.1:9", "databricks", "file:///x"):
        check_driver(TrackingSettings(uri=uri))
