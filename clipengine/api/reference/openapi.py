"""`/v1/openapi.json`: the API's description (OpenAPI 3.1), made from the operations and their types."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

import clipengine
from clipengine.api.http.operation import Answer, Operation, Public, json_response
from clipengine.api.http.problems import PROBLEM_TYPE
from clipengine.api.http.requests import NoQuery
from clipengine.api.http.responses import HealthObject, IngestObject, ProblemObject
from clipengine.errors import (
    ClipEngineError,
    Forbidden,
    IdempotencyKeyReused,
    InvalidRequest,
    InvalidSignature,
    MalformedRequest,
    NotFound,
    PayloadTooLarge,
    RateLimited,
    StorageDenied,
    StorageUnavailable,
    Unauthorized,
    UnsupportedContentType,
)
from clipengine.ingest.sources import NAMES

_REF = "#/components/schemas/{model}"
_JSON = "application/json"
_STORE = (StorageDenied, StorageUnavailable)
_DESCRIPTION = """\
Slices any completed recording into an exact clip. Seconds are numbers on the recording's timeline, times are RFC 3339
in UTC with milliseconds, errors are `application/problem+json` with a stable `code`. Unknown fields and parameters are
refused. More keys may appear in answers: ignore those that you do not know.
Every response has an `X-Request-Id`: that of the request (8 to 64 letters, digits, `.`, `_` or `-`), or a new one. A
clip keeps the id of the request that created it as `request_id`. A `traceparent` (W3C Trace Context) is continued.
"""


def route(document: Mapping[str, Any]) -> Route:
    async def openapi(request: Request) -> Response:
        return json_response(document)

    return Route("/v1/openapi.json", Public(openapi))


def describe(operations: Sequence[Operation]) -> dict[str, Any]:
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation)
    paths["/v1/ingest/{source}"] = {"post": _ingest()}
    paths["/livez"] = {"get": _health("Whether the process answers", "livez", (200,))}
    paths["/readyz"] = {"get": _health("Whether the engine can work", "readyz", (200, 503))}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "clipengine",
            "version": clipengine.__version__,
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"key": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "An API key of the engine."}
            },
            "schemas": _schemas(operations),
        },
    }


def _schemas(operations: Sequence[Operation]) -> dict[str, Any]:
    bodies = [operation.body for operation in operations if operation.takes_json]
    answers = [answer.model for operation in operations for answer in operation.answers if answer.model]
    models: dict[type[BaseModel], None] = dict.fromkeys([*bodies, *answers, IngestObject, ProblemObject, HealthObject])
    _, document = models_json_schema([(model, "validation") for model in models], ref_template=_REF)
    schemas: dict[str, Any] = document["$defs"]
    return schemas


def _operation(operation: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": _operation_id(operation),
        "summary": operation.summary,
        "description": f"Needs the scope `{operation.scope}`.",
        "tags": [operation.path.split("/")[2]],
        "security": [{"key": []}],
        "x-scope": operation.scope,
        "responses": {},
    }
    if parameters := _parameters(operation):
        described["parameters"] = parameters
    if operation.takes_json:
        schema = {"$ref": _REF.format(model=operation.body.__name__)}
        described["requestBody"] = {"required": True, "content": {_JSON: {"schema": schema}}}
    if operation.uploads:
        described["requestBody"] = {"required": True, "content": {each: {} for each in operation.uploads}}
    for answer in operation.answers:
        described["responses"][str(answer.status)] = _answer(answer)
    described["responses"] |= _problems(_errors(operation))
    return described


def _problems(codes_by_status: Mapping[int, Sequence[str]]) -> dict[str, Any]:
    """Return the error responses."""
    content = {PROBLEM_TYPE: {"schema": {"$ref": _REF.format(model="ProblemObject")}}}
    return {
        str(status): {"description": " or ".join(f"`{code}`" for code in codes), "content": content}
        for status, codes in codes_by_status.items()
    }


def _operation_id(operation: Operation) -> str:
    parts = [part for part in re.split(r"[/{}]+", operation.path.removeprefix("/v1")) if part]
    return "_".join([operation.method.lower(), *parts])


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"\{(\w+)\}", operation.path)
    ]
    query = operation.query.model_json_schema(ref_template=_REF)
    for name, schema in query.get("properties", {}).items():
        schema = {key: value for key, value in schema.items() if key != "title"}
        required = name in query.get("required", ())
        style = {"style": "deepObject", "explode": True} if schema.get("type") == "object" else {}
        found.append({"name": name, "in": "query", "required": required, **style, "schema": schema})
    if operation.creates:
        schema = {"type": "string", "minLength": 1, "maxLength": 255}
        found.append({"name": "Idempotency-Key", "in": "header", "required": False, "schema": schema})
    return found


def _answer(answer: Answer) -> dict[str, Any]:
    described: dict[str, Any] = {"description": answer.description}
    if answer.model is not None:
        schema: dict[str, Any] = {"$ref": _REF.format(model=answer.model.__name__)}
        if answer.page:
            schema = {
                "type": "object",
                "required": ["data", "has_more", "next_cursor"],
                "properties": {
                    "data": {"type": "array", "items": schema},
                    "has_more": {"type": "boolean"},
                    "next_cursor": {"type": ["string", "null"]},
                },
            }
        described["content"] = {answer.media_type or _JSON: {"schema": schema}}
    elif answer.media_type is not None:
        described["content"] = {each: {} for each in answer.media_type.split(", ")}
    return described


def _errors(operation: Operation) -> dict[int, list[str]]:
    """Return the error codes of an operation by status, including those common to its kind."""
    kinds: list[type[ClipEngineError]] = [Unauthorized, Forbidden, RateLimited, StorageUnavailable, *operation.errors]
    if operation.takes_json:
        kinds += [MalformedRequest, PayloadTooLarge, UnsupportedContentType, InvalidRequest]
    if operation.query is not NoQuery:
        kinds.append(InvalidRequest)
    if operation.creates:
        kinds += [InvalidRequest, IdempotencyKeyReused]
    return _by_status(kinds)


def _by_status(kinds: Sequence[type[ClipEngineError]]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for kind in kinds:
        codes = found.setdefault(kind.status, [])
        if kind.code not in codes:
            codes.append(kind.code)
    return dict(sorted(found.items()))


def _ingest() -> dict[str, Any]:
    """Describe the route for events of other systems. Each has its own body and its own scheme instead of a key."""
    statuses = _by_status([NotFound, InvalidSignature, MalformedRequest, PayloadTooLarge, InvalidRequest, *_STORE])
    answered = "The answer to a question of the sender, such as a test of this URL."
    responses: dict[str, Any] = {"200": {"description": answered}}
    schema = {"$ref": _REF.format(model=IngestObject.__name__)}
    responses["202"] = {"description": "The event was handled.", "content": {_JSON: {"schema": schema}}}
    return {
        "operationId": "post_ingest_source",
        "summary": "Receive an event about a finished recording",
        "description": "Sent by the service `source`, and verified by the scheme of that service.",
        "tags": ["ingest"],
        "security": [],
        "parameters": [
            {"name": "source", "in": "path", "required": True, "schema": {"type": "string", "enum": [*NAMES]}}
        ],
        "requestBody": {"required": True, "content": {_JSON: {"schema": {"type": "object"}}}},
        "responses": {**responses, **_problems(statuses)},
    }


def _health(summary: str, name: str, statuses: Sequence[int]) -> dict[str, Any]:
    schema = {"$ref": _REF.format(model="HealthObject")}
    responses = {
        str(status): {"description": "ok" if status == 200 else "failing", "content": {_JSON: {"schema": schema}}}
        for status in statuses
    }
    return {"operationId": name, "summary": summary, "tags": ["health"], "security": [], "responses": responses}
