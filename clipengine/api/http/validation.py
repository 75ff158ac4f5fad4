"""Reading and validation of requests: JSON bodies, queries and headers, and the faults that are found in them.

Starlette reads a body of any size, and Python's parser accepts more than JSON allows and builds every value before it
can be rejected. Here a body has a size limit and a deadline; depth, members per object and array, and the number of
tokens are checked before parsing; it must be UTF-8 without duplicate keys. NaN and Infinity parse to floats, so that
the error can name their field.

Errors of the query, the headers and the fields of the body are reported together. Errors that need the ledger, the
store or the settings are raised one at a time, once the form of the request is valid.
"""

from __future__ import annotations

import asyncio
import difflib
import json
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Literal, TypeVar, get_args
from urllib.parse import parse_qsl

from pydantic import BaseModel, RootModel, ValidationError
from pydantic_core import ErrorDetails
from starlette.requests import Request

from clipengine.api.http.former import current_name
from clipengine.api.http.requests.fields import MAX_MEMBERS, MAX_PARAMETERS, MAX_TOKENS, B, Q
from clipengine.api.http.rights import WAIT_SECONDS
from clipengine.basis.json_budget import JsonLimits
from clipengine.clips.labels import lone_surrogate
from clipengine.errors import (
    Busy,
    InvalidRecordingUrl,
    InvalidRequest,
    InvalidWebhookUrl,
    MalformedRequest,
    PayloadTooLarge,
    RequestError,
    UnsupportedContentType,
    located_below,
)

MAX_DEPTH = 32
READ_SECONDS = 30

_JSON_TYPE = re.compile(r"application/json\s*(?:;\s*charset\s*=\s*\"?utf-8\"?\s*)?\Z", re.IGNORECASE)
MAX_LISTED = 20  # faults in one answer; the others are counted
_SHOWN = 5
_SHOWN_CHARACTERS = 200
_VISIBLE = re.compile(r"[\x21-\x7e]{1,255}\Z")
_QUOTED = re.compile(r'"((?:[^"\\]|\\["\\])*)"\Z')
_MEMBER = re.compile(r"(\w+)(?:\.(.+)|\[(.+)\])\Z", re.DOTALL)  # of a parameter that is a map
_NAME_CHARACTERS = 100  # of a name that a client chose, in an answer

_MEANT = "Did you mean"
_LESS = "Send less in one request: the manual lists the limits of requests (/docs/configuration)."
_WHOLE = "Send whole characters: in JSON one beyond U+FFFF is itself, or both of its halves (\\ud83d\\ude00)."
_CORRECT = "Correct this value: the API reference of this installation (/docs/reference) says what it may be."

_URL_ERRORS: dict[str, type[InvalidRequest]] = {  # by the type of the validator's error
    "webhook_url": InvalidWebhookUrl,
    "recording_url": InvalidRecordingUrl,
}

_Place = Literal["pointer", "parameter"]
_Fault = dict[str, str]

T = TypeVar("T")
U = TypeVar("U")
M = TypeVar("M", bound=BaseModel)

Check = Callable[[], Awaitable[None]]  # raises Unauthorized or Forbidden


async def read_body(request: Request, *, limit: int, check: Check | None = None) -> bytearray:
    """Return the whole body, which is JSON.

    Raise UnsupportedContentType, and the errors of `read_bytes`.
    """
    content_type = request.headers.get("content-type")
    if content_type is None or not _JSON_TYPE.match(content_type.strip()):
        raise UnsupportedContentType(f"Content-Type is {(content_type or 'missing')[:100]}")
    return await read_bytes(request, limit=limit, check=check)


