"""Requests, retries and responses without I/O, shared by the blocking and the asynchronous client.

A call is a generator that yields each `Request` (or `Pause`) and receives the `Reply`; a transport drives it.

Requests that create a resource carry an Idempotency-Key, so they are safe to repeat. These and GET requests are retried
after a broken connection and after a response with Retry-After.
"""

from __future__ import annotations

import json as codec
import math
import re
import uuid
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import quote

from clipengine.client.errors import ApiError, ClientError, NotClipengine, ServerUnreachable
from clipengine.client.models import Object, format_time

T = TypeVar("T")

TEMPORARY_STATUSES = (429, 500, 502, 503, 504)  # too many requests, a restart, or a store that is unavailable
_RETRY_DELAYS = (0.2, 0.6, 1.8, 5.0)  # seconds; the last one repeats
_WRONG_PLACE = (401, 404, 405)  # to which the API adds a problem document
_MAX_RETRY_AFTER = 30  # seconds; a longer Retry-After is not waited for


@dataclass(frozen=True)
class Request:
    """A request. Idempotent ones may be retried. `sink` receives chunks of the body and its length, if known.

    With `to_store`, the path is a presigned URL of the store, which gets no key.
    """

    method: str
    path: str
    params: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    json: object = None
    content: Iterator[bytes] | None = None
    extra_time: float = 0.0  # seconds in addition to the client's timeout
    idempotent: bool = False
    sink: Callable[[bytes, int | None], None] | None = None
    to_store: bool = False


@dataclass(frozen=True)
class Pause:
    seconds: float


@dataclass(frozen=True)
class Reply:
    status: int = 200
    reason: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


Steps = Generator[Request | Pause, Reply, T]


def retry_delay(failures: int) -> float:
    """Return the seconds to wait after this many failures in a row, at least one."""
    return _RETRY_DELAYS[min(failures, len(_RETRY_DELAYS)) - 1]


def exchange(request: Request, attempts: int) -> Steps[Reply]:
    """Send a request up to `attempts` times and return the reply. Raises ApiError and ServerUnreachable."""
    for count in range(max(1, attempts if request.idempotent else 1)):
        last = not request.idempotent or count + 1 >= attempts
        delay = retry_delay(count + 1)
        try:
            reply = yield request
        except ServerUnreachable as error:
            if last or not error.retryable:
                raise
        else:
            if 200 <= reply.status < 300:
                return reply
            retry_after = _retry_after(reply)
            if last or retry_after is None:
                raise api_error(reply, from_store=request.to_store or request.sink is not None)
            delay = max(delay, retry_after)
        yield Pause(delay)
    raise AssertionError("the last attempt returns or raises")


class Api:
    """JSON requests, from which the calls of every resource are built."""

    def __init__(self, *, retries: int) -> None:
        self.attempts = retries + 1

    def get(self, path: str, params: Mapping[str, Any] | None = None, *, extra_time: float = 0) -> Steps[Object]:
        return self.call(Request("GET", path, params=without_none(params), extra_time=extra_time, idempotent=True))

    def fetch(self, path: str, params: Mapping[str, Any]) -> Steps[bytes]:
        """Return the body of the response to a GET request."""
        reply = yield from exchange(Request("GET", path, params=params, idempotent=True), self.attempts)
        return reply.body

    def create(self, path: str, body: Object | None = None, *, idempotency_key: str | None = None) -> Steps[Object]:
        """Send a POST request with an Idempotency-Key: the caller's, or a random one."""
        headers = {"Idempotency-Key": idempotency_key or str(uuid.uuid4())}
        return self.call(Request("POST", path, headers=headers, json=body, idempotent=True))

    def call(self, request: Request) -> Steps[Object]:
        """Send a request and return the JSON object of the response, or `{}` if it is empty.

        Raises ValueError if the request contains a number that JSON cannot represent.
        """
        if isinstance(request.json, dict):
            for name, value in request.json.items():
                if isinstance(value, float) and not math.isfinite(value):
                    raise ValueError(f"{name} must be a finite number, not {value}")
        reply = yield from exchange(request, self.attempts)
        if not reply.body:
            return {}
        try:
            body = codec.loads(reply.body)
        except ValueError:
            body = None
        if not isinstance(body, dict):
            raise NotClipengine("the response is not from clipengine")
        return body

    def send(self, method: str, path: str, **options: Any) -> Steps[Object]:
        """Send any other request, without retries."""
        return self.call(Request(method, path, **options))


def without_none(params: Mapping[str, Any] | None) -> Object:
    """Return the parameters that are not None."""
    return {key: value for key, value in (params or {}).items() if value is not None}


def given_fields(fields: Mapping[str, Any], declared: type) -> Object:
    """Return the fields as JSON, without None and empty values. Raises TypeError for a field that is not declared."""
    if unknown := fields.keys() - declared.__annotations__.keys():
        raise TypeError(f"unexpected fields: {', '.join(sorted(unknown))}")
    return without_none({name: _plain(value) for name, value in fields.items() if value not in ({}, [], ())})


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return format_time(value)
    if isinstance(value, Mapping):
        return {**value}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(each) for each in value]
    return value


def filters(
    q: str | None, tags: Sequence[str] | None, metadata: Mapping[str, str] | None, sort: str | None, mine: bool
) -> Object:
    """Return the parameters of a list by which clips and recordings are filtered and sorted."""
    pairs = {f"metadata.{key}": value for key, value in (metadata or {}).items()}
    return {"q": q, "tag": [*tags] if tags else None, "sort": sort, "mine": "true" if mine else None, **pairs}


def route(collection: str, identifier: str, *rest: str) -> str:
    """Return the path of a resource: `/v1/clips/clip_1/cancel` for `("clips", "clip_1", "cancel")`.

    Raises ClientError for the parts `.` and `..`, which URLs remove, even if they are escaped: that is another route.
    """
    parts = (identifier, *rest)
    for part in parts:
        if part in (".", ".."):
            raise ClientError(f"{part!r} is not a valid id")
    return "/".join(["/v1", collection, *(quote(part, safe="") for part in parts)])


def _retry_after(reply: Reply) -> float | None:
    text = reply.headers.get("retry-after", "")
    if not re.fullmatch(r"[0-9]{1,4}", text) or int(text) > _MAX_RETRY_AFTER:
        return None
    return float(text)


def api_error(reply: Reply, *, from_store: bool = False) -> ApiError | NotClipengine:
    """Return the error for an error response. That to a part or, after a redirect, to a download is of the store."""
    try:
        problem = codec.loads(reply.body)
    except ValueError:
        problem = None
    if not isinstance(problem, dict):
        problem = {}
    if "code" not in problem and reply.status in _WRONG_PLACE and not from_store:
        said = f"{reply.status} {reply.reason}".strip()
        return NotClipengine(f"the URL is not the root of a clipengine server: it answers {said}")
    errors: Sequence[Object] = problem.get("errors") or ()
    return ApiError(
        reply.status,
        str(problem.get("code") or f"http_{reply.status}"),
        str(problem.get("detail") or problem.get("title") or f"{reply.status} {reply.reason}"),
        str(problem.get("hint") or ""),
        errors,
    )
