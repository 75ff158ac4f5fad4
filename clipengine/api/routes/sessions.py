"""`/session`: where the page signs in and out. It is the page's own door and no part of the API.

A key, or the code of the link that `serve` prints, becomes a cookie that no script can read and that is not sent for
other sites. The code is 256 random bits, good once and for a quarter of an hour; it reaches the page in the address's
fragment, which no browser sends and no proxy logs.
"""

from __future__ import annotations

import hmac
import secrets
import threading
import time
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from clipengine.api.http.access import PUBLIC, Object, require
from clipengine.api.http.auth import SESSION_COOKIE, authorize, credential
from clipengine.api.http.operation import in_session, json_response
from clipengine.api.http.ports import Engine
from clipengine.api.http.requests.access import SignIn
from clipengine.api.http.validation import parse_json, read_body, validate_body
from clipengine.errors import Unauthorized
from clipengine.ledger.keys import ApiKey
from clipengine.ledger.sessions import LIFETIME_MS

CODE_SECONDS = 900


class SignInCodes:
    """The codes of links that were printed and not yet followed. They end with the process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._codes: dict[str, float] = {}

    def issue(self) -> str:
        code = secrets.token_urlsafe(32)
        with self._lock:
            self._codes[code] = time.monotonic() + CODE_SECONDS
        return code

    def redeem(self, code: str) -> bool:
        """Return True if the code is valid, and invalidate it."""
        now = time.monotonic()
        with self._lock:
            self._codes = {each: until for each, until in self._codes.items() if until > now}
            found = [each for each in self._codes if hmac.compare_digest(each.encode(), code.encode())]
            return bool(found and self._codes.pop(found[0]))


def route(engine: Engine, codes: SignInCodes) -> Route:
    ledger = engine.ledger
    secure = engine.settings.server.public_url.startswith("https:")

    async def sign_in(request: Request) -> Response:
        require(None, "write", PUBLIC)
        raw = await read_body(request, limit=SignIn.limit(engine.settings.server.max_body_bytes))

        def work() -> tuple[ApiKey, str]:
            body = validate_body(SignIn, parse_json(raw))
            if body.code is not None:
                key = ledger.sessions.key_of_link() if codes.redeem(body.code) else None
            else:
                key = ledger.keys.verify(body.key or "")
            if key is None:
                raise Unauthorized
            return key, ledger.sessions.begin(key)

        key, token = await run_in_threadpool(in_session, ledger, work)
        response = json_response(_shown(key))
        response.set_cookie(
            SESSION_COOKIE, token, max_age=LIFETIME_MS // 1000, httponly=True, samesite="strict", secure=secure
        )
        return response

    async def who(request: Request) -> Response:
        """Describe the session, or return 204 without one: browsers log a 401 in their console."""
        try:
            given = credential(request)
            key = await run_in_threadpool(
                in_session, ledger, lambda: authorize(ledger, given, "read", Object("session"))
            )
        except Unauthorized:
            return Response(status_code=204)
        return json_response(_shown(key))

    async def sign_out(request: Request) -> Response:
        require(None, "write", PUBLIC)
        given = credential(request)
        if given.is_session:
            await run_in_threadpool(in_session, ledger, lambda: ledger.sessions.end(given.text))
        response = Response(status_code=204)
        response.delete_cookie(SESSION_COOKIE, httponly=True, samesite="strict", secure=secure)
        return response

    async def session(request: Request) -> Response:
        return await {"POST": sign_in, "DELETE": sign_out}.get(request.method, who)(request)

    return Route("/session", session, methods=["GET", "POST", "DELETE"])


def _shown(key: ApiKey) -> dict[str, Any]:
    return {"name": key.name, "scopes": list(key.scopes)}