def content_type(request: Request) -> str:
    """Return the media type of the body without its parameters, in lower case."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()[:100]


class BodyBudget:
    """Limit of the bytes of unfinished bodies that are in memory at the same time. Used by the event loop only."""

    def __init__(self, most: int) -> None:
        self._free = most

    @contextmanager
    def body(self) -> Iterator[Callable[[int], None]]:
        """Yield a function that takes bytes for one body, until the end of the context. It raises Busy."""
        taken = 0

        def take(size: int) -> None:
            nonlocal taken
            if size > self._free:
                raise Busy("Too many requests with a body arrive at the same time", retry_after=READ_SECONDS)
            self._free -= size
            taken += size

        try:
            yield take
        finally:
            self._free += taken


async def read_bytes(
    request: Request, *, limit: int, take: Callable[[int], None] = lambda size: None, check: Check | None = None
) -> bytearray:
    """Return the whole body; `take` is called with the size of each chunk of it.

    `check` is called every WAIT_SECONDS until the body is complete; its errors end the reading.

    Raise PayloadTooLarge if it has more than `limit` bytes, MalformedRequest if it is not complete after READ_SECONDS,
    and UnsupportedContentType if it is compressed.
    """
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise UnsupportedContentType(
            "Content-Encoding is not supported", hint="Send the body as it is, not compressed."
        )
    if declared_length(request) > limit:
        raise _too_large(limit)
    body = bytearray()
    loop = asyncio.get_running_loop()
    now = loop.time()
    ends_at, check_at = now + READ_SECONDS, now + WAIT_SECONDS
    while True:
        try:
            async with asyncio.timeout_at(check_at):
                async for chunk in request.stream():  # again after a timeout, which closes it
                    take(len(chunk))
                    body += chunk
                    if len(body) > limit:
                        raise _too_large(limit)
                return body
        except TimeoutError:
            if loop.time() >= ends_at:
                raise MalformedRequest(f"The body was not complete after {READ_SECONDS} seconds") from None
        if check is not None:
            await check()
        check_at = min(loop.time() + WAIT_SECONDS, ends_at)


def _too_large(limit: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"The body is larger than {limit} bytes", hint=f"Send at most {limit} bytes.")


def declared_length(request: Request) -> int:
    """Return Content-Length, or 0 if it is missing or not a number."""
    text = request.headers.get("content-length", "0")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else 0


def parse_json(
    body: bytes | bytearray, *, members: int = MAX_MEMBERS, tokens: int = MAX_TOKENS, hint: str = _LESS
) -> Any:
    """Return the value of a JSON text. Raise MalformedRequest with the reason if it is invalid or exceeds a limit.

    `members` limits one object or array, `tokens` the strings, brackets and commas of the whole text. `hint` is for a
    text that exceeds a limit.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedRequest(f"The body is not UTF-8: byte {error.start} is wrong") from None
    JsonLimits("the body", partial(_exceeds, hint=hint), MAX_DEPTH, tokens, members).check(text)
    try:
        return json.loads(text, object_pairs_hook=_unique)
    except json.JSONDecodeError as error:
        raise MalformedRequest(
            f"The body is not JSON: {error.msg} (line {error.lineno}, column {error.colno})"
        ) from None
    except ValueError:  # Python's own limit on the digits of an integer
        raise MalformedRequest("The body has a number with too many digits") from None


def _exceeds(message: str, *, hint: str) -> MalformedRequest:
    return MalformedRequest(message[0].upper() + message[1:], hint=hint)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the object. Raise InvalidRequest or MalformedRequest if a key is not text or is there twice."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if half := lone_surrogate(name):
            raise InvalidRequest(f"The body has a key with {half}")
        if name in found:
            raise MalformedRequest(f"The body has the key {name[:100]!r} twice")
        found[name] = value
    return found


def validate_body(model: type[M], value: Any) -> M:
    """Return the body. Raise MalformedRequest if it is not an object, InvalidRequest with each fault's pointer."""
    if not isinstance(value, dict):
        raise MalformedRequest("The body is not a JSON object")
    return _validated(model, value, "pointer")


def validate_list(model: type[RootModel[list[B]]], value: Any) -> list[B]:
    """Return the items of an array. Raise MalformedRequest if it is not one, InvalidRequest with each pointer."""
    if not isinstance(value, list):
        raise MalformedRequest("The body is not a JSON array", hint="Send one JSON array, UTF-8.")
    return _validated(model, value, "pointer").root


