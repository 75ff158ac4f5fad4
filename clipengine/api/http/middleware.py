"""Outermost ASGI middleware: request ids, security headers, and unexpected errors as problem documents.

Other middleware is inside it, so that all responses have the same headers.
"""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Callable, Sequence

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from clipengine.api.http.problems import internal

_ACCEPTED_ID = re.compile(r"[A-Za-z0-9._-]{8,64}\Z")

_ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
# Defaults; responses that a browser opens directly (a download, the page) set their own.
_UNLESS_GIVEN = {"Cache-Control": "no-store", "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'"}
_CORS_HEADERS = (
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "If-None-Match",
    "If-Range",
    "Last-Event-ID",
    "Range",
)
_CORS_EXPOSED = (
    "Content-Disposition",
    "Content-Range",
    "ETag",
    "Idempotent-Replayed",
    "Link",
    "Location",
    "Retry-After",
    "X-Request-Id",
)

log = logging.getLogger(__name__)


def layers(cors_origins: Sequence[str], on_answer: Callable[[str, int], None]) -> list[Middleware]:
    """Return the middleware, outermost first. CORS is enabled only for the given origins, and without credentials.

    `on_answer` is called with the method and the status of each response.
    """
    found = [Middleware(Envelope, on_answer=on_answer)]
    if cors_origins:
        methods = ("GET", "POST", "PUT", "PATCH", "DELETE")
        found.append(
            Middleware(
                CORSMiddleware,
                allow_origins=cors_origins,
                allow_methods=methods,
                allow_headers=_CORS_HEADERS,
                expose_headers=_CORS_EXPOSED,
                max_age=600,
            )
        )
    return found


class Envelope:
    """Adds the headers of every response. Keeps the X-Request-Id of the caller if it is safe to log."""

    def __init__(self, app: ASGIApp, on_answer: Callable[[str, int], None]) -> None:
        self._app = app
        self._on_answer = on_answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        scope["request_id"] = given if _ACCEPTED_ID.match(given) else uuid.uuid4().hex
        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                self._on_answer(scope["method"], message["status"])
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = scope["request_id"]
                for name, value in _ALWAYS.items():
                    headers[name] = value
                for name, value in _UNLESS_GIVEN.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except ClientDisconnect as error:
            how = str(error) or "the client disconnected"
            log.info("%s %s: %s [%s]", scope["method"], scope["path"], how, scope["request_id"])
        except Exception as error:
            if started:  # the response is partly sent; closing the connection is the only signal left
                raise
            await internal(scope, error)(scope, receive, send_with_headers)
