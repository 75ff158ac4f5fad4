"""What is said to the server, without saying it: requests, what is sent again, and what an answer means.

A call is a generator that yields each `Request` (or `Pause`) and is sent the `Reply`; the two transports drive it, one
blocking and one awaiting, so that everything about the API is written once and both clients do the same.

A request that creates carries an Idempotency-Key, so that it can be sent again when the connection broke and no one
knows whether it arrived. Only GET and such requests are sent again: after a broken connection, and after an answer
that says when with Retry-After.
"""

from __future__ import annotations

import json as codec
import math
import re
import uuid
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import quote

from clipengine.client.errors import ApiError, NotClipengine, ServerUnreachable
from clipengine.client.models import Object

T = TypeVar("T")

_PAUSES = (0.2, 0.6, 1.8)  # seconds before each further try; the last one for all that follow
_LONGEST_PAUSE = 30  # a server that asks for a longer one is not waited for


@dataclass(frozen=True)
class Request:
    """`again`: it may be sent twice. `sink` gets the body in pieces, after its whole length where that is known."""

    method: str
    path: str
    params: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    json: object = None
    content: Iterator[bytes] | None = None
    longer: float = 0.0  # seconds that the answer may take beyond the client's timeout
    again: bool = False
    sink: Callable[[bytes, int | None], None] | None = None


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


def exchange(request: Request, tries: int) -> Steps[Reply]:
    """The answer to a request that is sent up to `tries` times. Raises ApiError and ServerUnreachable."""
    for count in range(max(1, tries if request.again else 1)):
        last = not request.again or count + 1 >= tries
        pause = _PAUSES[min(count, len(_PAUSES) - 1)]
        try:
            reply = yield request
        except ServerUnreachable as error:
            if last or not error.passing:
                raise
        else:
            if 200 <= reply.status < 300:
                return reply
            asked = _retry_after(reply)
            if last or asked is None:
                raise api_error(reply)
            pause = max(pause, asked)
        yield Pause(pause)
    raise AssertionError("the last try returns or raises")


class Api:
    """The verbs that the calls of every resource are made of."""

    def __init__(self, *, retries: int) -> None:
        self._tries = retries + 1

    def get(self, path: str, params: Mapping[str, Any] | None = None, *, longer: float = 0.0) -> Steps[Object]:
        return self.call(Request("GET", path, params=given(params), longer=longer, again=True))

    def create(self, path: str, body: Object | None = None, *, idempotency_key: str | None = None) -> Steps[Object]:
        """POST what makes something, with an Idempotency-Key: the caller's, or a new one."""
        headers = {"Idempotency-Key": idempotency_key or str(uuid.uuid4())}
        return self.call(Request("POST", path, headers=headers, json=body, again=True))

    def call(self, request: Request) -> Steps[Object]:
        """The object that answers the request; `{}` where the answer is empty. Raises ValueError for a nan to send."""
        if isinstance(request.json, dict):
            for name, value in request.json.items():
                if isinstance(value, float) and not math.isfinite(value):
                    raise ValueError(f"{name} is {value}, which JSON has no number for: give a finite one")
        reply = yield from exchange(request, self._tries)
        if not reply.body:
            return {}
        try:
            answer = codec.loads(reply.body)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise NotClipengine("what answers there is not clipengine")
        return answer

    def send(self, method: str, path: str, **options: Any) -> Steps[Object]:
        """Any other request, sent once."""
        return self.call(Request(method, path, **options))


def given(params: Mapping[str, Any] | None) -> Object:
    """The parameters without those that are None."""
    return {key: value for key, value in (params or {}).items() if value is not None}


def at(collection: str, identifier: str, *rest: str) -> str:
    """The path of one resource: `at("clips", "clip_1", "cancel")` is `/v1/clips/clip_1/cancel`."""
    return "/".join(["/v1", collection, quote(identifier, safe=""), *rest])


def _retry_after(reply: Reply) -> float | None:
    text = reply.headers.get("retry-after", "")
    if not re.fullmatch(r"[0-9]{1,4}", text) or int(text) > _LONGEST_PAUSE:
        return None
    return float(text)


def api_error(reply: Reply) -> ApiError:
    """The error that a server's answer tells of."""
    try:
        problem = codec.loads(reply.body)
    except ValueError:
        problem = None
    if not isinstance(problem, dict):
        problem = {}
    errors: Sequence[Object] = problem.get("errors") or ()
    return ApiError(
        reply.status,
        str(problem.get("code") or f"http_{reply.status}"),
        str(problem.get("detail") or problem.get("title") or f"{reply.status} {reply.reason}"),
        str(problem.get("hint") or ""),
        errors,
    )
