"""`/v1/openapi.json`: the API's description (OpenAPI 3.1), made from the operations and their types."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

import clipengine
from clipengine.api.http.operation import Answer, Operation, Public, json_response
from clipengine.api.http.problems import PROBLEM_TYPE
from clipengine.api.http.requests.cues import TranscriptCue
from clipengine.api.http.requests.fields import LANGUAGE, NoQuery
from clipengine.api.reference.examples import example_of
from clipengine.api.reference.schemas import REF, check_keys, component_schemas, page_name, reference_to, webhooks
from clipengine.clips.texts.language_tags import MAX_LANGUAGE_CHARACTERS
from clipengine.errors import (
    Busy,
    ClipEngineError,
    Forbidden,
    HeadersTooLarge,
    IdempotencyKeyReused,
    InvalidRecordingUrl,
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
from clipengine.objects.recording import IngestObject

_JSON = "application/json"
_UPLOADED = {_JSON: {"schema": {"type": "array", "minItems": 1, "items": reference_to(TranscriptCue.__name__)}}}
_STORE = (StorageDenied, StorageUnavailable)
_PROTOCOL = (MalformedRequest, HeadersTooLarge)  # of every route: the request line and the headers come first
_IDEMPOTENCY_KEY = {
    "type": "string",
    "minLength": 1,
    "maxLength": 255,
    "pattern": "^[!-~]+$",
    "description": "A request that is repeated with the same key takes effect once, and has the same response.",
}
_DESCRIPTION = """\
Slices any completed recording into an exact clip. Seconds are numbers on the recording's timeline, times are RFC 3339
in UTC with milliseconds, errors are `application/problem+json` with a stable `code`. Unknown fields and parameters are
refused. More keys may appear in answers: ignore those that you do not know.
Every response has an `X-Request-Id`: that of the request (8 to 64 letters, digits, `.`, `_` or `-`), or a new one. A
clip keeps the id of the request that created it as `request_id`. A `traceparent` (W3C Trace Context) is continued.
"""


_ADDRESS = "/v1/openapi.json"
_TAGS = {
    "recordings": "Recordings, their transcripts, previews and clips.",
    "uploads": "Uploads of recordings that resume.",
    "clips": "Clips, their files and their links.",
    "search": "Search in all transcripts.",
    "transcriptions": "Jobs that make the transcript of a recording.",
    "profiles": "Profiles of the settings.",
    "watermarks": "Watermarks of the settings.",
    "webhooks": "Endpoints for events.",
    "deliveries": "Attempts to send an event to an endpoint.",
    "events": "A stream of events.",
    "ingest": "Events of other systems.",
    "batches": "What requests for many clips make or delete in the background.",
    "rules": "Rules, which make clips of recordings by themselves.",
    "keys": "API keys.",
    "me": "The caller.",
    "users": "Users and what they may do.",
    "sessions": "Sessions of users.",
    "audit": "Who has changed or downloaded what.",
    "shares": "Links to all clips.",
    "status": "State of the installation.",
    "storage": "What fills the store.",
    "settings": "Settings of the installation.",
    "health": "Checks without a key.",
}


def route(document: Callable[[], Mapping[str, Any]]) -> Route:
    async def openapi(request: Request) -> Response:
        return await run_in_threadpool(lambda: json_response(document()))

    return Route(_ADDRESS, Public(openapi))


def redirect() -> Route:
    """Return the route `/openapi.json`, where other servers have their document."""

    async def elsewhere(request: Request) -> Response:
        return RedirectResponse(_ADDRESS, 308)

    return Route(_ADDRESS.removeprefix("/v1"), Public(elsewhere))


def describe(operations: Sequence[Operation]) -> dict[str, Any]:
    paths: dict[str, dict[str, Any]] = {}
    names = _operation_ids(operations)
    for operation in operations:
        described = {"operationId": names[operation.method, operation.path], **_operation(operation)}
        paths.setdefault(operation.path, {})[operation.method.lower()] = described
    paths["/v1/ingest/{source}"] = {"post": _ingest()}
    paths["/livez"] = {"get": _health("Whether the process answers", "livez", (200,), "For supervisors.")}
    paths["/readyz"] = {"get": _health("Whether the engine can work", "readyz", (200, 503), "For load balancers.")}
    schemas = component_schemas(operations)
    _add_examples(paths, schemas)
    shared = _share_responses(paths)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "clipengine",
            "version": clipengine.__version__,
            "description": _DESCRIPTION,
            "contact": {"name": "The operator of this server"},
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"key": []}],
        "tags": [{"name": name, "description": text} for name, text in _TAGS.items()],
        "paths": paths,
        "webhooks": webhooks(),
        "components": {
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "An API key of the engine."}
            },
            "schemas": schemas,
            "responses": shared,
        },
    }


def _operation(operation: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {
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
        schema = reference_to(operation.body.__name__)
        described["requestBody"] = {"required": True, "content": {_JSON: {"schema": schema}}}
    if operation.uploads:
        content = {each: _UPLOADED.get(each, {}) for each in operation.uploads}
        described["requestBody"] = {"required": True, "content": content}
    for answer in operation.answers:
        described["responses"][str(answer.status)] = _answer(answer)
    described["responses"] |= _problems(_errors(operation))
    return described


def _problems(codes_by_status: Mapping[int, Sequence[str]]) -> dict[str, Any]:
    """Return the error responses."""
    content = {PROBLEM_TYPE: {"schema": reference_to("ProblemObject")}}
    return {
        str(status): {"description": " or ".join(f"`{code}`" for code in codes), "content": content}
        for status, codes in codes_by_status.items()
    }


def _operation_ids(operations: Sequence[Operation]) -> dict[tuple[str, str], str]:
    """Return the ids by method and path: the names of the handlers, for the shortest path of each.

    A longer path has the name of its parent in addition, such as `list_clips_of_recording`.
    """
    found: dict[tuple[str, str], str] = {}
    for each in sorted(operations, key=lambda each: (each.path.count("/"), each.path)):
        name: str = getattr(each.handler, "func", each.handler).__name__
        if name in found.values():
            name = f"{name}_of_{each.path.split('/')[2].removesuffix('s')}"
        found[each.method, each.path] = name
    return found


def _add_examples(paths: Mapping[str, Mapping[str, Any]], schemas: Mapping[str, Any]) -> None:
    """Add an example to each successful response that has a schema."""
    for operation in (each for methods in paths.values() for each in methods.values()):
        for status, response in operation["responses"].items():
            for content in response.get("content", {}).values() if status.startswith("2") else ():
                if "schema" in content:
                    content["example"] = example_of(content["schema"], schemas)


def _share_responses(paths: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Replace the error responses of all operations by references to one map, and return the map."""
    shared: dict[str, Any] = {}
    for operation in (each for methods in paths.values() for each in methods.values()):
        for status, response in operation["responses"].items():
            if PROBLEM_TYPE in response.get("content", {}):
                name = "_or_".join(re.findall(r"`(\w+)`", response["description"]))
                shared[name] = response
                operation["responses"][status] = {"$ref": f"#/components/responses/{name}"}
    return dict(sorted(shared.items()))


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "description": _path_text(name), "schema": _path_schema(name)}
        for name in re.findall(r"\{(\w+)\}", operation.path)
    ]
    query = operation.query.model_json_schema(ref_template=REF)
    check_keys(query)
    for name, schema in query.get("properties", {}).items():
        schema = {key: value for key, value in schema.items() if key != "title"}
        required = name in query.get("required", ())
        more: dict[str, Any] = {"description": schema["description"]} if "description" in schema else {}
        if schema.get("type") == "object":
            more |= {"style": "deepObject", "explode": True}
        found.append({"name": name, "in": "query", "required": required, **more, "schema": schema})
    headers = {**operation.headers, **({"Idempotency-Key": _IDEMPOTENCY_KEY} if operation.creates else {})}
    for name, schema in headers.items():
        place = {"name": name, "in": "header", "required": False, "description": schema["description"]}
        found.append({**place, "schema": {key: value for key, value in schema.items() if key != "description"}})
    return found


