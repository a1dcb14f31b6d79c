"""Requests made from the OpenAPI document: no 5xx, and every answer as the document says."""

import json

import pytest
from api_service import api_service
from hypothesis import HealthCheck, settings
from schema_cases import CHECKS, schemathesis_cases
from simulated_shop import trained_shop

from churn.data.history.events import KINDS
from churn.serving.api.documentation import ROUTES
from churn.serving.api.problems import media_type
from churn.serving.api.schemas import Event

pytestmark = pytest.mark.slow
EXAMPLES = 8


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    more = "\n[serving]\napi = true\nunsubscribe = false\nrequests_per_minute = 600000\n"
    folder = tmp_path_factory.mktemp("schema") / "shop"
    with api_service(trained_shop(tmp_path_factory.getbasetemp()), folder, more=more) as running:
        yield running


def test_every_route_is_documented_with_an_example(shop):
    document = shop.ask("GET", "/openapi.json", key="")[2]
    for route in ROUTES:
        operation = document["paths"][route.path][route.method.lower()]
        assert operation["summary"]
        assert media_type(route.path) in operation["responses"]["422"]["content"]
        if route.request is not None:
            schema = document["components"]["schemas"][route.request.__name__]
            assert schema["examples"]
            assert schema["additionalProperties"] is False
            (reference,) = operation["requestBody"]["content"].values()
            assert reference["schema"]["$ref"].endswith(route.request.__name__)


def test_the_kinds_of_events_are_those_of_the_tables():
    (kinds,) = [Event.model_json_schema()["properties"]["kind"]["enum"]]
    assert set(kinds) == set(KINDS)


def test_row_44_requests_from_the_document_meet_no_5xx_and_answers_are_as_it_says(shop):
    import schemathesis

    document = shop.ask("GET", "/openapi.json")[2]
    schema = schemathesis.openapi.from_dict(json.loads(json.dumps(document)))
    base = f"http://127.0.0.1:{shop.port}"
    tried = 0
    for result in schema.get_all_operations():
        operation = result.ok()
        if operation.path in ("/livez", "/v2/health/live"):
            continue

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
        )
        @schemathesis_cases(operation)
        def send(case):
            nonlocal tried
            tried += 1
            headers = {"authorization": f"Bearer {shop.key}"}
            case.call_and_validate(base_url=base, headers=headers, checks=CHECKS, timeout=120)

        send()
    assert tried > 100