def validate_query(model: type[Q], query: str) -> Q:
    """Return the parameters of a query string. Raise InvalidRequest with the name of each faulty parameter."""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=MAX_PARAMETERS)
    except ValueError:
        hint = f"Send at most {MAX_PARAMETERS}."
        raise InvalidRequest(f"The query has more than {MAX_PARAMETERS} parameters", hint=hint) from None
    values: dict[str, Any] = {}
    repeated: list[_Fault] = []
    lists = {name: field.default for name, field in model.model_fields.items()}
    for name, value in ((current_name(model, name), value) for name, value in pairs):
        member = _MEMBER.match(name)
        if member and isinstance(lists.get(member[1]), dict):
            holder, key = values.setdefault(member[1], {}), member[2] or member[3]
        elif isinstance(lists.get(name), list):
            values.setdefault(name, []).append(value)
            continue
        else:
            holder, key = values, name
        if key in holder:
            repeated.append({"detail": "is given twice", "parameter": _excerpt(name), "hint": "Give it once."})
        holder[key] = value
    return _validated(model, values, "parameter", repeated)


def pointer(*path: str | int) -> str:
    """Return a JSON pointer (RFC 6901), with long names cut.

    Pydantic marks a faulty key of a map with a last part `[key]`, which is dropped.
    """
    parts = [_excerpt(str(part)).replace("~", "~0").replace("/", "~1") for part in path if part != "[key]"]
    return "".join(f"/{part}" for part in parts)


def _parameter(name: str | int, *path: str | int) -> str:
    """Return the name of a parameter, with the key if it is a map."""
    key = [part for part in path if isinstance(part, str) and part != "[key]"]
    return _excerpt(".".join([str(name), *key[:1]]))


def _excerpt(name: str) -> str:
    return name if len(name) <= _NAME_CHARACTERS else f"{name[:_NAME_CHARACTERS]}…"


def _validated(model: type[M], values: Any, place: _Place, found: Sequence[_Fault] = ()) -> M:
    """Return the value. Raise InvalidRequest with at most MAX_LISTED faults, from `found` and the values."""
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
    kind = _URL_ERRORS.get(next(iter(kinds)), InvalidRequest) if len(kinds) == 1 else InvalidRequest
    said = summary([_located(each, place) for each in listed], total=total)
    raise kind(said, errors=listed[:MAX_LISTED], omitted=max(0, total - MAX_LISTED), hint=_common_hint(listed))


def _located(fault: _Fault, place: _Place) -> str:
    """Return the fault's detail after its location, which is empty if the whole value is wrong."""
    where = fault[place].removeprefix("/")
    return f"{where}: {fault['detail']}" if where else f"The body {fault['detail']}"


def _common_hint(faults: Sequence[_Fault]) -> str | None:
    """Return the hint of the only fault, or of several the names that were probably meant."""
    if len(faults) == 1:
        return faults[0].get("hint")
    meant = [hint for fault in faults if (hint := fault.get("hint", "")).startswith(_MEANT)]
    return " ".join(dict.fromkeys(meant[:_SHOWN])) or None


def _meant_field(name: str, known: Sequence[str]) -> str | None:
    """Return the field that a client probably meant: `start_seconds` for `start`, or the most similar one."""
    longer = sorted((each for each in known if each.startswith(f"{name}_")), key=lambda each: "_seconds" not in each)
    return next(iter(longer or difflib.get_close_matches(name, known, n=1)), None)


