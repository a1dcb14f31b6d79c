"""The Open Inference Protocol (V2): tensors in, the model's outputs as tensors out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter, ValidationError

from churn.modeling.portable import OUTPUTS, STATUSES
from churn.serving.api.champion import LoadedModel
from churn.serving.api.problems import ProblemError, invalid
from churn.serving.api.schemas import MAX_COLUMNS
from churn.serving.api.scoring import FeatureTask, check_names

MODEL_NAME = "churn"
ONE_TENSOR = "features"
"""The name of an input that holds all features, in the order of the model's metadata."""

TYPES = {"FP64": "f8", "FP32": "f4", "INT64": "i8", "INT32": "i4"}
BINARY_HEADER = "inference-header-content-length"
_SIZE = "binary_data_size"


class Tensor(BaseModel):
    """An input: a feature of each row, or all of them as `features`, or `status`."""

    model_config = ConfigDict(extra="forbid", strict=True)
    name: Annotated[str, Field(max_length=200)]
    shape: Annotated[list[int], Field(min_length=1, max_length=2)]
    datatype: str
    parameters: dict[str, JsonValue] = {}
    data: list[JsonValue] | None = None


class WantedOutput(BaseModel):
    """An output to return; the default is all of them."""

    model_config = ConfigDict(extra="forbid", strict=True)
    name: str
    parameters: dict[str, JsonValue] = {}


class InferRequest(BaseModel):
    """A request for inference."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={
            "examples": [
                {
                    "inputs": [
                        {"name": "features", "shape": [1, 2], "datatype": "FP64", "data": [12, 3]}
                    ]
                }
            ]
        },
    )
    id: Annotated[str, Field(max_length=100)] | None = None
    parameters: dict[str, JsonValue] = {}
    inputs: Annotated[list[Tensor], Field(max_length=MAX_COLUMNS)]
    outputs: list[WantedOutput] | None = None


class OutputTensor(BaseModel):
    """An output of every row; null where it is unknown."""

    name: str
    shape: list[int]
    datatype: str
    data: list[float | str | None]


class InferResponse(BaseModel):
    """The outputs, and the model that made them as `model_version`."""

    model_name: str
    model_version: str
    id: str | None = None
    outputs: list[OutputTensor]


_REQUEST = TypeAdapter(InferRequest)
KNOWN = frozenset({*InferRequest.model_fields, *Tensor.model_fields, *WantedOutput.model_fields})


def metadata(loaded: LoadedModel) -> dict[str, Any]:
    """The model's inputs and outputs."""
    names = loaded.model.feature_names_
    return {
        "name": MODEL_NAME,
        "versions": [loaded.model_id],
        "platform": "churn",
        "inputs": [{"name": name, "datatype": "FP64", "shape": [-1]} for name in names],
        "outputs": [{"name": n, "datatype": _datatype(n), "shape": [-1]} for n in OUTPUTS],
    }


def inference_of(
    loaded: LoadedModel, body: bytes, header_length: str | None, max_rows: int
) -> tuple[InferRequest, FeatureTask]:
    """A request, and its rows; tensors may follow the JSON as raw bytes."""
    request, raw = _parsed(body, header_length)
    wanted = {one.name for one in request.outputs or ()}
    if not wanted <= set(OUTPUTS):
        raise ProblemError(400, "unknown-output", f"Outputs must be among {', '.join(OUTPUTS)}.")
    return request, _rows(loaded, request, raw, max_rows)


def inferred(
    loaded: LoadedModel, request: InferRequest, scores: list[dict[str, Any]]
) -> dict[str, Any]:
    """The answer to a request, from the scores of its rows."""
    wanted = [one.name for one in request.outputs or ()] or list(OUTPUTS)
    answer = {
        "model_name": MODEL_NAME,
        "model_version": loaded.model_id,
        "outputs": [_output(name, scores) for name in wanted],
    }
    return answer | ({} if request.id is None else {"id": request.id})


def _parsed(body: bytes, header_length: str | None) -> tuple[InferRequest, memoryview]:
    length = len(body)
    if header_length is not None:
        if not header_length.isdecimal() or int(header_length[:9]) > length:
            raise ProblemError(
                400, "wrong-length", f"{BINARY_HEADER} must be the length of the JSON."
            )
        length = int(header_length[:9])
    try:
        request = _REQUEST.validate_json(body[:length])
    except ValidationError as failure:
        problem = invalid(failure, KNOWN)
        raise ProblemError(400, problem.name, problem.detail, errors=problem.errors) from None
    return request, memoryview(body)[length:]


