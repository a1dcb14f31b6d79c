"""The Open Inference Protocol: tensors to rows, and who else's description and client say so."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from api_service import api_service
from hypothesis import HealthCheck, settings
from schema_cases import CHECKS, schemathesis_cases
from simulated_shop import shop_model, trained_shop

from churn.modeling.portable import OUTPUTS
from churn.serving.api.champion import LoadedModel
from churn.serving.api.inference import inference_of
from churn.serving.api.problems import ProblemError

PROTOCOL = Path(__file__).parents[3] / "shared/protocol/open_inference_rest.yaml"
EXAMPLES = 8
SETTINGS = "\n[serving]\napi = true\nunsubscribe = false\nrequests_per_minute = 600000\n"


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inference") / "shop"
    trained = trained_shop(tmp_path_factory.getbasetemp())
    with api_service(trained, folder, more=SETTINGS) as running:
        yield running


def texts(*values):
    """Texts as the protocol has them in raw bytes."""
    coded = [value.encode() for value in values]
    return b"".join(len(one).to_bytes(4, "little") + one for one in coded)


def rows_of(tensors, raw=b""):
    """The rows of a request with those tensors, whose data may be raw bytes."""
    head = json.dumps({"inputs": tensors}).encode()
    loaded = LoadedModel(shop_model(), "m", "UTC")
    return inference_of(loaded, head + raw, str(len(head)), max_rows=10)[1]


def features(values):
    return {
        "name": "features",
        "shape": list(values.shape),
        "datatype": "FP64",
        "parameters": {"binary_data_size": values.nbytes},
    }


def test_statuses_may_be_raw_bytes_before_or_after_the_features():
    values = np.arange(2.0 * len(shop_model().feature_names_)).reshape(2, -1)
    raw = texts("lapsed", "new")
    status = {"name": "status", "shape": [2], "datatype": "BYTES"}
    status["parameters"] = {"binary_data_size": len(raw)}
    for task in (
        rows_of([features(values), status], values.tobytes() + raw),
        rows_of([status, features(values)], raw + values.tobytes()),
    ):
        assert task.status.tolist() == ["lapsed", "new"]
        np.testing.assert_array_equal(task.matrix, values)


@pytest.mark.parametrize("raw", [b"", texts("lapsed"), texts("lapsed", "no such"), b"\xff" * 9])
def test_statuses_that_are_missing_or_damaged_are_refused_rather_than_taken_as_eligible(raw):
    values = np.ones((2, len(shop_model().feature_names_)))
    status = {"name": "status", "shape": [2], "datatype": "BYTES"}
    sizes = [{}, {"binary_data_size": len(raw)}, {"binary_data_size": len(raw) + 1}]
    for size in sizes:
        with pytest.raises(ProblemError, match="wrong-"):
            rows_of([features(values), {**status, "parameters": size}], values.tobytes() + raw)


def test_named_tensors_are_put_into_the_order_of_the_model():
    names = shop_model().feature_names_
    tensors = [
        {"name": name, "shape": [2], "datatype": "FP64", "data": [place, None]}
        for place, name in enumerate(names)
    ]
    expected = np.array([np.arange(len(names)), np.full(len(names), np.nan)])
    np.testing.assert_array_equal(rows_of(tensors[::-1]).matrix, expected)
    tensors[0] |= {"shape": [1], "data": [0]}
    with pytest.raises(ProblemError, match="wrong-shape"):
        rows_of(tensors)


@pytest.mark.slow
@pytest.mark.skipif(not PROTOCOL.exists(), reason="needs ../shared/protocol")
def test_row_44_requests_from_the_protocols_own_description_are_answered_as_it_says(shop):
    import schemathesis

    schema = schemathesis.openapi.from_path(PROTOCOL)
    tried = 0
    for result in schema.get_all_operations():

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
        )
        @schemathesis_cases(result.ok())
        def send(case):
            nonlocal tried
            tried += 1
            if tried % 2 and "MODEL_NAME" in (case.path_parameters or {}):
                case.path_parameters["MODEL_NAME"] = "churn"
            case.call_and_validate(
                base_url=f"http://127.0.0.1:{shop.port}",
                headers={"authorization": f"Bearer {shop.key}"},
                checks=CHECKS,
            )

        send()
    assert tried > 50


@pytest.mark.slow
@pytest.mark.parametrize("binary", [True, False])
def test_tritons_client_gets_the_scores_of_the_batch(shop, binary):
    client_of = pytest.importorskip("tritonclient.http", reason="needs tritonclient[http]")
    models = shop.config.parent / "models"
    champion = models / (models / "champion").read_text().strip()
    rows = pd.read_parquet(champion / "canaries.parquet")
    client = client_of.InferenceServerClient(f"127.0.0.1:{shop.port}")
    headers = {"authorization": f"Bearer {shop.key}"}
    assert client.is_server_ready(headers=headers)
    assert client.is_model_ready("churn", headers=headers)
    names = [one["name"] for one in client.get_model_metadata("churn", headers=headers)["inputs"]]
    values = rows[names].to_numpy("float64")
    features = client_of.InferInput("features", list(values.shape), "FP64")
    features.set_data_from_numpy(values, binary_data=True)  # JSON of this client has no null
    status = client_of.InferInput("status", [len(rows)], "BYTES")
    status.set_data_from_numpy(rows["status"].to_numpy(object), binary_data=binary)
    found = client.infer("churn", [features, status], headers=headers)
    for name in OUTPUTS:
        expected = rows[f"said_{name}"].to_numpy()
        if name == "probability_source":
            assert found.as_numpy(name).tolist() == expected.tolist()
        else:
            np.testing.assert_array_equal(found.as_numpy(name), expected.astype(float))
    with pytest.raises(client_of.InferenceServerException, match="The only model is"):
        client.infer("other", [features], headers=headers)