def _path_schema(name: str) -> dict[str, Any]:
    language = {"maxLength": MAX_LANGUAGE_CHARACTERS, **LANGUAGE}
    return {"type": "string", **(language if name == "language" else {})}


def _path_text(name: str) -> str:
    return f"Id of the {name.removesuffix('_id')}." if name.endswith("_id") else f"The {name}."


def _answer(answer: Answer) -> dict[str, Any]:
    described: dict[str, Any] = {"description": answer.description}
    if answer.model is not None:
        schema = reference_to(page_name(answer.model) if answer.page else answer.model.__name__)
        if answer.other is not None:
            schema = {"anyOf": [schema, reference_to(answer.other.__name__)]}
        described["content"] = {answer.media_type or _JSON: {"schema": schema}}
    elif answer.media_type is not None:
        described["content"] = {each: {} for each in answer.media_type.split(", ")}
    return described


def _errors(operation: Operation) -> dict[int, list[str]]:
    """Return the error codes of an operation by status, including those common to its kind."""
    kinds: list[type[ClipEngineError]] = [*_PROTOCOL, Unauthorized, Forbidden, RateLimited, StorageUnavailable]
    kinds += operation.errors
    if operation.takes_json:
        kinds += [PayloadTooLarge, UnsupportedContentType, InvalidRequest]
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
    body = (PayloadTooLarge, UnsupportedContentType, InvalidRequest, InvalidRecordingUrl, Busy)
    statuses = _by_status([*_PROTOCOL, NotFound, InvalidSignature, *body, *_STORE])
    answered = "The answer to a question of the sender, such as a test of this URL."
    responses: dict[str, Any] = {"200": {"description": answered}}
    schema = reference_to(IngestObject.__name__)
    responses["202"] = {"description": "The event was handled.", "content": {_JSON: {"schema": schema}}}
    return {
        "operationId": "receive_event",
        "summary": "Receive an event about a finished recording",
        "description": "Sent by the service `source`, and verified by the scheme of that service.",
        "tags": ["ingest"],
        "security": [],
        "parameters": [
            {
                "name": "source",
                "in": "path",
                "required": True,
                "description": "Name of the system in `[ingest]` of the settings.",
                "schema": {"type": "string", "enum": [*NAMES]},
            }
        ],
        "requestBody": {"required": True, "content": {_JSON: {"schema": {"type": "object"}}}},
        "responses": {**responses, **_problems(statuses)},
    }


def _health(summary: str, name: str, statuses: Sequence[int], description: str) -> dict[str, Any]:
    schema = reference_to("HealthObject")
    responses = {
        str(status): {"description": "ok" if status == 200 else "failing", "content": {_JSON: {"schema": schema}}}
        for status in statuses
    }
    described = {"operationId": name, "summary": summary, "description": description, "tags": ["health"]}
    return {**described, "security": [], "responses": responses | _problems(_by_status(_PROTOCOL))}
