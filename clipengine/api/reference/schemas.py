"""Schemas of the OpenAPI document: for types, lists, error codes and webhooks.

They are written as generators of clients understand them: a field of a request that has a default is optional only
without the keyword `default` (openapi-typescript requires it otherwise), so that the default is `x-default`. Objects
may have further keys, as in every schema that does not say otherwise: with `additionalProperties`, openapi-typescript
would accept a misspelt key.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, get_args

from pydantic import TypeAdapter

from clipengine.api.http.operation import Operation
from clipengine.api.http.requests.cues import TranscriptCue
from clipengine.api.reference.descriptions import describe_properties
from clipengine.basis.events import EventType, ExpiryReason
from clipengine.errors import ClipEngineError
from clipengine.objects.clip import ClipObject
from clipengine.objects.installation import HealthObject
from clipengine.objects.marker import MarkersObject
from clipengine.objects.problem import ProblemObject
from clipengine.objects.recording import IngestObject, RecordingObject
from clipengine.objects.rule import RuleObject
from clipengine.objects.storage import StorageLimitObject
from clipengine.objects.transcript import TranscriptionObject, TranscriptObject
from clipengine.objects.webhook import WebhookObject

Schema = dict[str, Any]

REF = "#/components/schemas/{model}"
_ERROR_CODE = "ErrorCode"
_MODE: Literal["validation"] = "validation"
_WITH_CODES = ("ErrorObject", "FaultObject", "ProblemObject")
_SUBJECTS: dict[str, type[Any]] = {
    "clip": ClipObject,
    "recording": RecordingObject,
    "transcript": TranscriptionObject,
    "transcript.stored": TranscriptObject,
    "marker": MarkersObject,
    "endpoint": WebhookObject,
    "storage": StorageLimitObject,
    "rule": RuleObject,
}
_LINKS = ("share_url", "download_url")


def reference_to(name: str) -> Schema:
    return {"$ref": REF.format(model=name)}


def page_name(model: type[Any]) -> str:
    """Return the name of the schema of a page of a list."""
    return f"{model.__name__.removesuffix('Object')}Page"


def component_schemas(operations: Sequence[Operation]) -> dict[str, Schema]:
    bodies = [operation.body for operation in operations if operation.takes_json]
    answers = [answer for operation in operations for answer in operation.answers if answer.model]
    models: dict[type[Any], None] = dict.fromkeys(bodies)
    models |= dict.fromkeys([model for each in answers for model in (each.model, each.other) if model])
    models |= dict.fromkeys([IngestObject, ProblemObject, HealthObject, TranscriptCue, *_SUBJECTS.values()])
    adapters = [(model.__name__, _MODE, TypeAdapter[Any](model)) for model in models]
    _, document = TypeAdapter.json_schemas(adapters, ref_template=REF)
    schemas: dict[str, Schema] = document["$defs"]
    _require_all(schemas["ClipResult"])
    for schema in schemas.values():
        check_keys(schema)
        if schema.get("additionalProperties") is True:
            del schema["additionalProperties"]
        for field in schema.get("properties", {}).values():
            if "default" in field:
                field["x-default"] = field.pop("default")
    for name in _WITH_CODES:
        schemas[name]["properties"]["code"] = reference_to(_ERROR_CODE)
    schemas[_ERROR_CODE] = {"type": "string", "enum": _codes(), "description": "Stable. New codes may be added."}
    schemas |= {page_name(each.model): _page(each.model) for each in answers if each.model and each.page}
    schemas |= {_event_name(event): _event(event) for event in get_args(EventType)}
    payload = schemas["DeliveryPayloadObject"]["properties"]["payload"]
    payload["oneOf"] = [reference_to(_event_name(event)) for event in get_args(EventType)]
    for name, schema in schemas.items():
        describe_properties(name, schema)
    return schemas


def check_keys(node: object) -> None:
    """Limit the keys of maps by `propertyNames`. A key that matches none of `patternProperties` may have any value."""
    for each in node if isinstance(node, list) else ():
        check_keys(each)
    if isinstance(node, dict):
        for pattern, values in node.pop("patternProperties", {}).items():
            node["propertyNames"] = {**node.get("propertyNames", {}), "pattern": pattern}
            node["additionalProperties"] = values
        for each in node.values():
            check_keys(each)


def _require_all(schema: Schema) -> None:
    """Make all members of an object required. Its defaults are for stored objects; a response has all of them."""
    schema["required"] = [*schema["properties"]]
    for field in schema["properties"].values():
        field.pop("default", None)


def webhooks() -> dict[str, Any]:
    """Return the requests that the engine sends to webhook endpoints."""
    return {
        event: {
            "post": {
                "operationId": f"on_{event.replace('.', '_')}",
                "summary": f"`{event}`",
                "tags": ["webhooks"],
                "security": [],
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": reference_to(_event_name(event))}},
                },
                "responses": {"2XX": {"description": "Received. Anything else is tried again."}},
            }
        }
        for event in get_args(EventType)
    }


def _page(model: type[Any]) -> Schema:
    return {
        "type": "object",
        "description": "One page of a list.",
        "required": ["data", "has_more", "next_cursor"],
        "properties": {
            "data": {"type": "array", "items": reference_to(model.__name__)},
            "has_more": {"type": "boolean"},
            "next_cursor": {"type": ["string", "null"], "description": "For `cursor` of the next request."},
        },
    }


def _event_name(event: str) -> str:
    return "".join(part.capitalize() for part in event.split(".")) + "Event"


def _event(event: str) -> Schema:
    """Return the schema of the body of a webhook."""
    data = reference_to((_SUBJECTS.get(event) or _SUBJECTS[event.partition(".")[0]]).__name__)
    if event == "clip.ready":
        links = {name: {"type": ["string", "null"], "description": "With `webhooks.links`."} for name in _LINKS}
        data = {"allOf": [data, {"type": "object", "properties": links}]}
    if event == "clip.expired":
        reason = {"enum": [*get_args(ExpiryReason)], "description": "Its time, or `retention.max_clips_bytes`."}
        data = {"allOf": [data, {"type": "object", "properties": {"reason": reason}}]}
    moment = {"type": "string", "format": "date-time"}
    fields = {"event": {"const": event}, "data": data, "organisation_id": {"type": "string"}, "timestamp": moment}
    properties = {**fields, "id": {"type": "string", "description": "The same for each attempt."}}
    text = f"The body of the webhook `{event}`."
    return {"type": "object", "description": text, "required": [*properties], "properties": properties}


def _codes() -> list[str]:
    kinds: list[type[ClipEngineError]] = [ClipEngineError]
    for kind in kinds:
        kinds += kind.__subclasses__()
    return sorted({kind.code for kind in kinds})