def _fault(model: type[BaseModel], fault: ErrorDetails, place: _Place) -> _Fault:
    """Return one fault of a value: its description, location, code and hint."""
    where: _Fault = {place: pointer(*fault["loc"]) if place == "pointer" else _parameter(*fault["loc"])}
    kind = fault["type"]
    if kind == "missing":
        return {"detail": "is required", **where, "code": InvalidRequest.code, "hint": "Add it."}
    if kind == "extra_forbidden":
        near = _meant_field(str(fault["loc"][-1])[:100].lower(), _known_fields(model, fault["loc"][:-1]))
        hint = f"{_MEANT} `{near}`?" if near else "Leave it out."
        what = "parameter" if place == "parameter" else "field"
        return {"detail": f"is not a known {what}", **where, "code": InvalidRequest.code, "hint": hint}
    detail = re.sub(r"^\w+ should", "must", fault["msg"])
    # Parser internals do not help the caller.
    detail = re.sub(r" after validation, not \d+$|, unable to parse string as an? \w+$", "", detail)
    if url_error := _URL_ERRORS.get(kind):
        return {"detail": detail, **where, "code": url_error.code, "hint": url_error.default_hint}
    if kind == "model_type":
        return {"detail": "must be an object", **where, "code": InvalidRequest.code, "hint": _CORRECT}
    if kind == "string_unicode":
        half = lone_surrogate(str(fault["input"]))
        detail = f"has {half}" if half else "must be valid Unicode"
        return {"detail": detail, **where, "code": InvalidRequest.code, "hint": _WHOLE}
    hint = fault.get("ctx", {}).get("hint", _CORRECT)
    return {"detail": detail, **where, "code": InvalidRequest.code, "hint": hint}


def _known_fields(model: type[BaseModel], path: Sequence[str | int]) -> list[str]:
    """Return the names of the fields of the object at `path` of a value, or [] if no model describes it."""
    for name in path:
        if isinstance(name, str):
            field = model.model_fields.get(name)
            holder = next(_models(field.annotation), None) if field else None
            if holder is None:
                return []
            model = holder
    return list(model.model_fields)


def _models(annotation: object) -> Iterator[type[BaseModel]]:
    """Yield the models in an annotation, such as `Part` in `list[Part] | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for each in get_args(annotation):
        yield from _models(each)


def idempotency_key(header: str | None) -> str | None:
    """Return the key, or None without a header. `"abc"` (a string of RFC 9651) and `abc` are the same key."""
    if header is None:
        return None
    text = header.strip(" \t")
    if quoted := _QUOTED.match(text):
        text = re.sub(r"\\(.)", r"\1", quoted[1])
    if not _VISIBLE.match(text):
        raise invalid_header("Idempotency-Key", "must be 1 to 255 visible ASCII characters")
    return text


def invalid_header(name: str, detail: str) -> InvalidRequest:
    """Return the error of a header."""
    return InvalidRequest(f"{name} {detail}", errors=[{"detail": detail, "header": name}])


def collected(found: list[RequestError], check: Callable[[], T]) -> T | None:
    """Return the result of `check`; append the RequestError that it raises to `found` and return None."""
    try:
        return check()
    except RequestError as error:
        found.append(error)
        return None


def check_each(items: Sequence[T], check: Callable[[T], U], *, pointer: str) -> list[U]:
    """Return the result of `check` for each item of the list at `pointer`. Raise the RequestErrors of all together."""
    faults: list[RequestError] = []
    results: list[U] = []
    for number, item in enumerate(items):
        try:
            with located_below(f"{pointer}/{number}"):
                results.append(check(item))
        except RequestError as error:
            faults.append(error)
    raise_all(faults)
    return results


def raise_all(found: Sequence[RequestError]) -> None:
    """Raise the first error with the faults of all of them, if there are any."""
    if not found:
        return
    first = found[0]
    if len(found) > 1:
        listed = [fault for error in found for fault in listing(error)]
        first.omitted = sum(error.omitted for error in found) + max(0, len(listed) - MAX_LISTED)
        first.errors = listed[:MAX_LISTED]
        first.message = summary(list(dict.fromkeys(error.message for error in found)))
        first.hint = _common_hint(first.errors) or first.default_hint
    raise first


def listing(error: RequestError) -> list[dict[str, str]]:
    """Return the faults that `error` lists, or the error itself as one fault, each with its code and hint."""
    own = {"code": error.code, "hint": error.hint}
    return [{**own, **fault} for fault in error.errors or [{"detail": error.message}]]


def summary(details: Sequence[str], *, total: int | None = None) -> str:
    """Return the first few details as one line. `total` is the number of faults if `details` does not have all."""
    shown = "; ".join(detail[:_SHOWN_CHARACTERS] for detail in details[:_SHOWN])
    more = (total or len(details)) - _SHOWN
    return f"{shown}; and {more} more" if more > 0 else shown
