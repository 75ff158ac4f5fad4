"""Outermost ASGI middleware: request ids, security headers, metrics, and unexpected errors as problem documents.

Other middleware is inside it, so that all responses have the same headers.
"""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from clipengine.api.http.problems import internal, logged_path
from clipengine.basis.tracing import bind

_ACCEPTED_ID = re.compile(r"[A-Za-z0-9._-]{8,64}\Z")

_ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
# Defaults; responses that a browser opens directly (a download, the page) set their own.
_UNLESS_GIVEN = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_FRAMEABLE = re.compile(r"frame-ancestors (?!'none')")
_CORS_HEADERS = (
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "If-Match",
    "If-None-Match",
    "If-Range",
    "Last-Event-ID",
    "Mcp-Method",
    "Mcp-Name",
    "Mcp-Protocol-Version",
    "Range",
    "Tus-Resumable",
    "Upload-Checksum",
    "Upload-Length",
    "Upload-Metadata",
    "Upload-Offset",
    "X-Request-Id",
    "traceparent",
)
_CORS_EXPOSED = (
    "Content-Disposition",
    "Content-Range",
    "ETag",
    "Idempotent-Replayed",
    "Link",
    "Location",
    "Retry-After",
    "Tus-Extension",
    "Tus-Max-Size",
    "Tus-Resumable",
    "Tus-Version",
    "Upload-Expires",
    "Upload-Length",
    "Upload-Metadata",
    "Upload-Offset",
    "Upload-Recording",
    "X-Request-Id",
)

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)

log = logging.getLogger(__name__)


def layers(cors_origins: Sequence[str], registry: CollectorRegistry, *, engine: str) -> list[Middleware]:
    """Return the middleware, outermost first. CORS is enabled only for the given origins, and without credentials.

    The metrics of requests are added to `registry`. No label is text of a client: the number of series is bounded.
    `engine` is the id of the engine in log lines.
    """
    responses = Counter("clipengine_http_requests", "Requests with a response", ("method", "status"), registry=registry)
    durations = Histogram(
        "clipengine_http_request_seconds",
        "From the request to the start of its response; ?wait= is part of it",
        ("method", "route"),
        buckets=_SECONDS,
        registry=registry,
    )
    found = [Middleware(Envelope, responses=responses, durations=durations, engine=engine)]
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

    def __init__(self, app: ASGIApp, responses: Counter, durations: Histogram, engine: str) -> None:
        self._app = app
        self._responses = responses
        self._durations = durations
        self._engine = engine

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        scope["request_id"] = given if _ACCEPTED_ID.match(given) else uuid.uuid4().hex
        with bind(request_id=scope["request_id"], engine=self._engine):
            await self._respond(scope, receive, send)

    async def _respond(self, scope: Scope, receive: Receive, send: Send) -> None:
        started, began = False, time.monotonic()

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                method = scope["method"] if scope["method"] in _METHODS else "other"
                self._responses.labels(method, str(message["status"])).inc()
                route = getattr(scope.get("endpoint"), "path", "other")
                self._durations.labels(method, route).observe(time.monotonic() - began)
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = scope["request_id"]
                for name, value in _ALWAYS.items():
                    headers[name] = value
                for name, value in _UNLESS_GIVEN.items():
                    headers.setdefault(name, value)
                if not _FRAMEABLE.search(headers["Content-Security-Policy"]):
                    headers["X-Frame-Options"] = "DENY"
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except ClientDisconnect as error:
            how = str(error) or "the client disconnected"
            log.info("%s %s: %s", scope["method"], logged_path(scope), how)
        except Exception as error:
            if started:  # the response is partly sent; closing the connection is the only signal left
                raise
            await internal(scope, error)(scope, receive, send_with_headers)
