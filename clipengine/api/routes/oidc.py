"""`/session/oidc`: sign-in with an OpenID provider. Like `/session`, it belongs to the page and not to the API.

The provider sends the browser back to the callback from another site, so the browser does not send cookies that are
`SameSite=Strict`: neither to the callback, nor after a redirect. The callback therefore answers with a page that
continues to the page of the engine, which is a request of the same site.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from clipengine.access.roles import role_of
from clipengine.api.http.acts import recording, set_actor
from clipengine.api.http.auth import check_site
from clipengine.api.http.operation import Public, in_session
from clipengine.api.http.ports import Engine
from clipengine.api.http.provider_slots import ProviderSlots
from clipengine.api.http.session_cookies import Cookies
from clipengine.api.http.source_acts import acts_of_source, peer_of
from clipengine.api.http.templates import rendered
from clipengine.api.http.user_sign_in import TEXTS as USER_TEXTS
from clipengine.api.http.user_sign_in import Identity, begin_user_session, subject_at
from clipengine.api.http.visitor_texts import VisitorTexts, texts_for
from clipengine.api.routes.page import page_headers
from clipengine.errors import ClipEngineError
from clipengine.ledger.database.act import Actor
from clipengine.ledger.people.users import User
from clipengine.oidc.errors import (
    FlowExpired,
    ProviderRefused,
    ProviderUnavailable,
    SignInFailed,
    TooManySignIns,
)
from clipengine.oidc.flow import CALLBACK, FLOW_MS, Flow, begin_flow, flow_of

if TYPE_CHECKING:
    from clipengine.oidc.provider import Provider  # imports joserfc, of an extra

log = logging.getLogger(__name__)

_FAILURES = (SignInFailed, FlowExpired, ProviderRefused, ProviderUnavailable, TooManySignIns)
TEXTS = (*(each.text for each in _FAILURES), *USER_TEXTS)  # besides the texts of the templates
_MAX_FIELDS, _MAX_CODE = 20, 4096
# Codes of RFC 6749 and OpenID Connect that help the user; others may be any text.
_SHOWN_ERRORS = {
    *("access_denied", "invalid_scope", "unauthorized_client", "invalid_request", "unsupported_response_type"),
    *("server_error", "temporarily_unavailable", "login_required", "consent_required", "interaction_required"),
}


def routes(engine: Engine, slots: ProviderSlots, cookies: Cookies) -> list[Route]:
    """Return the routes of the sign-in if a provider is configured."""
    if engine.oidc is None:
        return []
    sign_in = _SignIn(engine, engine.oidc, slots, cookies)
    return [Route("/session/oidc", Public(sign_in.start)), Route(CALLBACK, Public(sign_in.finish))]


class _SignIn:
    def __init__(self, engine: Engine, provider: Provider, slots: ProviderSlots, cookies: Cookies) -> None:
        self._ledger = engine.ledger
        self._provider = provider
        self._slots = slots
        self._cookies = cookies
        self._headers = page_headers(engine.settings) | {"Cache-Control": "no-store"}
        self._lifetime_ms = round(provider.settings.session_hours * 3_600_000)

    async def start(self, request: Request) -> Response:
        """Send the browser to the provider."""
        with recording(self._ledger.audit, request, "session.begin", changes=False):
            check_site(request)
        try:
            given = _parameters(request)
            flow = begin_flow(self._ledger.sign_in_flows.key, given.get("return_to", ""))
            url = await self._slots.run(lambda: self._provider.authorization_url(flow))
        except SignInFailed as error:
            return self._failed(request, error)
        response = RedirectResponse(url, status_code=303)
        self._cookies.set_flow(response, flow.cookie, seconds=FLOW_MS // 1000)
        return response

    async def finish(self, request: Request) -> Response:
        """Start a session of the user whom the provider sends back."""
        try:
            given = _parameters(request)
            flow = flow_of(self._ledger.sign_in_flows.key, self._cookies.flow_of(request), given.get("state", ""))
            identity = await self._slots.run(lambda: self._identify(given, flow, request))
            with recording(self._ledger.audit, request, "session.begin"):
                work = partial(self._begin, identity, flow, request)
                token = await run_in_threadpool(in_session, self._ledger, work)
        except (SignInFailed, ClipEngineError) as error:
            response = self._failed(request, error)
        else:
            page = rendered("sign_in_done", t=_texts(request), address=f"/{flow.return_to}")
            response = Response(page, headers=self._headers, media_type="text/html")
            self._cookies.set_session(response, token, seconds=self._lifetime_ms // 1000)
        self._cookies.delete_flow(response)
        return response

    def _identify(self, given: Mapping[str, str], flow: Flow, request: Request) -> Identity:
        """Return the identity of the user by the parameters of the provider's answer. Raises SignInFailed."""
        issuer = given.get("iss")
        if "error" in given:
            self._provider.check_issuer(issuer)
            shown = given["error"] if given["error"] in _SHOWN_ERRORS else "an unknown error"
            raise ProviderRefused(f"the provider answered with {shown}")
        code = given.get("code", "")
        if not 0 < len(code) <= _MAX_CODE:
            raise SignInFailed("the provider sent no code")
        claims = self._provider.identify(code, flow, issuer=issuer)
        settings = self._provider.settings
        by_groups = bool(settings.groups_claim)
        subject = subject_at(settings.issuer, claims.subject)
        make_act = acts_of_source("oidc", "oidc", request)
        return Identity("oidc", subject, claims.name, role_of(claims.groups, settings), by_groups, make_act)

    def _begin(self, identity: Identity, flow: Flow, request: Request) -> str:
        """Return the token of a new session, once for each flow. Raises SignInFailed and the errors of the session."""

        def check(user: User) -> None:
            set_actor(request, Actor("user", user.user_id, "oidc", peer=peer_of(request)), self._ledger.audit)
            if not self._ledger.sign_in_flows.spend(flow.cookie, until=flow.expires_at):
                raise FlowExpired("the sign-in was used before")

        return begin_user_session(self._ledger, identity, lifetime_ms=self._lifetime_ms, check=check)[1]

    def _failed(self, request: Request, error: SignInFailed | ClipEngineError) -> Response:
        """Return a page with the reason. Texts of the provider are neither shown nor logged as they are."""
        peer = peer_of(request)
        log.warning("a sign-in of %s failed: %s", peer, error)
        if isinstance(error, SignInFailed) and error.status != 503:  # an outage refuses no caller
            self._ledger.audit.count("session.begin", Actor("unknown", means="oidc", peer=peer), outcome="refused")
        hint = error.hint if isinstance(error, ClipEngineError) else ""
        text = error.message if isinstance(error, ClipEngineError) else error.text
        page = rendered("sign_in_failed", t=_texts(request), text=text, hint=hint)
        return Response(page, error.status, headers=self._headers, media_type="text/html")


def _parameters(request: Request) -> dict[str, str]:
    """Return the parameters of the query. Raises FlowExpired if there are too many, or one comes twice."""
    try:
        query = request.scope["query_string"].decode("latin-1")
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=_MAX_FIELDS)
    except ValueError:
        raise FlowExpired("the address has too many parameters") from None
    found = dict(pairs)
    if len(found) != len(pairs):
        raise FlowExpired("a parameter of the address comes twice")
    return found


def _texts(request: Request) -> VisitorTexts:
    return texts_for(request.headers.get("accept-language", ""))
