"""The outermost layer, pure ASGI: a request id on every answer, security headers, and 500 as a problem document."""

from __future__ import annotations

import logging
import re
import uuid

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from clipengine.api.problems import internal

_ACCEPTED_ID = re.compile(r"[A-Za-z0-9._-]{8,64}\Z")

log = logging.getLogger(__name__)


class Envelope:
    """A caller's X-Request-Id is kept where it is harmless in a log, so that a proxy's id can be followed."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

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
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = scope["request_id"]
                headers["X-Content-Type-Options"] = "nosniff"
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except ClientDisconnect:
            log.info("%s %s: the client went away [%s]", scope["method"], scope["path"], scope["request_id"])
        except Exception as error:
            if started:  # the answer is half sent: only ending the connection can tell the client so
                raise
            await internal(scope, error)(scope, receive, send_with_headers)
