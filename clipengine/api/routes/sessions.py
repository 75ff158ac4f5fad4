"""`/session`: where the page signs in and out. It is the page's own door and no part of the API.

A key, or the code of the link that `serve` prints, becomes a cookie that no script can read and that is not sent for
other sites. The code is 256 random bits, good once and for a quarter of an hour; it reaches the page in the address's
fragment, which no browser sends and no proxy logs.
"""

from __future__ import annotations

import hmac
import logging
import secrets
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from clipengine.api.http.access import PUBLIC, Object, require, rights
from clipengine.api.http.acts import actor_of, recording, set_actor
from clipengine.api.http.auth import Credential, authorize, check_origin, check_site, credential, stated_identity
from clipengine.api.http.operation import in_session, json_response
from clipengine.api.http.ports import Engine
from clipengine.api.http.provider_slots import ProviderSlots
from clipengine.api.http.requests.access import SignIn
from clipengine.api.http.session_cookies import Cookies
from clipengine.api.http.source_acts import peer_of
from clipengine.api.http.user_sign_in import Identity, begin_user_session
from clipengine.api.http.validation import parse_json, read_body, validate_body
from clipengine.errors import Forbidden, Unauthorized
from clipengine.ledger.database.act import Act, Actor
from clipengine.ledger.people.principals import Principal
from clipengine.ledger.people.sessions import LIFETIME_MS
from clipengine.ledger.people.users import User
from clipengine.oidc.errors import SignInFailed

CODE_SECONDS = 900

T = TypeVar("T")

log = logging.getLogger(__name__)


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


def route(engine: Engine, codes: SignInCodes, slots: ProviderSlots, cookies: Cookies) -> Route:
    return Route("/session", _Sessions(engine, codes, slots, cookies).answer, methods=["GET", "POST", "DELETE"])


class _Sessions:
    def __init__(self, engine: Engine, codes: SignInCodes, slots: ProviderSlots, cookies: Cookies) -> None:
        self._engine = engine
        self._ledger = engine.ledger
        self._codes = codes
        self._slots = slots
        self._cookies = cookies

    async def answer(self, request: Request) -> Response:
        methods = {"POST": self._sign_in, "DELETE": self._sign_out}
        return await methods.get(request.method, self._who)(request)

    async def _sign_in(self, request: Request) -> Response:
        require(None, "write", PUBLIC)
        check_origin(request)
        raw = await read_body(request, limit=SignIn.limit(self._engine.settings.server.max_body_bytes))
        with recording(self._ledger.audit, request, "session.begin"):
            caller, token = await self._in_session(lambda: self._begun(validate_body(SignIn, parse_json(raw)), request))
        former = bool(await self._in_session(self._ledger.engines.of_release_0_2))
        return self._with_cookie(json_response(_shown(caller)), token, former=former)

    def _begun(self, body: SignIn, request: Request) -> tuple[Principal, str]:
        """Return the principal of a new session, and its token."""
        sessions = self._ledger.sessions
        if body.code is not None:
            key = sessions.key_of_link() if self._codes.redeem(body.code) else None
        else:
            key = self._ledger.keys.verify(body.key or "")
        if key is None:
            raise Unauthorized
        if key.user_id is not None:
            raise Forbidden("The key of a user starts no session", hint="Sign in as the user, or use another key.")
        caller = Principal.of_key(key)
        set_actor(request, actor_of(caller, request), self._ledger.audit)
        return caller, sessions.begin(key)

    async def _who(self, request: Request) -> Response:
        """Describe the session, or return 204 without one: browsers log a 401 in their console.

        A user whom the proxy states gets a session.
        """
        with recording(self._ledger.audit, request, "session.begin"):
            try:
                given = credential(request)
                caller = await self._in_session(lambda: authorize(self._ledger, given, "read", Object("session")))
            except Unauthorized:
                identity = stated_identity(request)
                if identity is None:
                    return Response(status_code=204)
                check_site(request)
                caller, token = await self._in_session(lambda: self._begun_for(identity, request))
                return self._with_cookie(json_response(_shown(caller)), token)
        return json_response(_shown(caller))

    def _begun_for(self, identity: Identity, request: Request) -> tuple[Principal, str]:
        """Return the principal of a new session of a user whom the proxy states, and its token. Raises Forbidden."""

        def check(user: User) -> None:
            set_actor(request, Actor("user", user.user_id, "proxy", peer=peer_of(request)), self._ledger.audit)

        return begin_user_session(self._ledger, identity, check=check)

    async def _sign_out(self, request: Request) -> Response:
        """End the session. The answer names the URL at which a user signs out of the provider as well, if any."""
        require(None, "write", PUBLIC)
        caller, url = None, None
        with recording(self._ledger.audit, request, "session.end") as act:
            given = credential(request)
            if given.is_session:
                end = partial(self._end, given, request, act)
                caller = await self._in_session(lambda: self._engine.disk.freeing(end))
        if caller is not None and caller.user is not None and caller.user.source == "oidc":
            url = await self._provider_sign_out()
        response = Response(status_code=204) if url is None else json_response({"continue_at": url})
        self._cookies.delete_session(response)
        return response

    def _end(self, given: Credential, request: Request, act: Act) -> Principal | None:
        """End a session and return its principal."""
        principals = self._ledger.principals
        if (caller := principals.of_session(given.text)) is not None:
            set_actor(request, actor_of(caller, request, given), self._ledger.audit)
            act.name([caller.session_id] if caller.session_id is not None else [])
        principals.end_session(given.text)
        return caller

    async def _provider_sign_out(self) -> str | None:
        provider = self._engine.oidc
        try:
            return None if provider is None else await self._slots.run(provider.end_session_url)
        except SignInFailed as error:
            log.warning("a user was signed out here, but not of the provider: %s", error)
            return None

    async def _in_session(self, work: Callable[[], T]) -> T:
        return await run_in_threadpool(in_session, self._ledger, work)

    def _with_cookie(self, response: Response, token: str, *, former: bool = False) -> Response:
        self._cookies.set_session(response, token, seconds=LIFETIME_MS // 1000, former=former)
        return response


def _shown(caller: Principal) -> dict[str, Any]:
    """Return the caller for the page. A role is only shown to users."""
    shown = {"id": caller.id, "name": caller.name, "scopes": list(caller.scopes), "may": rights(caller)}
    return shown if caller.user is None else {**shown, "role": caller.user.role}
