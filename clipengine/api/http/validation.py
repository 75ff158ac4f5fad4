"""Check a body or a query against its type: return the value, or raise every fault of it in one error."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from typing import Any, Literal, TypeVar
from urllib.parse import parse_qsl

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from clipengine.api.http.request_errors import MAX_LISTED, summary
from clipengine.api.http.requests import B, Q
from clipengine.clips.request import lone_surrogate
from clipengine.errors import InvalidRequest, InvalidWebhookUrl, MalformedRequest

MAX_PARAMETERS = 50  # of a query
_NAME_CHARACTERS = 100  # of a name that a client chose, in an answer

_WHOLE = "Send whole characters: in JSON one beyond U+FFFF is itself, or both of its halves (\\ud83d\\ude00)."
_CORRECT = "Correct this value: the API reference of this installation (/docs/reference) says what it may be."

M = TypeVar("M", bound=BaseModel)
_Place = Literal["pointer", "parameter"]
_Fault = dict[str, str]


def validate_body(model: type[B], value: Any) -> B:
    """Return the body. Raise MalformedRequest if it is not an object, InvalidRequest with each fault's pointer."""
    if not isinstance(value, dict):
        raise MalformedRequest("The body is not a JSON object")
    return _validated(model, value, "pointer")


def validate_query(model: type[Q], query: str) -> Q:
    """Return the parameters of a query string. Raise InvalidRequest with the name of each faulty parameter."""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=MAX_PARAMETERS)
    except ValueError:
        hint = f"Send at most {MAX_PARAMETERS}."
        raise InvalidRequest(f"The query has more than {MAX_PARAMETERS} parameters", hint=hint) from None
    values: dict[str, str] = {}
    repeated: list[_Fault] = []
    for name, value in pairs:
        if name in values:
            repeated.append({"detail": "is given twice", "parameter": _excerpt(name), "hint": "Give it once."})
        values[name] = value
    return _validated(model, values, "parameter", repeated)


def pointer(*path: str | int) -> str:
    """Return a JSON pointer (RFC 6901), with long names cut.

    Pydantic marks a faulty key of a map with a last part `[key]`, which is dropped.
    """
    parts = [_excerpt(str(part)).replace("~", "~0").replace("/", "~1") for part in path if part != "[key]"]
    return "".join(f"/{part}" for part in parts)


def _excerpt(name: str) -> str:
    return name if len(name) <= _NAME_CHARACTERS else f"{name[:_NAME_CHARACTERS]}…"


def _validated(model: type[M], values: dict[str, Any], place: _Place, found: Sequence[_Fault] = ()) -> M:
    """Return the value. Raise InvalidRequest with the faults in `found` and those of the values, MAX_LISTED at most."""
    listed, total = [*found], len(found)
    value: M | None = None
    kinds: set[str] = set()
    try:
        value = model.model_validate(values)
    except ValidationError as error:
        details = error.errors(include_url=False)
        total += len(details)
        kinds = {each["type"] for each in details}
        listed += [_fault(model, each, place) for each in details[:MAX_LISTED]]
    if value is not None and not listed:
        return value
    # One kind of fault has its own code; where several meet, the list tells them apart.
    kind = InvalidWebhookUrl if kinds == {"webhook_url"} else InvalidRequest
    said = summary([f"{each[place].removeprefix('/')}: {each['detail']}" for each in listed], total=total)
    raise kind(said, errors=listed[:MAX_LISTED], omitted=max(0, total - MAX_LISTED))


def _fault(model: type[BaseModel], fault: ErrorDetails, place: _Place) -> _Fault:
    """Return one fault of a value: its description, location, code and hint."""
    where: _Fault = {place: pointer(*fault["loc"]) if place == "pointer" else _excerpt(str(fault["loc"][0]))}
    kind = fault["type"]
    if kind == "missing":
        return {"detail": "is required", **where, "code": InvalidRequest.code, "hint": "Add it."}
    if kind == "extra_forbidden":
        near = difflib.get_close_matches(str(fault["loc"][-1])[:100].lower(), list(model.model_fields), n=1)
        hint = f"Did you mean `{near[0]}`?" if near else "Leave it out."
        what = "parameter" if place == "parameter" else "field"
        return {"detail": f"is not a known {what}", **where, "code": InvalidRequest.code, "hint": hint}
    detail = re.sub(r"^\w+ should", "must", fault["msg"])
    # Parser internals do not help the caller.
    detail = re.sub(r" after validation, not \d+$|, unable to parse string as an? \w+$", "", detail)
    if kind == "webhook_url":
        return {"detail": detail, **where, "code": InvalidWebhookUrl.code, "hint": InvalidWebhookUrl.default_hint}
    if kind == "string_unicode":
        half = lone_surrogate(str(fault["input"]))
        detail = f"has {half}" if half else "must be valid Unicode"
        return {"detail": detail, **where, "code": InvalidRequest.code, "hint": _WHOLE}
    hint = fault.get("ctx", {}).get("hint", _CORRECT)
    return {"detail": detail, **where, "code": InvalidRequest.code, "hint": hint}
