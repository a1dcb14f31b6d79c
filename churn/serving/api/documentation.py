"""The OpenAPI document of the API: every route with its schemas, errors and examples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from churn.serving.api import inference, schemas
from churn.serving.api.problems import (
    InferenceProblem,
    ProblemDetails,
    is_inference,
    media_type,
)

if TYPE_CHECKING:
    from fastapi import FastAPI

REF = "#/components/schemas/{model}"
DESCRIPTION = (
    "Scores, offers and consent for other services. Every refusal is a problem "
    "(RFC 9457) that never repeats what was sent."
)
_PROBLEMS = {
    400: "not JSON",
    401: "no valid key",
    403: "revoked key",
    404: "not found",
    405: "wrong method",
    408: "the body was too slow",
    409: "the model cannot be used in this way",
    413: "the body is too large",
    415: "not application/json",
    422: "the request does not match its schema or its limits",
    429: "too many requests with this key; see Retry-After",
    503: "not ready, busy or stopping; see Retry-After",
}


@dataclass(frozen=True)
class Documented:
    """What the document says of a route."""

    path: str
    method: str
    function: str
    summary: str
    answer: type[BaseModel] | None
    request: type[BaseModel] | None = None
    is_open: bool = False
    idempotent: bool = False
    tag: str = "scores"


ROUTES = (
    Documented(
        "/v1/score",
        "POST",
        "score_histories",
        "Score customers from their histories",
        schemas.HistoryScores,
        schemas.HistoryRequest,
    ),
    Documented(
        "/v1/score/features",
        "POST",
        "score_features",
        "Score ready features",
        schemas.FeatureScores,
        schemas.FeatureRequest,
    ),
    Documented(
        "/v1/scores",
        "POST",
        "look_up",
        "Look customers up in the scores of the last batch",
        schemas.BatchScores,
        schemas.CustomersRequest,
    ),
    Documented(
        "/v1/decide",
        "POST",
        "decide",
        "The planned offer of a customer under live consent, recorded as a contact once",
        schemas.Decision,
        schemas.DecideRequest,
        idempotent=True,
        tag="offers",
    ),
    Documented(
        "/v1/consent",
        "POST",
        "consent",
        "Withdrawals and objections on record here",
        schemas.ConsentState,
        schemas.CustomerRequest,
        tag="consent",
    ),
    Documented(
        "/v1/unsubscribe",
        "POST",
        "unsubscribe",
        "Record a withdrawal from marketing; repeating it changes nothing",
        schemas.ConsentState,
        schemas.UnsubscribeRequest,
        tag="consent",
    ),
    Documented(
        "/v1/objection",
        "POST",
        "objection",
        "Record an objection to profiling; repeating it changes nothing",
        schemas.ConsentState,
        schemas.CustomerRequest,
        tag="consent",
    ),
    Documented("/v1/model", "GET", "model", "The model in use", schemas.ModelFacts, tag="model"),
    Documented(
        "/livez", "GET", "live", "Whether the process answers", None, is_open=True, tag="health"
    ),
    Documented("/readyz", "GET", "ready", "Whether it can score", None, is_open=True, tag="health"),
    Documented("/v2", "GET", "server_metadata", "Server metadata", None, tag="v2"),
    Documented("/v2/health/live", "GET", "live", "Server live", None, is_open=True, tag="v2"),
    Documented("/v2/health/ready", "GET", "ready", "Server ready", None, is_open=True, tag="v2"),
    *(
        documented
        for path in ("/v2/models/{name}", "/v2/models/{name}/versions/{version}")
        for documented in (
            Documented(path, "GET", "model_metadata", "Model metadata", None, tag="v2"),
            Documented(f"{path}/ready", "GET", "model_ready", "Model ready", None, tag="v2"),
            Documented(
                f"{path}/infer",
                "POST",
                "infer",
                "Inference",
                inference.InferResponse,
                inference.InferRequest,
                tag="v2",
            ),
        )
    ),
)


def describe(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document of the application."""
    from fastapi.openapi.utils import get_openapi

    document = get_openapi(title="churn", version="1", description=DESCRIPTION, routes=app.routes)
    kinds: list[type[BaseModel]] = [one.request for one in ROUTES if one.request is not None]
    known = [
        (kind, "validation") for kind in dict.fromkeys([*kinds, ProblemDetails, InferenceProblem])
    ]
    _, definitions = models_json_schema(known, ref_template=REF)  # type: ignore[arg-type]
    components = document.setdefault("components", {})
    components["schemas"] = {**components.get("schemas", {}), **definitions["$defs"]}
    components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    return document


def extra(route: Documented) -> dict[str, Any]:
    """What the document adds to a route beyond its answer."""
    found: dict[str, Any] = {"security": [] if route.is_open else [{"key": []}]}
    if route.request is not None:
        schema = {"$ref": REF.format(model=route.request.__name__)}
        content = {"application/json": {"schema": schema}}
        found["requestBody"] = {"required": True, "content": content}
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", **known}}
        for name, known in (("name", {"enum": [inference.MODEL_NAME]}), ("version", {}))
        if f"{{{name}}}" in route.path
    ]
    if route.idempotent:
        parameters.append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": True,
                "description": "New for each request, the same in its retries.",
                "schema": {
                    "type": "string",
                    "minLength": 1,
                    "maxLength": 200,
                    "pattern": "^[!-~]([ -~]*[!-~])?$",
                },
            }
        )
    if parameters:
        found["parameters"] = parameters
    return found


def problems(path: str) -> dict[int | str, dict[str, Any]]:
    """The refusals of the route with that path."""
    kind = InferenceProblem if is_inference(path) else ProblemDetails
    schema = {"$ref": REF.format(model=kind.__name__)}
    return {
        status: {"description": text, "content": {media_type(path): {"schema": schema}}}
        for status, text in _PROBLEMS.items()
    }
