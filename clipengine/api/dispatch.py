"""From a request to its operation: authorise, validate, call, in the same order everywhere.

401 and 403 come first, then 429. Then everything that is wrong with the request comes at once: a body that cannot be
read (413, 415, 400), the query, the Idempotency-Key and the body's fields (422), the address (404) and the values.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Send
from starlette.types import Scope as AsgiScope

from clipengine.api.auth import authorize, credential
from clipengine.api.body import parse_json, read_body
from clipengine.api.changes import Changes
from clipengine.api.faults import faults, refuse
from clipengine.api.idempotency import idempotency_key
from clipengine.api.lookups import check_address_exists
from clipengine.api.operation import Call, Operation, in_session
from clipengine.api.ports import Engine
from clipengine.api.problems import problem
from clipengine.api.rates import Rates
from clipengine.api.validating import Checked, check_body, check_query
from clipengine.errors import ClipEngineError, MethodNotAllowed, RequestError, StorageError
from clipengine.ledger.keys import ApiKey


def routes(operations: Sequence[Operation], engine: Engine, changes: Changes) -> list[Route]:
    """One route for each path; fixed paths come before those with parameters."""
    rates = Rates(engine.settings.limits.requests_per_minute)
    by_path: dict[str, dict[str, Operation]] = {}
    for operation in operations:
        by_path.setdefault(operation.path, {})[operation.method] = operation
    ordered = sorted(by_path.items(), key=lambda item: item[0].count("{"))
    return [Route(path, Resource(methods, engine, changes, rates)) for path, methods in ordered]


class Public:
    """What may be read without a key: one GET, as an ASGI application."""

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
    return problem(scope, MethodNotAllowed(f"{scope['method']} is not possible here"), {"Allow": allow})


class Resource:
    """All methods of one path, as an ASGI application. HEAD is GET without a body; OPTIONS lists the methods."""

    def __init__(self, methods: Mapping[str, Operation], engine: Engine, changes: Changes, rates: Rates) -> None:
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
        ledger = self._engine.ledger
        given = credential(request)  # a request without any key is not worth reading its body
        raw: bytes | ClipEngineError = b"{}"
        if operation.takes_json:
            try:
                raw = await read_body(request, limit=self._engine.settings.server.max_body_bytes)
            except ClipEngineError as error:
                raw = error  # raised below, after the key: one that may not call learns nothing else

        def prepare() -> Call[Any, Any]:
            key = authorize(ledger, given, operation.scope)
            self._rates.spend(key.key_id)
            return self._validated(operation, request, key, raw)

        answer = await run_in_threadpool(in_session, ledger, lambda: operation.handler(prepare()))
        return await answer if isinstance(answer, Awaitable) else answer

    def _validated(
        self, operation: Operation, request: Request, key: ApiKey, raw: bytes | ClipEngineError
    ) -> Call[Any, Any]:
        """The call. Raises every fault of the request, those of its values by the ledger and the settings included."""
        query = check_query(operation.query, request.query_params)
        body = _body(operation, raw)
        call: Call[Any, Any] = Call(self._engine, self._changes, request, key, query.value, body.value)
        found = [each.error for each in (body, query) if each.error]
        if operation.creates:
            found += faults(lambda: idempotency_key(request.headers.get("idempotency-key")))
        if found:
            judge = operation.judge or check_address_exists
            with suppress(StorageError):  # what cannot be judged now is not held against the request
                found += faults(lambda: judge(call, {**query.given, **body.given}))
            refuse(found)
        return call


def _body(operation: Operation, raw: bytes | ClipEngineError) -> Checked[Any]:
    try:
        if isinstance(raw, ClipEngineError):
            raise raw
        return check_body(operation.body, parse_json(raw))
    except RequestError as error:
        return Checked(None, {}, error)