def _rows(
    loaded: LoadedModel, request: InferRequest, raw: memoryview, max_rows: int
) -> FeatureTask:
    tensors: dict[str, Any] = {}
    for place, tensor in enumerate(request.inputs):
        if tensor.name in tensors:
            raise _wrong(place, "each input must occur once")
        tensors[tensor.name], raw = _values(tensor, place, raw)
    status = tensors.pop("status", None)
    names = loaded.model.feature_names_
    if ONE_TENSOR in tensors and len(tensors) == 1:
        matrix = tensors[ONE_TENSOR]
        if matrix.ndim != 2 or matrix.shape[1] != len(names):
            raise ProblemError(
                400, "wrong-shape", f"`features` must have the shape [n, {len(names)}]."
            )
    else:
        check_names(loaded, list(tensors))
        columns = [tensors[name].reshape(-1) for name in names]
        if len({len(values) for values in columns}) > 1:
            raise ProblemError(400, "wrong-shape", "Inputs must have the same rows.")
        matrix = np.column_stack(columns)
    if len(matrix) > max_rows:
        raise ProblemError(400, "wrong-shape", f"Inputs must have at most {max_rows:,} rows.")
    return FeatureTask(loaded, matrix, _statuses(status, len(matrix)))


def _values(tensor: Tensor, place: int, raw: memoryview) -> tuple[Any, memoryview]:
    """The array of a tensor, and what remains of the raw bytes."""
    if any(size < 0 for size in tensor.shape):
        raise _wrong(place, "a shape must not be negative")
    if tensor.name == "status":
        return _texts(tensor, place, raw)
    if tensor.datatype not in TYPES:
        raise _wrong(place, f"the datatype must be one of {', '.join(TYPES)}")
    kind, size = np.dtype(TYPES[tensor.datatype]), int(np.prod(tensor.shape, dtype=object))
    if tensor.data is None:
        length = size * kind.itemsize
        if tensor.parameters.get(_SIZE) != length or length > len(raw):
            raise _wrong(place, "data must be present, as JSON or as raw bytes of that shape")
        values = np.frombuffer(raw[:length], kind).astype(np.float64)
        return values.reshape(tensor.shape), raw[length:]
    flat = _flat(tensor.data)
    if len(flat) != size or not all(_is_number(value) for value in flat):
        raise _wrong(place, "data must be as many numbers as the shape says")
    return np.array(flat, dtype=np.float64).reshape(tensor.shape), raw


def _texts(tensor: Tensor, place: int, raw: memoryview) -> tuple[list[Any], memoryview]:
    """The texts of a tensor; in raw bytes each follows its length in four bytes."""
    if tensor.data is not None:
        return _flat(tensor.data), raw
    length = tensor.parameters.get(_SIZE)
    if not isinstance(length, int) or not 0 <= length <= len(raw):
        raise _wrong(place, "data must be present, as JSON or as raw bytes")
    own, texts = raw[:length], []
    while len(own) >= 4:
        end = 4 + int.from_bytes(own[:4], "little")
        texts.append(bytes(own[4:end]).decode("utf-8", "replace"))
        own = own[end:]
    return texts, raw[length:]


def _flat(data: list[Any]) -> list[Any]:
    """The values of a tensor, which may be nested by rows."""
    if not any(isinstance(value, list) for value in data):
        return data
    return [value for row in data for value in (row if isinstance(row, list) else [row])]


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))


def _statuses(given: Any, count: int) -> Any:
    if given is None:
        return np.full(count, "eligible", dtype=object)
    if len(given) != count or not all(isinstance(v, str) and v in STATUSES for v in given):
        raise ProblemError(
            400, "wrong-status", f"status must be one of {', '.join(STATUSES)} per row."
        )
    return np.array(given, dtype=object)


def _output(name: str, scores: list[dict[str, Any]]) -> dict[str, Any]:
    data = [score[name] for score in scores]
    return {"name": name, "shape": [len(data)], "datatype": _datatype(name), "data": data}


def _datatype(name: str) -> str:
    return "BYTES" if name == "probability_source" else "FP64"


def _wrong(place: int, detail: str) -> ProblemError:
    errors: list[Mapping[str, str]] = [{"pointer": f"#/inputs/{place}", "detail": detail}]
    return ProblemError(400, "wrong-input", "An input is not usable.", errors=errors)
