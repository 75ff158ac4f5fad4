"""Error responses: application/problem+json (RFC 9457) for every status from 400 up.

`detail` says what happened and what to do, `hint` only what to do; `code` is the stable name of the error. The `detail`
of a 401 is the message of the hosted API, without the hint. A 500 contains only the request id, under which the log has
the cause. Text that a client sent is truncated, so that no response exceeds 64 kB.
"""

from __future__ import annotations

import json
import logging
import re
from typing import Any
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import Scope

from clipengine.api.http.validation import MAX_LISTED, listing
from clipengine.errors import (
    Busy,
    ClipEngineError,
    DiskFull,
    Internal,
    MalformedRequest,
    MethodNotAllowed,
    NotFound,
    RequestError,
    RequestInProgress,
    StorageUnavailable,
    Unauthorized,
)

PROBLEM_TYPE = "application/problem+json"
TYPE_BASE = "/docs/errors#"

_TEXT_CHARACTERS = 300  # of a path or of one text of a fault; a character takes up to twelve bytes
_DETAIL_CHARACTERS = 1500

_TOKEN_IN_PATH = re.compile(r"\A(/(?:s|embed)/)[^/]+")

_RETRY_AFTER: dict[type[ClipEngineError], int] = {StorageUnavailable: 5, DiskFull: 30, RequestInProgress: 1}
_BY_STATUS: dict[int, type[ClipEngineError]] = {404: NotFound, 405: MethodNotAllowed}

log = logging.getLogger(__name__)


def problem(scope: Scope, error: ClipEngineError, headers: dict[str, str] | None = None) -> Response:
    """Return the response for an error."""
    body: dict[str, Any] = {
        "type": TYPE_BASE + error.code,
        "title": error.title,
        "status": error.status,
        "detail": error.message if isinstance(error, Unauthorized) else _detail(error),
        "code": error.code,
        "instance": quote(scope["path"][:_TEXT_CHARACTERS], safe="/:@!$&'()*+,;=~", errors="replace"),
        "hint": error.hint,
    }
    if isinstance(error, RequestError) and error.errors:
        listed = listing(error)
        body["errors"] = [
            {name: text[:_TEXT_CHARACTERS] for name, text in fault.items()} for fault in listed[:MAX_LISTED]
        ]
        if omitted := error.omitted + max(0, len(listed) - MAX_LISTED):
            body["errors_omitted"] = omitted
    if error.status >= 500:
        body["request_id"] = scope.get("request_id", "")
    return Response(
        json.dumps(body),  # ASCII: text that a client sent may not be valid Unicode
        status_code=error.status,
        headers={**_headers(error), **scope.get("answer_headers", {}), **(headers or {})},
        media_type=PROBLEM_TYPE,
    )


def _detail(error: ClipEngineError) -> str:
    message = error.message[:_DETAIL_CHARACTERS]
    message = message if message.endswith((".", "!", "?")) else f"{message}."
    return f"{message} {error.hint}"


def _headers(error: ClipEngineError) -> dict[str, str]:
    if isinstance(error, Unauthorized):
        return {"WWW-Authenticate": "Bearer"}
    if isinstance(error, Busy):
        return {"Retry-After": str(error.retry_after)}
    for kind, seconds in _RETRY_AFTER.items():
        if isinstance(error, kind):
            return {"Retry-After": str(seconds)}
    return {}


def logged_path(scope: Scope) -> str:
    """Return the path for a log line, without the token of a share, which would open its clip."""
    return _TOKEN_IN_PATH.sub(r"\1…", scope["path"])


def internal(scope: Scope, error: Exception) -> Response:
    """Log an unexpected error with its traceback and return a 500 response."""
    log.error("%s %s failed", scope["method"], logged_path(scope), exc_info=error)
    return problem(scope, Internal("The engine failed to answer this request", hint=Internal.default_hint))


async def on_error(request: Request, error: Exception) -> Response:
    """Handle a ClipEngineError for Starlette."""
    assert isinstance(error, ClipEngineError)
    if error.status == 500:
        return internal(request.scope, error)
    if error.status > 500:
        log.warning("%s %s: %s", request.method, logged_path(request.scope), error.message)
    return problem(request.scope, error)


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Handle Starlette's HTTP exceptions, such as an unknown route."""
    assert isinstance(error, HTTPException)
    kind = _BY_STATUS.get(error.status_code, MalformedRequest)
    headers = dict(error.headers or {})  # such as Allow
    return problem(request.scope, missing(request) if kind is NotFound else kind(error.detail), headers)


def missing(request: Request) -> NotFound:
    """Return the error for an unknown path. The hint names the route that was probably meant."""
    path = request.scope["path"]
    meant = next((each for each in (f"/v1{path}", path.rstrip("/")) if _has_route(request, each)), None)
    return NotFound(f"There is nothing at {path}", hint=meant and f"Did you mean {meant[:_TEXT_CHARACTERS]}?")


def _has_route(request: Request, path: str) -> bool:
    scope = {**request.scope, "path": path}
    return any(
        isinstance(each, Route) and each.path != "/" and each.matches(scope)[0] is Match.FULL
        for each in request.app.routes
    )
