"""`/mcp` of `clipengine serve`: the tools over streamable HTTP, with the keys and scopes of the API.

No session is kept: each request carries its key, and any engine behind a load balancer can answer it. A tool calls the
API of the same process with that key, so that the API's rate limits, validation and error messages apply.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Mapping, MutableMapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import httpx
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Address
from starlette.requests import Request
from starlette.types import Message, Receive, Scope, Send

from clipengine.api.http.access import Action, Object, may, require
from clipengine.api.http.acts import actor_of, count_refusal, recording, set_actor
from clipengine.api.http.auth import Credential, authenticate, authorize, credential
from clipengine.api.http.operation import check_rights, in_session, other_method
from clipengine.api.http.ports import Engine
from clipengine.api.http.rights import Rights
from clipengine.api.http.validation import read_bytes
from clipengine.client import AsyncClient
from clipengine.errors import Forbidden, Unauthorized
from clipengine.ledger.people.principals import Principal
from clipengine.mcp.server import Caller, tool_server
from clipengine.settings.settings import Server

_CALLER = "clipengine.mcp.caller"
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:/?#@\s]+)(?::[0-9]*)?\Z")  # with or without a port
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class McpEndpoint:
    """ASGI application of `/mcp`. It answers while `running`."""

    path = "/mcp"

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._max_bytes = engine.settings.server.max_body_bytes
        self._app: Starlette | None = None
        self._sessions = StreamableHTTPSessionManager(
            tool_server(lambda request: request.scope[_CALLER]),
            stateless=True,
            max_request_body_size=self._max_bytes,
        )

    @asynccontextmanager
    async def running(self, app: Starlette) -> AsyncIterator[None]:
        """Answer requests with the API of `app` in the block."""
        self._app = app
        async with self._sessions.run():
            yield

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "POST":
            await other_method(scope, "OPTIONS, POST")(scope, receive, send)
            return
        request = Request(scope, receive)
        with recording(self._engine.ledger.audit, request, "tool.call", changes=False) as act:
            check_origin(request, self._engine.settings.server)
            given = credential(request)
            if given.is_session:
                raise Unauthorized
            ledger = self._engine.ledger
            rights = await run_in_threadpool(in_session, ledger, lambda: self._authorized(request, given))
            body = await read_bytes(request, limit=self._max_bytes, check=lambda: check_rights(scope, ledger, rights))
        async with self._client(request, given) as client:
            scope[_CALLER] = _caller(client, rights.caller, partial(count_refusal, self._engine.ledger.audit, act))
            await self._sessions.handle_request(scope, _replay(bytes(body), receive), send)

    def _authorized(self, request: Request, given: Credential) -> Rights:
        ledger = self._engine.ledger
        principal = authenticate(ledger, given)
        set_actor(request, actor_of(principal, request, given), ledger.audit)
        require(principal, "read", Object("tools"))
        return Rights(principal, lambda: authorize(ledger, given, "read", Object("tools")))

    def _client(self, request: Request, given: Credential) -> AsyncClient:
        """Return a client of this process's own API."""
        assert self._app is not None
        headers = {name: request.headers[name] for name in ("host", "traceparent") if name in request.headers}
        headers["x-request-id"] = request.scope["request_id"]
        return AsyncClient(
            "http://127.0.0.1", given.text, retries=0, transport=_InProcess(self._app, headers, request.client)
        )


def _caller(client: AsyncClient, principal: Principal, on_refusal: Callable[[], None]) -> Caller:
    async def allowed(action: Action, object: Object) -> bool:
        return may(principal, action, object)

    return Caller(client, allowed, on_refusal)


class _InProcess(httpx.AsyncBaseTransport):
    """Calls of the API without a connection, with headers of the agent's request.

    They fail once the server stops, because its long polls return at once then.
    """

    def __init__(self, app: Starlette, headers: Mapping[str, str], peer: Address | None) -> None:
        self._app = app
        self._headers = headers
        self._transport = httpx.ASGITransport(app, client=peer or ("", 0))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self._app.state.changes.closed:
            raise httpx.ConnectError("the engine stops")
        request.headers.update(self._headers)
        return await self._transport.handle_async_request(request)


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that begins with the body, which has been read."""
    first: list[MutableMapping[str, Any]] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return first.pop() if first else await receive()

    return replayed


def check_origin(request: Request, settings: Server) -> None:
    """Raise Forbidden for the pages of other sites, also if they reach a loopback address by DNS rebinding."""
    public = urlsplit(settings.public_url)
    origin = request.headers.get("origin")
    allowed = {f"{public.scheme}://{public.netloc}", *settings.cors_origins}
    if origin is not None and not allowed & {origin, "*"}:
        raise Forbidden("Pages of this origin may not call /mcp", hint="Add the origin to server.cors_origins.")
    if settings.host in _LOOPBACK and _host_name(request) not in {*_LOOPBACK, public.hostname or ""}:
        raise Forbidden(
            "The Host header does not name this server", hint="Set server.public_url to the address that agents use."
        )


def _host_name(request: Request) -> str | None:
    """Return the name or the address in the Host header, or None if the header is missing or invalid."""
    match = _HOST.match(request.headers.get("host", ""))
    return None if match is None else match[1].strip("[]").lower()
