"""Errors of the API as problem details (RFC 9457); none of them repeats what was sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import pydantic_core
from pydantic import BaseModel, ConfigDict, Field, ValidationError

MEDIA_TYPE = "application/problem+json"
PREFIX = "urn:churn:problem:"
MAX_ERRORS = 20
_UNKNOWN_MEMBER = "an unknown member; the schema lists the known ones"


def to_json(value: object) -> bytes:
    """Strict JSON: what is not a number becomes null, and floats keep their last bit."""
    return pydantic_core.to_json(value, inf_nan_mode="null")


class ProblemError(Exception):
    """A refusal: its HTTP status, a name for programs, and a sentence for people."""

    def __init__(
        self,
        status: int,
        name: str,
        detail: str,
        *,
        errors: Sequence[Mapping[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(name)
        self.status, self.name, self.detail = status, name, detail
        self.errors = list(errors)
        self.headers = dict(headers or {})

    def body(self, path: str) -> bytes:
        """The problem as JSON, as the answer to a request for that path."""
        content: dict[str, Any] = {
            "type": PREFIX + self.name,
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
        }
        if self.errors:
            content["errors"] = self.errors
        if is_inference(path):
            content["error"] = " ".join([self.detail, *(one["detail"] for one in self.errors)])
        return to_json(content)


def is_inference(path: str) -> bool:
    """Whether the path belongs to the Open Inference Protocol, whose errors are JSON objects with
    `error`.
    """
    return path == "/v2" or path.startswith("/v2/")


def media_type(path: str) -> str:
    """The media type of refusals of requests for that path."""
    return "application/json" if is_inference(path) else MEDIA_TYPE


class Mistake(BaseModel):
    """One mistake in a request: where, and what is wrong."""

    pointer: str = Field(description="JSON pointer into the request.")
    detail: str


class ProblemDetails(BaseModel):
    """A refusal, RFC 9457."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": PREFIX + "invalid-request",
                    "title": "Unprocessable Entity",
                    "status": 422,
                    "detail": "The request does not match its schema.",
                    "errors": [
                        {
                            "pointer": "#/customers/0/orders/3/amount",
                            "detail": "Input should be a finite number",
                        }
                    ],
                }
            ]
        }
    )
    type: str
    title: str
    status: int
    detail: str
    errors: list[Mistake] = []


class InferenceProblem(ProblemDetails):
    """A refusal in the Open Inference Protocol: the same, and in `error` what is wrong."""

    error: str


def invalid(failure: ValidationError, known: frozenset[str]) -> ProblemError:
    """400 for text that is not JSON, else 422 with the place of each mistake.

    Of the names in the request only `known` ones are shown.
    """
    found = failure.errors(include_url=False, include_input=False, include_context=False)
    if any(error["type"] == "json_invalid" for error in found):
        return ProblemError(400, "not-json", "The body must be strict JSON (RFC 8259) in UTF-8.")
    errors = [_shown(error, known) for error in found[:MAX_ERRORS]]
    detail = "The request does not match its schema."
    if len(found) > MAX_ERRORS:
        detail += f" {len(found)} mistakes; the first {MAX_ERRORS} are listed."
    return ProblemError(422, "invalid-request", detail, errors=errors)


def _shown(error: Any, known: frozenset[str]) -> dict[str, str]:
    parts = []
    for part in error["loc"]:
        if isinstance(part, int) or part in known:
            parts.append(str(part))
    is_unknown = error["type"] in ("extra_forbidden", "unexpected_keyword_argument")
    pointer = "/".join(["#", *parts])
    return {"pointer": pointer, "detail": _UNKNOWN_MEMBER if is_unknown else str(error["msg"])}
