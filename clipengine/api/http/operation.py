"""Operations: one method on one path with its scope, request types, responses and documentation.

Routes and OpenAPI document are both made from these values, so they cannot disagree. Handlers run in the thread pool
inside one session of the ledger. A handler that waits returns a coroutine, which holds no thread and uses `in_session`
for each access to the ledger.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast
from urllib.parse import quote, urlencode

from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from clipengine.api.http.auth import Scope
from clipengine.api.http.change_broadcast import ChangeBroadcast
from clipengine.api.http.ports import Engine
from clipengine.api.http.requests import B, NoBody, NoQuery, Q
from clipengine.errors import ClipEngineError
from clipengine.ledger.keys import ApiKey
from clipengine.ledger.ledger import Ledger

T = TypeVar("T")


@dataclass(frozen=True)
class Call(Generic[Q, B]):
    """An authorised and validated request."""

    engine: Engine
    changes: ChangeBroadcast
    request: Request
    key: ApiKey
    query: Q
    body: B

    @property
    def ledger(self) -> Ledger:
        return self.engine.ledger

    def path(self, name: str) -> str:
        """Return a parameter of the path, an opaque id."""
        return cast(str, self.request.path_params[name])

    async def in_session(self, work: Callable[[], T]) -> T:
        """Run `work` in the thread pool inside a session of the ledger. For async handlers."""
        return await run_in_threadpool(in_session, self.ledger, work)


Handler = Callable[[Call[Any, Any]], Response | Awaitable[Response]]


@dataclass(frozen=True)
class Answer:
    """A successful response: the JSON of `model`, a page of it, or bytes of `media_type`.

    `media_type` may list several types, separated by commas.
    """

    status: int
    description: str
    model: type[BaseModel] | None = None
    page: bool = False
    media_type: str | None = None


NOTHING = Answer(204, "Done. The response has no body.")


@dataclass(frozen=True)
class Operation:
    method: str
    path: str
    scope: Scope
    handler: Handler
    summary: str
    answers: Sequence[Answer]
    errors: Sequence[type[ClipEngineError]] = ()
    query: type[Any] = NoQuery
    body: type[Any] = NoBody
    creates: bool = False  # takes an Idempotency-Key
    uploads: bool = False  # takes bytes

    @property
    def takes_json(self) -> bool:
        return self.body is not NoBody


def in_session(ledger: Ledger, work: Callable[[], T]) -> T:
    with ledger.session():
        return work()


def json_response(body: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    text = json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Response(text.encode(), status_code=status, headers=headers, media_type="application/json")


def page_response(call: Call[Any, Any], data: Sequence[Mapping[str, Any]], next_cursor: str | None) -> Response:
    """Return one page of a list, with `Link: rel="next"` if there is another page."""
    headers = {}
    if next_cursor is not None:
        query = [(name, value) for name, value in call.request.query_params.multi_items() if name != "cursor"]
        address = f"{quote(call.request.scope['path'])}?{urlencode([*query, ('cursor', next_cursor)])}"
        headers["Link"] = f'<{address}>; rel="next"'
    return json_response({"data": data, "has_more": next_cursor is not None, "next_cursor": next_cursor}, 200, headers)
