"""Authentication: a Bearer key or the session of the page. `access` decides what its principal may do.

A malformed, unknown or revoked key gets the same 401 as a missing one, with one hint for all of them, so that a
response reveals nothing about keys.

Browsers send cookies with requests that other sites make. A session is therefore accepted only if the browser reports
the request as coming from this origin, see `request_origin`, and, for methods that change something, only with a header
that another origin could send only after a CORS preflight, which is never granted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from starlette.requests import Request

from clipengine.api.http.access import Action, Object, require
from clipengine.api.http.proxy_identity import ProxyIdentities
from clipengine.api.http.request_origin import OwnOrigin
from clipengine.api.http.session_cookies import Cookies
from clipengine.api.http.user_sign_in import Identity, no_role, subject_at
from clipengine.errors import Forbidden, Unauthorized
from clipengine.ledger.database.act import acting
from clipengine.ledger.ledger import Ledger
from clipengine.ledger.people.principals import Principal

PAGE_HEADER = "X-Clipengine-Page"

_BEARER = re.compile(r"bearer +([\x21-\x7e]{1,300}) *\Z", re.IGNORECASE)
_WRONG_KEY = "Copy the whole key again, or create another: it is incomplete, unknown or revoked."
_ENDED_SESSION = "Sign in again: the session has ended."
_SAFE_METHODS = ("GET", "HEAD")


@dataclass(frozen=True)
class Credential:
    """An API key or a session token that has not been looked up yet."""

    text: str
    is_session: bool
    identity: Identity | None = None  # that a trusted proxy states
    issuer: str = ""  # of the provider that signs users in

    def for_later_checks(self) -> Credential:
        """Return the credential that checks the rights of a request again.

        The groups that a proxy states count when the request arrives. Afterwards the stored role counts, which a later
        request or an operator may have changed.
        """
        return self if self.identity is None else replace(self, identity=replace(self.identity, by_groups=False))


def credential(request: Request) -> Credential:
    """Return the key of the Authorization header, or the session of the cookie if the header is missing.

    Raise Unauthorized without either, and Forbidden if another site made the request with the cookie.
    """
    identity = stated_identity(request)
    header = request.headers.get("authorization")
    cookies: Cookies = request.app.state.cookies
    session = cookies.session_of(request) if header is None else None
    if session is not None:
        is_safe = request.method in _SAFE_METHODS
        (check_site if is_safe else check_origin)(request)
        if not is_safe and PAGE_HEADER not in request.headers:
            raise Forbidden(f"The header {PAGE_HEADER} is missing", hint="Use the page itself, or a key.")
        return Credential(session, is_session=True, identity=identity, issuer=request.app.state.oidc_issuer)
    match = _BEARER.match(header or "")
    if match is None:
        raise Unauthorized(hint=_WRONG_KEY if (header or "").lower().startswith("bearer ") else None)
    return Credential(match[1], is_session=False)


def stated_identity(request: Request) -> Identity | None:
    """Return the identity that a trusted proxy states. Raises Forbidden for headers that only a proxy may send."""
    identities: ProxyIdentities = request.app.state.proxy_identities
    return identities.of(request)


def check_site(request: Request) -> None:
    """Raise Forbidden if another site made the request."""
    own: OwnOrigin = request.app.state.own_origin
    own.check_site(request)


def check_origin(request: Request) -> None:
    """Raise Forbidden if a page of another origin made the request."""
    own: OwnOrigin = request.app.state.own_origin
    own.check(request)


def authorize(ledger: Ledger, given: Credential, action: Action, object: Object) -> Principal:
    """Return the caller. Raise Unauthorized, or Forbidden if the caller may not do this with the object."""
    caller = authenticate(ledger, given)
    require(caller, action, object)
    return caller


def authenticate(ledger: Ledger, given: Credential) -> Principal:
    """Return the caller, who may not be allowed to do anything yet. Raises Unauthorized."""
    principals = ledger.principals
    if given.is_session:
        caller = _as_stated(ledger, principals.of_session(given.text), given)
    else:
        caller = principals.of_key(given.text)
    if caller is None:
        raise Unauthorized(hint=_ENDED_SESSION if given.is_session else _WRONG_KEY)
    return caller


def _as_stated(ledger: Ledger, caller: Principal | None, given: Credential) -> Principal | None:
    """Return the caller of a session. If a proxy states the user, the groups that it states now decide the role.

    Return None if the source of the user is not enabled, or the proxy states another user or none. Raises Forbidden
    without a role, and ends the session, so that its event streams end as well.
    """
    identity = given.identity
    if caller is None or caller.user is None:
        return caller
    if caller.user.source == "oidc":
        return caller if given.issuer and caller.user.subject.startswith(subject_at(given.issuer)) else None
    if identity is None or identity.subject != caller.user.subject:
        return None
    has_none = identity.role == "none"
    if not identity.by_groups or (identity.role == caller.user.role and not has_none):
        return caller
    user_id = caller.user.user_id
    if has_none and caller.session_id is not None:
        with acting(identity.make_act("session.end", path=[user_id, caller.session_id])):
            ledger.user_sessions.end(caller.session_id)
    with acting(identity.make_act("user.update")):  # the keys of the user lose a role as well
        ledger.users.set_role(user_id, identity.role)
    if has_none:
        raise no_role(by_groups=True)
    return ledger.principals.of_session(given.text)
