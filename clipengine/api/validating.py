"""A body or a query held against its type: the value, or every fault of it beside the fields that are sound.

The sound fields are what lets the rest be judged too: a wrong `priority` does not hide that `end_seconds` lies past the
recording's end.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails
from starlette.datastructures import QueryParams

from clipengine.api.faults import summary
from clipengine.api.requests import B, Q
from clipengine.clips.request import half_character
from clipengine.errors import InvalidRequest, InvalidWebhookUrl, MalformedRequest, RequestError

M = TypeVar("M", bound=BaseModel)

_WHOLE = "Send whole characters: in JSON one beyond U+FFFF is itself, or both of its halves (\\ud83d\\ude00)."
_CORRECT = "Correct this value: the API reference of this installation (/docs/reference) says what it may be."


@dataclass(frozen=True)
class Checked(Generic[M]):
    """`value` where nothing is wrong, otherwise None with the `error`; `given` has the sound fields by name."""

    value: M | None
    given: Mapping[str, Any]
    error: RequestError | None = None


def validate_body(model: type[B], value: Any) -> B:
    """The body. Raises what `check_body` finds."""
    checked = check_body(model, value)
    if checked.value is None:
        assert checked.error is not None
        raise checked.error
    return checked.value


def check_body(model: type[B], value: Any) -> Checked[B]:
    """Every fault has its JSON pointer; MalformedRequest where the value is no object at all."""
    if not isinstance(value, dict):
        return Checked(None, {}, MalformedRequest("The body is not a JSON object"))
    try:
        body = model.model_validate(value)
    except ValidationError as error:
        found = error.errors()
        listed = [_fault(model, fault, pointer=pointer(*fault["loc"])) for fault in found]
        # One kind of fault has its own code; where several meet, the list tells them apart.
        kind = InvalidWebhookUrl if all(fault["type"] == "webhook_url" for fault in found) else InvalidRequest
        said = summary([f"{each['pointer'][1:]}: {each['detail']}" for each in listed])
        return Checked(None, _sound(model, value, found), kind(said, errors=listed))
    return Checked(body, body.model_dump())


def check_query(model: type[Q], params: QueryParams) -> Checked[Q]:
    """Every fault names its `parameter`."""
    values: dict[str, str] = {}
    listed: list[dict[str, str]] = []
    for name, value in params.multi_items():
        if name in values:
            listed.append({"detail": "is given twice", "parameter": name, "hint": "Give it once."})
        values[name] = value
    found: list[ErrorDetails] = []
    try:
        query = model.model_validate(values)
    except ValidationError as error:
        found = error.errors()
        listed += [_fault(model, fault, parameter=str(fault["loc"][0])) for fault in found]
    if listed:
        said = summary([f"{each['parameter']}: {each['detail']}" for each in listed])
        return Checked(None, _sound(model, values, found), InvalidRequest(said, errors=listed))
    return Checked(query, query.model_dump())


def pointer(*path: str | int) -> str:
    """A JSON pointer (RFC 6901). Pydantic marks a faulty key of a map with a last part `[key]`, which is dropped."""
    parts = [str(part).replace("~", "~0").replace("/", "~1") for part in path if part != "[key]"]
    return "".join(f"/{part}" for part in parts)


def _fault(model: type[BaseModel], fault: ErrorDetails, **place: str) -> dict[str, str]:
    """One fault of a value: what, where, its code and what to do."""
    kind = fault["type"]
    if kind == "missing":
        return {"detail": "is required", **place, "code": InvalidRequest.code, "hint": "Add it."}
    if kind == "extra_forbidden":
        near = difflib.get_close_matches(str(fault["loc"][-1])[:100].lower(), list(model.model_fields), n=1)
        hint = f"Did you mean `{near[0]}`?" if near else "Leave it out."
        what = "parameter" if "parameter" in place else "field"
        return {"detail": f"is not a known {what}", **place, "code": InvalidRequest.code, "hint": hint}
    detail = re.sub(r"^\w+ should", "must", fault["msg"])
    # How it was found out is of no use to who has sent it.
    detail = re.sub(r" after validation, not \d+$|, unable to parse string as an? \w+$", "", detail)
    if kind == "webhook_url":
        return {"detail": detail, **place, "code": InvalidWebhookUrl.code, "hint": InvalidWebhookUrl.default_hint}
    if kind == "string_unicode":
        half = half_character(str(fault["input"]))
        return {
            "detail": f"has {half}" if half else "must be valid Unicode",
            **place,
            "code": InvalidRequest.code,
            "hint": _WHOLE,
        }
    hint = fault.get("ctx", {}).get("hint", _CORRECT)
    return {"detail": detail, **place, "code": InvalidRequest.code, "hint": hint}


def _sound(model: type[BaseModel], values: Mapping[str, Any], found: Iterable[ErrorDetails]) -> dict[str, Any]:
    """The fields in which no fault was found, validated, and the defaults of those that were not given."""
    faulty = {fault["loc"][0] for fault in found if fault["loc"]}
    sound: dict[str, Any] = {}
    for name, adapter in _adapters(model).items():
        if name in faulty:
            continue
        if name in values:
            sound[name] = adapter.validate_python(values[name])
        elif not model.model_fields[name].is_required():
            sound[name] = model.model_fields[name].default
    return sound


@cache
def _adapters(model: type[BaseModel]) -> dict[str, TypeAdapter[Any]]:
    """One validator for each field, as strict as its model."""
    config = ConfigDict(strict=model.model_config.get("strict", False))
    return {name: TypeAdapter(field.rebuild_annotation(), config=config) for name, field in model.model_fields.items()}
