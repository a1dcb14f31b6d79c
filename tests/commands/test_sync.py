"""Models missing in MLflow are recorded once; aliases follow the folder."""

import warnings

import pytest
from kept_models import keep_model, shop_with_models
from simulated_shop import NO_SERVER

from churn.commands.models import sync
from churn.errors import StorageError
from churn.storage.ledger import Ledger


@pytest.fixture
def offline(tmp_path):
    """A shop whose models were trained while MLflow was unreachable."""
    return shop_with_models(tmp_path / "shop", "m-1", "m-2")


def go_online(config):
    config.write_text(config.read_text().replace(NO_SERVER, "sqlite:///mlflow.db"))


def point_at(config, model_id):
    (config.parent / "models" / "champion").write_text(f"{model_id}\n")


def registry(config):
    """Model ids by version, and by alias."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's own
        import mlflow

        uri = f"sqlite:///{config.parent / 'mlflow.db'}"
        client = mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)
        versions = {
            str(v.version): v.tags["model_id"]
            for v in client.search_model_versions("name = 'churn'")
        }
        aliases = client.get_registered_model("churn").aliases
        return versions, {alias: versions[str(number)] for alias, number in aliases.items()}


def test_missing_models_are_recorded_once_and_aliases_are_updated(offline):
    """Fault 31, as one test, because each step depends on the previous one."""
    with pytest.raises(StorageError, match="must answer, got connection refused"):
        sync(offline)
    with Ledger(offline.parent / "ledger.db") as ledger:
        assert [run.status for run in ledger.runs("sync")] == ["failed"]
    point_at(offline, "m-1")

    go_online(offline)
    first = sync(offline)
    assert first.resolved["recorded"] == ["m-1", "m-2"]
    assert first.rows == {"recorded": 2, "there": 0}
    assert registry(offline) == (
        {"1": "m-1", "2": "m-2"},
        {"champion": "m-1", "challenger": "m-2"},
    )

    again = sync(offline)
    assert again.rows == {"recorded": 0, "there": 2}
    assert again.resolved["aliases"] == {}

    point_at(offline, "m-2")
    assert sync(offline).resolved["aliases"] == {"champion": "m-2", "challenger": ""}
    assert registry(offline)[1] == {"champion": "m-2"}

    damaged = keep_model(offline.parent / "models", "m-3", minute=3)
    (damaged / "card.md").write_text("other")
    keep_model(offline.parent / "models", "m-4", minute=4)
    last = sync(offline)
    assert last.resolved["recorded"] == ["m-4"]
    assert len(last.warnings) == 1
    assert "'card.md' was altered" in last.warnings[0]
    assert registry(offline)[1] == {"champion": "m-2", "challenger": "m-4"}


def test_another_folder_is_recorded_without_changing_aliases(offline):
    go_online(offline)
    keep_model(offline.parent / "others", "o-1", minute=5)
    (offline.parent / "others" / "champion").write_text("o-1\n")
    result = sync(offline, models=offline.parent / "others")
    assert result.resolved["recorded"] == ["o-1"]
    assert "o-1" not in registry(offline)[1].values()


def test_without_models_there_is_nothing_to_do(tmp_path):
    config = shop_with_models(tmp_path / "shop")
    config.write_text(
        config.read_text().replace("[tracking]", '[model]\ndirectory = "none"\n\n[tracking]')
    )
    result = sync(config, models=tmp_path / "nowhere")
    assert result.rows == {"recorded": 0, "there": 0}
