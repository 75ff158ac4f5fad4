"""Dispatch of a request to its operation: authorise, read, validate, call, in the same order everywhere.

401 and 403 come first, then 429, then a body that cannot be read (413, 415, 400). Errors of the query, the
Idempotency-Key and the fields of the body are reported together (422). Errors that need the ledger, the store or the
settings are raised by the handler, one at a time.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Send
from starlette.types import Scope as AsgiScope

from clipengine.api.http.auth import Credential, authorize, credential
from clipengine.api.http.body import parse_json, read_body
from clipengine.api.http.change_broadcast import ChangeBroadcast
from clipengine.api.http.idempotency import idempotency_key
from clipengine.api.http.operation import Call, Operation, in_session
from clipengine.api.http.ports import Engine
from clipengine.api.http.problems import problem
from clipengine.api.http.rate_limit import RateLimiter
from clipengine.api.http.request_errors import collected, raise_all
from clipengine.api.http.validation import validate_body, validate_query
from clipengine.errors import MethodNotAllowed, RequestError
from clipengine.ledger.keys import ApiKey


def routes(operations: Sequence[Operation], engine: Engine, changes: ChangeBroadcast) -> list[Route]:
    """Return one route for each path, fixed paths before those with parameters."""
    rates = RateLimiter(engine.settings.limits.requests_per_minute)
    by_path: dict[str, dict[str, Operation]] = {}
    for operation in operations:
        by_path.setdefault(operation.path, {})[operation.method] = operation
    ordered = sorted(by_path.items(), key=lambda item: item[0].count("{"))
    return [Route(path, Resource(methods, engine, changes, rates)) for path, methods in ordered]


class Public:
    """ASGI application of one GET route that needs no key."""

    def __init__(self, handler: Callable[[Request], Awaitable[Response]]) -> None:
        self._handler = handler

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        if scope["method"] in ("GET", "HEAD"):
            response = await self._handler(Request(scope, receive))
        else:
            response = _other_method(scope, "GET, HEAD, OPTIONS")
        await response(scope, receive, send)


def _other_method(scope: AsgiScope, allow: str) -> Response:
    if scope["method"] == "OPTIONS":
        return Response(status_code=204, headers={"Allow": allow})
    return problem(scope, MethodNotAllowed(f"{scope['method']} is not allowed here"), {"Allow": allow})


class Resource:
    """ASGI application of all methods of one path. HEAD is GET without a body; OPTIONS lists the methods."""

    def __init__(
        self, methods: Mapping[str, Operation], engine: Engine, changes: ChangeBroadcast, rates: RateLimiter
    ) -> None:
        self._methods = methods
        self._engine = engine
        self._changes = changes
        self._rates = rates
        names = [*methods, "OPTIONS", *(["HEAD"] if "GET" in methods else [])]
        self._allow = ", ".join(sorted(names))

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        operation = self._methods.get("GET" if scope["method"] == "HEAD" else scope["method"])
        if operation is not None:
            response = await self._perform(operation, Request(scope, receive))
        else:
            response = _other_method(scope, self._allow)
        await response(scope, receive, send)

    async def _perform(self, operation: Operation, request: Request) -> Response:
        given = credential(request)
        if not operation.takes_json:
            return await self._call(operation, request, lambda: self._authorized(operation, given))
        # A body takes memory and time, so it is read only for a key that may send it.
        key = await run_in_threadpool(in_session, self._engine.ledger, lambda: self._authorized(operation, given))
        text = await read_body(request, limit=operation.body.limit(self._engine.settings.server.max_body_bytes))
        return await self._call(operation, request, lambda: key, text)

    async def _call(
        self, operation: Operation, request: Request, authorized: Callable[[], ApiKey], text: bytes | bytearray = b"{}"
    ) -> Response:
        """Authorise, validate and call the handler in one session, in the thread pool. Return its answer."""

        def work() -> Response | Awaitable[Response]:
            return operation.handler(self._validated(operation, request, authorized(), text))

        answer = await run_in_threadpool(in_session, self._engine.ledger, work)
        return await answer if isinstance(answer, Awaitable) else answer

    def _authorized(self, operation: Operation, given: Credential) -> ApiKey:
        """Return the key of the caller and count the request against its rate limit."""
        key = authorize(self._engine.ledger, given, operation.scope)
        self._rates.spend(key.key_id)
        return key

    def _validated(
        self, operation: Operation, request: Request, key: ApiKey, text: bytes | bytearray
    ) -> Call[Any, Any]:
        """Return the validated call. Raise the errors of the body, the query and the headers together."""
        value = parse_json(text)
        parameters = request.scope["query_string"].decode("latin-1")
        found: list[RequestError] = []
        body = collected(found, lambda: validate_body(operation.body, value))
        query = collected(found, lambda: validate_query(operation.query, parameters))
        if operation.creates:
            collected(found, lambda: idempotency_key(request.headers.get("idempotency-key")))
        raise_all(found)
        return Call(self._engine, self._changes, request, key, query, body)
