"""Requests made from an OpenAPI document, and what their answers must satisfy."""

import schemathesis
from hypothesis import given
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS = (
    schemathesis.checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
)


def schemathesis_cases(operation):
    """A test of cases of both modes: as the schema wants them, and not."""

    def decorate(test):
        positive = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
        negative = operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)
        return given(case=positive | negative)(test)

    return decorate
